//! A gateway on a free port, built as a test wants it.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::SystemTime;

use perfhost_cache::{Cache, Flights};
use perfhost_gateway::{
    AccessPolicy, Admission, AlertsAsk, Control, ControlError, ExperimentControl, Firing, Limits, ReportFormat,
    Services, ShutdownTrigger, StrategySource, run, shutdown_channel,
};
use perfhost_strategy::decision::Decision;
use perfhost_strategy::{Generation, KnobId, Proposal, Scope, Settings, Shared, Value};
use perfhost_telemetry::{ExtraMetric, GpuResources, Store, Telemetry};
use perfhost_upstream::{Endpoint, Fleet, ProviderConfig, ProviderKind, tls_config};
use serde_json::json;

use super::{Client, Double};

/// A running gateway, stopped when dropped.
pub(crate) struct Host {
    pub(crate) services: Arc<Services>,
    pub(crate) control: Arc<Recorded>,
    address: SocketAddr,
    trigger: ShutdownTrigger,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    _directory: tempfile::TempDir,
}

/// How to build one.
pub(crate) struct Builder {
    providers: Vec<(String, SocketAddr, bool)>,
    strategy: Double,
    settings: Settings,
    access: AccessPolicy,
    limits: Limits,
}

/// A control that remembers what it was asked.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) loads: Mutex<Vec<StrategySource>>,
    pub(crate) kept: Mutex<Vec<StrategySource>>,
    pub(crate) asked_of_alerts: Mutex<Vec<AlertsAsk>>,
    pub(crate) rollbacks: Mutex<Vec<Option<u64>>>,
    pub(crate) proposals: Mutex<Vec<(String, Vec<Proposal>)>>,
    pub(crate) experiments: Mutex<Vec<String>>,
    /// Length of a text in what it says of resources.
    pub(crate) bulk: Mutex<usize>,
    /// What it says of graphics processors.
    pub(crate) gpus: Mutex<Vec<GpuResources>>,
}

impl Host {
    /// With one provider named `local` that lists the model `m`.
    pub(crate) fn before(provider: SocketAddr) -> Builder {
        Self::empty().provider("local", provider)
    }

