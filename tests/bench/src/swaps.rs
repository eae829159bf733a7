//! Requests at a fixed rate while strategies are swapped: what each 100 ms of it looked like to clients.
//!
//! Open loop: a request's time counts from when it was due, so that a host that pauses is charged for all that it held up.
//! One thread a connection, because a runtime's timers are a hundred times coarser than what is measured.

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::answer::{Answer, read_answer};
use crate::percentiles::at;

/// Length of one window.
const WINDOW: Duration = Duration::from_millis(100);

/// What to send and what to swap.
pub(crate) struct Plan {
    pub(crate) port: u16,
    /// Requests per second, all connections together.
    pub(crate) rate: f64,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Time from the end of one swap to the beginning of the next.
    pub(crate) between: Duration,
    /// Put in service in turn.
    pub(crate) swaps: Vec<Swap>,
}

/// What is put in service.
#[derive(Debug, Clone)]
pub(crate) enum Swap {
    /// A strategy that the host has.
    Named(String),
    /// A file, each time with other bytes, so that it has to be compiled.
    New(PathBuf),
}

/// One request, in nanoseconds since the start.
struct Sample {
    due: u64,
    took: u64,
    strategy: String,
}

/// One swap, in nanoseconds since the start.
struct Swapped {
    what: String,
    from: u64,
    until: u64,
}

impl std::str::FromStr for Swap {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.strip_prefix("new:").map_or_else(|| Self::Named(text.to_owned()), |path| Self::New(path.into())))
    }
}

/// Runs the plan. A request that fails, or a swap, fails the run.
pub(crate) fn run(plan: Plan) -> Result<Value> {
    let plan = Arc::new(plan);
    let started = Instant::now() + Duration::from_millis(50);
    let clients: Vec<_> = (0..plan.connections)
        .map(|number| {
            let plan = plan.clone();
            thread::Builder::new().stack_size(256 << 10).spawn(move || client(&plan, number, started))
        })
        .collect::<Result<_, _>>()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (plan, is_over) = (plan.clone(), is_over.clone());
        thread::spawn(move || swap_on(&plan, started, &is_over))
    };
    let mut samples = Vec::new();
    for client in clients {
        samples.extend(client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
    }
    is_over.store(true, Ordering::SeqCst);
    let swaps = swapping.join().map_err(|_| anyhow::anyhow!("the swapping thread panicked"))??;
    ensure!(!swaps.is_empty(), "no swap ended in time");
    let planned = check_plans(&plan, &samples)?;
    Ok(report(&plan, &samples, &swaps, planned))
}

/// A request of ordinary size. No two are alike, so that no strategy has the answer in its cache; all are equally long.
fn body(place: usize) -> String {
    format!(
        r#"{{"model":"bench","messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"Name the {place:012} largest cities in France."}}],"max_tokens":64}}"#
    )
}

/// One connection: every n-th request of the schedule, each sent when it is due or when the one before is answered.
fn client(plan: &Plan, number: usize, started: Instant) -> Result<Vec<Sample>> {
    let length = body(0).len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        plan.port
    );
    let mut stream = connect(plan.port)?;
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut samples = Vec::new();
    let all = (plan.warm_up + plan.measured).as_secs_f64();
    for turn in 0_usize.. {
        let place = turn * plan.connections + number;
        let due_s = place as f64 / plan.rate;
        if due_s >= all {
            break;
        }
        let request = head.clone() + &body(place);
        let due = started + Duration::from_secs_f64(due_s);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(request.as_bytes())?;
        let answer = read_answer(&mut stream, &mut buffer)?;
        ensure!(answer.status == 200, "answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        samples.push(Sample {
            due: due.duration_since(started).as_nanos() as u64,
            took: due.elapsed().as_nanos() as u64,
            strategy: answer.header("x-perfhost-strategy").to_owned(),
        });
    }
    Ok(samples)
}

/// Puts one strategy after the other in service until told that it is over.
fn swap_on(plan: &Plan, started: Instant, is_over: &AtomicBool) -> Result<Vec<Swapped>> {
    let since = || Instant::now().saturating_duration_since(started).as_nanos() as u64;
    let mut swaps = Vec::new();
    let new = std::env::temp_dir().join(format!("perfhost-bench-{}.wasm", std::process::id()));
    thread::sleep((started + plan.warm_up).saturating_duration_since(Instant::now()));
    for (number, swap) in plan.swaps.iter().cycle().enumerate() {
        thread::sleep(plan.between);
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let (body, what) = match swap {
            Swap::Named(name) => {
                let body = json!({ "name": name }).to_string().into_bytes();
                (body, name.clone())
            }
            Swap::New(file) => {
                let module = std::fs::read(file).with_context(|| file.display().to_string())?;
                std::fs::write(&new, other_bytes(module, number)).with_context(|| new.display().to_string())?;
                (json!({ "name": new }).to_string().into_bytes(), "new".to_owned())
            }
        };
        let from = since();
        post(plan.port, "/api/strategies", "application/json", &body)?;
        swaps.push(Swapped { what, from, until: since() });
    }
    if new.exists() {
        std::fs::remove_file(&new).with_context(|| new.display().to_string())?;
    }
    Ok(swaps)
}

