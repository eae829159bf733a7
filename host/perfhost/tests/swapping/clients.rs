//! Clients that ask over and over on kept-alive connections, and count who planned their answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Nothing here takes longer unless it hangs.
const HANG: Duration = Duration::from_secs(120);

/// Between an answer and the next question: a machine without a moment to spare would take its time to compile, which is
/// done in the time that requests leave.
const PAUSE: Duration = Duration::from_millis(1);

type Counts = BTreeMap<String, u64>;

pub(crate) struct Clients {
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    counts: Mutex<Counts>,
    grew: Condvar,
    is_over: AtomicBool,
}

impl Clients {
    pub(crate) fn start(port: u16, connections: usize) -> Self {
        let seen = Arc::new(Seen::default());
        let threads = (0..connections).map(|_| {
            let seen = seen.clone();
            std::thread::spawn(move || ask_on(port, &seen))
        });
        Self { threads: threads.collect(), seen: seen.clone() }
    }

    /// Waits until `more` further answers were planned by this strategy.
    pub(crate) fn wait_for(&self, strategy: &str, more: u64) {
        let count = |counts: &Counts| counts.get(strategy).copied().unwrap_or(0);
        let counts = self.seen.counts.lock().unwrap();
        let wanted = count(&counts) + more;
        let (_counts, waited) =
            self.seen.grew.wait_timeout_while(counts, HANG, |counts| count(counts) < wanted).unwrap();
        assert!(!waited.timed_out(), "{strategy} does not plan");
        assert!(!self.threads.iter().any(JoinHandle::is_finished), "a client failed");
    }

    /// Lets every client read its last answer; the answers by strategy.
    pub(crate) fn stop(self) -> Counts {
        self.seen.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a client failed");
        }
        std::mem::take(&mut self.seen.counts.lock().unwrap())
    }
}

fn ask_on(port: u16, seen: &Seen) {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(HANG)).build().into();
    let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
    for number in 0.. {
        if seen.is_over.load(Ordering::SeqCst) {
            return;
        }
        // No two alike, so that no strategy has an answer in the cache.
        let content = format!("{:?} {number}", std::thread::current().id());
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{content}"}}]}}"#);
        // An error status is an error here.
        let answer = agent.post(&url).content_type("application/json").send(&body).expect("a failed request");
        let strategy = answer.headers()["x-perfhost-strategy"].to_str().unwrap().to_owned();
        let text = answer.into_body().read_to_string().expect("an answer that broke off");
        assert!(text.contains("chat.completion"), "{text}");
        *seen.counts.lock().unwrap().entry(strategy).or_default() += 1;
        seen.grew.notify_all();
        std::thread::sleep(PAUSE);
    }
}
