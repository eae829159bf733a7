//! A whole host inside the test's process, with a provider and without an engine.

use std::net::TcpListener;
use std::thread::JoinHandle;

use perfhost::config::raw::{Raw, RawEngine, RawUpstream};
use perfhost::config::{Config, Sources};
use perfhost_gateway::{ShutdownTrigger, shutdown_channel};
use serde_json::Value;

/// A running host, stopped when dropped.
pub(crate) struct Running {
    port: u16,
    trigger: ShutdownTrigger,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
    folder: Option<tempfile::TempDir>,
}

impl Running {
    /// In front of this provider, and ready.
    pub(crate) fn start(upstream: &str) -> Self {
        Self::start_as(upstream, |_, _| {})
    }

    /// The same with another configuration.
    pub(crate) fn start_as(upstream: &str, change: impl FnOnce(&mut Raw, &mut Sources)) -> Self {
        Self::begin(tempfile::tempdir().unwrap(), upstream, change)
    }

    /// Stops it, and starts it again on what it left behind.
    #[allow(dead_code, reason = "not every test starts its host again")]
    pub(crate) fn again(mut self, upstream: &str, change: impl FnOnce(&mut Raw, &mut Sources)) -> Self {
        self.stop();
        let folder = self.folder.take().unwrap();
        Self::begin(folder, upstream, change)
    }

    fn begin(folder: tempfile::TempDir, upstream: &str, change: impl FnOnce(&mut Raw, &mut Sources)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = RawUpstream { name: None, url: upstream.to_owned(), kind: None, key_env: None, key_file: None };
        let mut raw = Raw {
            listen: Some(format!("127.0.0.1:{port}")),
            data_dir: Some(folder.path().join("data")),
            discovery: Some(false),
            upstream: vec![upstream],
            engine: RawEngine { enabled: Some(false), ..RawEngine::default() },
            ..Raw::default()
        };
        // On a busy machine an unoptimised host is over the usual budget, and would stop asking the strategy.
        let mut sources = Sources {
            environment: vec![("HOME".to_owned(), folder.path().display().to_string())],
            set: vec!["plan_budget_us=100000".to_owned()],
            ..Sources::default()
        };
        change(&mut raw, &mut sources);
        let config = Config::check(raw, &sources).unwrap();
        let (trigger, shutdown) = shutdown_channel();
        let thread = std::thread::spawn(move || perfhost::host::run(listener, config, sources, shutdown));
        let host = Self { port, trigger, thread: Some(thread), folder: Some(folder) };
        // Answered once the host serves; until then the listener holds the connection.
        assert_eq!(host.get("/api/system/status")["status"], "up");
        host
    }

    /// Where it keeps what it knows.
    #[allow(dead_code, reason = "not every test looks there")]
    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.folder.as_ref().unwrap().path().join("data")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path)).unwrap()
    }

    pub(crate) fn text(&self, path: &str) -> String {
        let answer = ureq::get(format!("http://127.0.0.1:{}{path}", self.port)).call().unwrap();
        answer.into_body().read_to_string().unwrap()
    }

    pub(crate) fn post(&self, path: &str, kind: &str, body: &[u8]) -> Value {
        let request = ureq::post(format!("http://127.0.0.1:{}{path}", self.port)).content_type(kind);
        let answer = request.send(body).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&answer.into_body().read_to_string().unwrap()).unwrap()
    }
}

impl Running {
    fn stop(&mut self) {
        self.trigger.stop();
        let Some(thread) = self.thread.take() else { return };
        let ended = thread.join().unwrap();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