/// The same module with a custom section that nobody reads: other bytes, the same strategy.
fn other_bytes(mut module: Vec<u8>, number: usize) -> Vec<u8> {
    let content = format!("bench {} {number:08}", std::process::id());
    let name = b"bench";
    // A custom section: 0, the length of all that follows, the length of its name, the name, the content.
    module.extend([0, (1 + name.len() + content.len()) as u8, name.len() as u8]);
    module.extend(name);
    module.extend(content.as_bytes());
    module
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("connecting to port {port}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn post(port: u16, path: &str, kind: &str, body: &[u8]) -> Result<Value> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    ask(port, &[head.as_bytes(), body].concat())
}

fn ask(port: u16, request: &[u8]) -> Result<Value> {
    let mut stream = connect(port)?;
    stream.write_all(request)?;
    let mut buffer = Vec::new();
    let answer: Answer<'_> = read_answer(&mut stream, &mut buffer)?;
    if answer.status != 200 {
        bail!("answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
    }
    Ok(serde_json::from_slice(answer.body)?)
}

/// Every answer was planned once, by a generation of the strategy that it names: what the history counts for each
/// strategy is what its answers say. Returns the plans by strategy. Only for a host that serves nobody else.
fn check_plans(plan: &Plan, samples: &[Sample]) -> Result<Value> {
    let request = format!("GET /api/strategies/history?limit=1000 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", plan.port);
    let history = ask(plan.port, request.as_bytes())?;
    let mut by_strategy = serde_json::Map::new();
    for generation in history["generations"].as_array().into_iter().flatten() {
        let text = |name: &str| generation[name].as_str().unwrap_or_default();
        let calls = generation["planning"]["calls"].as_u64().unwrap_or(0);
        let sum = by_strategy.entry(format!("{}@{}", text("name"), text("version"))).or_insert(json!(0));
        *sum = json!(sum.as_u64().unwrap_or(0) + calls);
    }
    by_strategy.retain(|_, calls| calls != 0);
    for (strategy, calls) in &by_strategy {
        let answers = samples.iter().filter(|sample| sample.strategy == *strategy).count() as u64;
        ensure!(*calls == answers, "{strategy} planned {calls} requests, and {answers} answers name it");
    }
    let planned: u64 = by_strategy.values().filter_map(Value::as_u64).sum();
    ensure!(planned == samples.len() as u64, "{planned} plans for {} answers", samples.len());
    Ok(Value::Object(by_strategy))
}

fn report(plan: &Plan, samples: &[Sample], swaps: &[Swapped], planned: Value) -> Value {
    let nanoseconds = |duration: Duration| duration.as_nanos() as u64;
    let (window, first) = (nanoseconds(WINDOW), nanoseconds(plan.warm_up));
    let count = (nanoseconds(plan.measured) / window) as usize;
    let mut windows: Vec<Vec<u64>> = vec![Vec::new(); count];
    let mut all: Vec<u64> = Vec::new();
    for sample in samples.iter().filter(|sample| sample.due >= first) {
        if let Some(window) = windows.get_mut(((sample.due - first) / window) as usize) {
            window.push(sample.took);
        }
        all.push(sample.took);
    }
    all.sort_unstable();
    let rows: Vec<Value> = windows
        .into_iter()
        .enumerate()
        .map(|(number, mut took)| {
            took.sort_unstable();
            let (from, until) = (first + number as u64 * window, first + (number as u64 + 1) * window);
            // A swap shows from its request to the end of the window after its answer.
            let is_in = |swap: &&Swapped| swap.from < until && swap.until + window >= from;
            let what: Vec<&str> = swaps.iter().filter(is_in).map(|swap| swap.what.as_str()).collect();
            json!({
                "at_ms": number as u64 * window / 1_000_000, "requests": took.len(), "p50_us": at(&took, 0.5),
                "p99_us": at(&took, 0.99), "max_us": at(&took, 1.0), "swap": what.first(),
            })
        })
        .collect();
    let swap_rows: Vec<Value> = swaps
        .iter()
        .map(|swap| {
            json!({
                "what": swap.what, "at_ms": swap.from.saturating_sub(first) / 1_000_000,
                "took_ms": (swap.until - swap.from) as f64 / 1e6,
            })
        })
        .collect();
    json!({
        "requests": all.len(), "requests_per_second": all.len() as f64 / plan.measured.as_secs_f64(),
        "p50_us": at(&all, 0.5), "p99_us": at(&all, 0.99), "max_us": at(&all, 1.0),
        "planned": planned, "swaps": swap_rows, "windows": rows,
    })
}
