//! Clients that ask over and over, whatever they are answered, and count which strategy planned it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Nothing here takes longer unless it hangs.
const HANG: Duration = Duration::from_secs(120);

type Counts = BTreeMap<String, u64>;

pub(crate) struct Load {
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    counts: Mutex<Counts>,
    grew: Condvar,
    is_over: AtomicBool,
}

impl Load {
    pub(crate) fn start(port: u16, clients: usize) -> Self {
        let seen = Arc::new(Seen::default());
        let threads = (0..clients).map(|client| {
            let seen = seen.clone();
            std::thread::spawn(move || {
                let agent = agent();
                for number in 0.. {
                    if seen.is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let strategy = ask_by(&agent, port, &format!("{client} {number}")).0;
                    *seen.counts.lock().unwrap().entry(strategy).or_default() += 1;
                    seen.grew.notify_all();
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        });
        Self { threads: threads.collect(), seen: seen.clone() }
    }

    /// Waits until ten further answers were planned by this strategy.
    pub(crate) fn wait_for(&self, strategy: &str) {
        let count = |counts: &Counts| counts.get(strategy).copied().unwrap_or(0);
        let counts = self.seen.counts.lock().unwrap();
        let wanted = count(&counts) + 10;
        let (counts, waited) =
            self.seen.grew.wait_timeout_while(counts, HANG, |counts| count(counts) < wanted).unwrap();
        assert!(!waited.timed_out(), "{strategy} does not plan: {counts:?}");
    }

    /// The answers by strategy.
    pub(crate) fn stop(self) -> Counts {
        self.seen.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a client failed");
        }
        std::mem::take(&mut self.seen.counts.lock().unwrap())
    }
}

/// Asks once: the strategy that planned it and the request's id.
pub(crate) fn ask(port: u16, content: &str) -> (String, String) {
    ask_by(&agent(), port, content)
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(HANG)).http_status_as_error(false).build().into()
}

fn ask_by(agent: &ureq::Agent, port: u16, content: &str) -> (String, String) {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{content}"}}]}}"#);
    let request = agent.post(format!("http://127.0.0.1:{port}/v1/chat/completions"));
    let answer = request.content_type("application/json").send(&body).expect("the host does not answer");
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let found = (header("x-perfhost-strategy"), header("x-perfhost-request-id"));
    answer.into_body().read_to_string().expect("an answer that broke off");
    found
}
