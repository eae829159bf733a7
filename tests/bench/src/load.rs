//! Closed-loop load on kept-alive connections, with the time to the first byte and to the last of every answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use memchr::memmem;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What to send, where, and for how long.
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) connections: usize,
    pub(crate) measured: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) body: String,
}

/// A chat request of ordinary size.
pub(crate) fn body(stream: bool, deterministic: bool) -> String {
    let mut body = r#"{"model":"bench","messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Name the three largest cities in France."}],"max_tokens":64"#.to_owned();
    if stream {
        body += r#","stream":true"#;
    }
    if deterministic {
        body += r#","temperature":0"#;
    }
    body + "}"
}

/// Runs the plan. Times are in microseconds.
pub(crate) async fn run(plan: Plan) -> Result<Value> {
    let started = Instant::now();
    let (from, until) = (started + plan.warm_up, started + plan.warm_up + plan.measured);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-type: application/json\r\nauthorization: Bearer bench\r\n\
         user-agent: perfhost-bench\r\naccept: */*\r\ncontent-length: {}\r\n\r\n{}",
        plan.port,
        plan.body.len(),
        plan.body
    );
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..plan.connections {
        clients.spawn(client(plan.port, request.clone().into_bytes(), from, until));
    }
    let (mut whole, mut first) = (Vec::new(), Vec::new());
    while let Some(done) = clients.join_next().await {
        for (to_first, to_last) in done?? {
            first.push(to_first);
            whole.push(to_last);
        }
    }
    if whole.is_empty() {
        bail!("no request ended in time");
    }
    whole.sort_unstable();
    first.sort_unstable();
    let at = |sorted: &[u64], share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    Ok(json!({
        "requests": whole.len(),
        "requests_per_second": whole.len() as f64 / plan.measured.as_secs_f64(),
        "p50_us": at(&whole, 0.5), "p90_us": at(&whole, 0.9), "p99_us": at(&whole, 0.99),
        "first_byte_p50_us": at(&first, 0.5), "first_byte_p99_us": at(&first, 0.99),
    }))
}

/// One connection. Returns, for each answer that began and ended in the measured time, nanoseconds to its first and last byte.
async fn client(port: u16, request: Vec<u8>, from: Instant, until: Instant) -> Result<Vec<(u64, u64)>> {
    let mut stream =
        TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("connecting to port {port}"))?;
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        let sent = Instant::now();
        if sent >= until {
            return Ok(times);
        }
        stream.write_all(&request).await?;
        buffer.clear();
        let mut first = None;
        loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                bail!("the connection was closed in the middle of an answer");
            }
            first.get_or_insert_with(|| sent.elapsed());
            if is_complete(&buffer)? {
                break;
            }
        }
        let whole = sent.elapsed();
        if sent >= from && sent + whole <= until {
            times.push((first.unwrap_or(whole).as_nanos() as u64, whole.as_nanos() as u64));
        }
    }
}

/// Whether a whole answer has arrived. Any status but 200 is an error: it would be measured as a fast answer.
fn is_complete(buffer: &[u8]) -> Result<bool> {
    let Some(head) = memmem::find(buffer, b"\r\n\r\n").map(|at| at + 4) else { return Ok(false) };
    if !buffer.starts_with(b"HTTP/1.1 200") {
        bail!("answered {:?}", String::from_utf8_lossy(&buffer[..buffer.len().min(400)]));
    }
    let headers = std::str::from_utf8(&buffer[..head])?;
    for line in headers.split("\r\n") {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return Ok(buffer.len() >= head + value.trim().parse::<usize>()?);
        }
    }
    Ok(buffer.ends_with(b"0\r\n\r\n"))
}
