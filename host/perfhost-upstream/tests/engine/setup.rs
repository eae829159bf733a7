//! What the tests of this folder stand on: a folder, a fleet, a client, and an engine of the stand-in program.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use perfhost_strategy::Settings;
use perfhost_strategy::settings::{EngineSettings, ProviderSettings};
use perfhost_upstream::engine::{Engine, EngineChange, EngineConfig, EngineProgram, EngineState};
use perfhost_upstream::{Client, Fleet, tls_config};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::task::JoinHandle;

/// Nothing here takes longer unless it hangs.
const HANG: Duration = Duration::from_secs(30);

/// Slots of the process that answered, or what went wrong.
pub(crate) type Answer = Result<u64, String>;

pub(crate) struct Setup {
    folder: tempfile::TempDir,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) config: EngineConfig,
    client: Rc<Client>,
    changes: Arc<Mutex<Vec<EngineChange>>>,
    told: Rc<RefCell<tokio::sync::watch::Sender<usize>>>,
}

/// Runs a test as a worker and the control plane would run: one thread, tasks that need not be `Send`.
pub(crate) fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

pub(crate) fn is_alive(pid: u32) -> bool {
    Pid::from_raw(pid as i32).is_some_and(|pid| test_kill_process(pid).is_ok())
}

impl Setup {
    pub(crate) fn new(faults: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let launcher = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/engine/fake_llama_server.py");
        let program = EngineProgram::Python { python: "python3".into(), launcher };
        let model = folder.path().join("tiny.gguf");
        std::fs::write(&model, "no model").unwrap();
        let mut config = EngineConfig::new("local", program, &model, "tiny", folder.path());
        config.extra_arguments = faults.iter().map(|fault| (*fault).to_owned()).collect();
        config.stop_grace = Duration::from_millis(500);
        Self {
            fleet: Fleet::new(),
            config,
            client: Rc::new(Client::new(tls_config().unwrap())),
            changes: Arc::default(),
            told: Rc::new(RefCell::new(tokio::sync::watch::Sender::new(0))),
            folder,
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn settings(&self, slots: u32) -> EngineSettings {
        EngineSettings { slots, ..Settings::default().engine("local") }
    }

    pub(crate) fn start(&self, slots: u32) -> Engine {
        let engine = Engine::start(self.config.clone(), self.settings(slots), self.fleet.clone()).unwrap();
        let changes = self.changes.clone();
        let told = self.told.borrow().clone();
        engine.on_change(move |change| {
            let mut changes = changes.lock().unwrap();
            changes.push(change.clone());
            told.send_replace(changes.len());
        });
        engine
    }

    pub(crate) fn changes(&self) -> Vec<EngineChange> {
        self.changes.lock().unwrap().clone()
    }

    pub(crate) async fn until_changes(&self, count: usize) -> Vec<EngineChange> {
        let mut told = self.told.borrow().subscribe();
        tokio::time::timeout(HANG, told.wait_for(|told| *told >= count)).await.expect("too few changes").unwrap();
        self.changes()
    }

    pub(crate) async fn until(&self, engine: &Engine, is_so: impl FnMut(&EngineState) -> bool) -> EngineState {
        let mut watch = engine.watch();
        match tokio::time::timeout(HANG, watch.wait_for(is_so)).await {
            Ok(state) => state.unwrap().clone(),
            Err(_) => panic!("the engine stays {:?}", engine.state()),
        }
    }

    pub(crate) async fn until_gone(&self, pid: u32) {
        let gone = async {
            while is_alive(pid) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(HANG, gone).await.expect("the process is still there");
    }

    pub(crate) fn signal(&self, pid: u32, signal: Signal) {
        kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
    }

    /// One request through the client, as the gateway sends them.
    pub(crate) async fn ask(&self, seconds: f64) -> Answer {
        ask(self.fleet.clone(), self.client.clone(), seconds).await
    }

    pub(crate) fn ask_beside(&self, seconds: f64) -> JoinHandle<Answer> {
        tokio::task::spawn_local(ask(self.fleet.clone(), self.client.clone(), seconds))
    }

    /// Asks without a pause, one request after the other, until told to stop; gives every answer.
    pub(crate) fn keep_asking(&self) -> (tokio::sync::watch::Sender<bool>, JoinHandle<Vec<Answer>>) {
        let (stop, is_stopped) = tokio::sync::watch::channel(false);
        let (fleet, client) = (self.fleet.clone(), self.client.clone());
        let asking = tokio::task::spawn_local(async move {
            let mut answers = Vec::new();
            while !*is_stopped.borrow() {
                answers.push(ask(fleet.clone(), client.clone(), 0.01).await);
            }
            answers
        });
        (stop, asking)
    }
}

async fn ask(fleet: Arc<Fleet>, client: Rc<Client>, seconds: f64) -> Answer {
    let provider = fleet.provider("local").ok_or("no provider")?;
    let settings: ProviderSettings = Settings::default().provider("local");
    let body = Bytes::from(format!("{{\"seconds\":{seconds}}}"));
    let request = http::Request::post("/v1/completions").body(body).map_err(|error| error.to_string())?;
    let sent = client.send(&provider, &settings, request).await.map_err(|error| error.to_string())?;
    let body = sent.response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    answer["slots"].as_u64().ok_or_else(|| "no slots".to_owned())
}