    pub(crate) fn empty() -> Builder {
        Builder {
            providers: Vec::new(),
            strategy: Double::plain(),
            settings: Settings::default(),
            access: AccessPolicy::default(),
            limits: Limits::default(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client(self.address)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.services.admission.in_flight()
    }

    pub(crate) fn queued(&self) -> usize {
        self.services.admission.queued()
    }

    /// Turns a knob while the gateway runs.
    pub(crate) fn turn(&self, id: KnobId, value: i64) {
        let settings = self.services.settings.load().with(id, &Scope::global(), Value::Integer(value));
        self.services.settings.store(Arc::new(settings));
    }

    pub(crate) fn drain(&self) {
        self.trigger.drain();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.trigger.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join().unwrap();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

impl Builder {
    pub(crate) fn provider(mut self, name: &str, address: SocketAddr) -> Self {
        self.providers.push((name.to_owned(), address, false));
        self
    }

    pub(crate) fn engine(mut self, name: &str, address: SocketAddr) -> Self {
        self.providers.push((name.to_owned(), address, true));
        self
    }

    pub(crate) fn strategy(mut self, strategy: Double) -> Self {
        self.strategy = strategy;
        self
    }

    pub(crate) fn knob(mut self, id: KnobId, value: i64) -> Self {
        self.settings = self.settings.with(id, &Scope::global(), Value::Integer(value));
        self
    }

    pub(crate) fn access(mut self, access: AccessPolicy) -> Self {
        self.access = access;
        self
    }

    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub(crate) fn start(self) -> Host {
        let directory = tempfile::tempdir().unwrap();
        let fleet = Fleet::new();
        for (name, address, is_managed) in self.providers {
            let config = ProviderConfig {
                name,
                kind: ProviderKind::OpenAiCompatible,
                endpoint: Endpoint::parse(&format!("http://{address}")).unwrap(),
                key: None,
                is_managed,
            };
            fleet.add(config).set_models(vec!["m".to_owned()]);
        }
        let control = Arc::new(Recorded::default());
        let services = Arc::new(Services {
            fleet,
            cache: Cache::new(self.settings.cache_capacity_bytes),
            flights: Flights::new(),
            telemetry: Telemetry::new(),
            store: Store::open(directory.path()).unwrap(),
            admission: Admission::new(&self.settings),
            settings: Arc::new(Shared::new(Arc::new(self.settings))),
            generation: Arc::new(Shared::new(Arc::new(Generation::new(1, Arc::new(self.strategy))))),
            experiment: Arc::new(Shared::new(Arc::new(None))),
            control: control.clone(),
            experiments: control.clone(),
            access: self.access,
            tls: tls_config().unwrap(),
            started_at: SystemTime::now(),
            limits: self.limits,
            targets: Default::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (trigger, shutdown) = shutdown_channel();
        let running = services.clone();
        let thread = std::thread::spawn(move || run(listener, running, 2, shutdown));
        Host { services, control, address, trigger, thread: Some(thread), _directory: directory }
    }
}

impl Control for Recorded {
    fn strategies(&self) -> serde_json::Value {
        json!({ "strategies": [{ "name": "double" }] })
    }

    fn load(&self, source: StrategySource) -> Result<serde_json::Value, ControlError> {
        match &source {
            StrategySource::Named { name, .. } if name == "broken" => {
                let message = "broken: not WebAssembly".to_owned();
                return Err(ControlError::Invalid { code: "not-wasm".to_owned(), message });
            }
            StrategySource::Named { name, .. } if name == "forbidden" => {
                let message = "add \"oci\" to trust.api_sources".to_owned();
                return Err(ControlError::Refused { code: "not-allowed".to_owned(), message });
            }
            _ => {}
        }
        self.loads.lock().unwrap().push(source);
        Ok(json!({ "loaded": true }))
    }

    fn keep(&self, source: StrategySource) -> Result<serde_json::Value, ControlError> {
        self.kept.lock().unwrap().push(source);
        Ok(json!({ "at_hand": true }))
    }

    fn generations(&self, limit: usize, before: Option<u64>) -> Result<serde_json::Value, ControlError> {
        Ok(json!({ "generations": [], "limit": limit, "before": before }))
    }

    fn rollback(&self, to: Option<u64>) -> Result<serde_json::Value, ControlError> {
        self.rollbacks.lock().unwrap().push(to);
        let message = "there is no strategy before this one".to_owned();
        Err(ControlError::Conflict { code: "nothing-before".to_owned(), message })
    }

    fn propose(&self, author: &str, proposals: Vec<Proposal>) -> Result<Vec<Decision>, ControlError> {
        self.proposals.lock().unwrap().push((author.to_owned(), proposals));
        let message = "an experiment's arms tune in turns".to_owned();
        Err(ControlError::Conflict { code: "experiment".to_owned(), message })
    }

    fn alerts(&self, ask: AlertsAsk) -> Result<serde_json::Value, ControlError> {
        self.asked_of_alerts.lock().unwrap().push(ask);
        Ok(json!({ "alerts": [] }))
    }

    fn alerts_firing(&self) -> Vec<Firing> {
        vec![Firing { rule: "slow-responses".to_owned(), severity: "warning", count: 1 }]
    }

    fn metrics(&self) -> Vec<ExtraMetric> {
        vec![ExtraMetric::gauge("perfhost_of_the_host", "A metric of the host around the gateway.", 1.0)]
    }

    fn knobs(&self) -> serde_json::Value {
        json!({ "knobs": [] })
    }

    fn status(&self) -> serde_json::Value {
        json!({ "strategy": "double@1.2.3" })
    }

    fn resources(&self) -> serde_json::Value {
        json!({ "cpu": 0.5, "bulk": "x".repeat(*self.bulk.lock().unwrap()) })
    }

    fn gpus(&self) -> Vec<GpuResources> {
        self.gpus.lock().unwrap().clone()
    }
}

impl Recorded {
    fn note(&self, what: String) -> Result<serde_json::Value, ControlError> {
        self.experiments.lock().unwrap().push(what);
        Ok(json!({ "done": true }))
    }
}

impl ExperimentControl for Recorded {
    fn start(&self, request: serde_json::Value) -> Result<serde_json::Value, ControlError> {
        self.note(format!("start {request}"))
    }

    fn list(&self, limit: usize) -> Result<serde_json::Value, ControlError> {
        self.note(format!("list {limit}"))
    }

    fn status(&self, id: u64) -> Result<serde_json::Value, ControlError> {
        match id {
            404 => Err(ControlError::NotFound { message: "there is no experiment 404".to_owned() }),
            _ => self.note(format!("status {id}")),
        }
    }

    fn stop(&self, id: u64, why: &str) -> Result<serde_json::Value, ControlError> {
        self.note(format!("stop {id}: {why}"))
    }

    fn report(&self, id: u64, format: ReportFormat) -> Result<String, ControlError> {
        Ok(format!("{format:?} of {id}"))
    }

    fn feedback(&self, request_id: &str, score: f64) -> Result<serde_json::Value, ControlError> {
        self.note(format!("feedback {request_id} {score}"))
    }
}
