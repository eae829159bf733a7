//! Guests for tests, built when missing, and the small inputs that calls need.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use perfhost_strategy::plan::{FleetNames, Operation, Target};
use perfhost_strategy::{Candidate, Observation, PlanRequest, Strategy};
use perfhost_wasm::{Limits, LoadError, NoHistory, PluginSource, Runtime, RuntimeConfig};

/// Without WASI, as the contract recommends.
pub(crate) const PLAIN: &str = "wasm32-unknown-unknown";
/// With the standard library's WASI imports.
pub(crate) const WASI: &str = "wasm32-wasip2";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The file of a guest, built first when it is missing or older than its source.
pub(crate) fn guest(package: &str, target: &str) -> Vec<u8> {
    let root = workspace();
    let built = root.join("target/guests").join(target).join("guest").join(package.replace('-', "_") + ".wasm");
    let modified = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let source = modified(&root.join("tests/guests").join(package).join("src/lib.rs"));
    if modified(&built).is_none_or(|built| source.is_some_and(|source| source > built)) {
        // Two tests may come here at once: cargo's own lock lets one build, and the other finds it done.
        let status = Command::new(env!("CARGO"))
            .current_dir(&root)
            .args(["build", "--quiet", "--profile", "guest", "--target", target, "--target-dir", "target/guests"])
            .args(["-p", package])
            .status()
            .unwrap();
        assert!(
            status.success(),
            "building {package} for {target}; is the target installed (rustup target add {target})?"
        );
    }
    std::fs::read(&built).unwrap_or_else(|error| panic!("{}: {error}", built.display()))
}

pub(crate) fn source(name: &str, bytes: Vec<u8>) -> PluginSource {
    PluginSource { name: name.to_owned(), bytes }
}

/// Limits under which a runaway call ends soon, and a healthy one on a busy machine still has time enough.
pub(crate) fn short_limits() -> Limits {
    Limits {
        plan_timeout: Duration::from_millis(50),
        call_timeout: Duration::from_millis(200),
        load_timeout: Duration::from_millis(400),
        ..Limits::default()
    }
}

pub(crate) fn runtime(limits: Limits) -> Arc<Runtime> {
    Runtime::new(RuntimeConfig { cache_dir: None, limits }).unwrap()
}

pub(crate) fn load(runtime: &Arc<Runtime>, name: &str, bytes: Vec<u8>) -> Result<Arc<dyn Strategy>, LoadError> {
    runtime.load(&source(name, bytes), Arc::new(NoHistory))
}

/// The hostile guest, loaded, in a mode.
pub(crate) fn hostile(runtime: &Arc<Runtime>, mode: &str) -> Arc<dyn Strategy> {
    let strategy = load(runtime, "hostile.wasm", guest("guest-hostile", PLAIN)).unwrap();
    strategy.fleet(&fleet()).unwrap();
    set_mode(&*strategy, mode);
    strategy
}

pub(crate) fn set_mode(strategy: &dyn Strategy, mode: &str) {
    strategy.configure(&[("mode".to_owned(), mode.to_owned())], &[]).unwrap();
}

pub(crate) fn seen() -> Observation {
    Observation { now_ms: 1_700_000_000_000, seed: 7, interval_ms: 5_000, ..Observation::default() }
}

pub(crate) fn asked() -> PlanRequest {
    PlanRequest {
        operation: Operation::Chat,
        model: 0,
        is_streaming: false,
        is_deterministic: true,
        prompt_bytes: 100,
        max_tokens: 10,
        priority: 3,
        deadline_ms: 0,
        key: 1,
        session: 2,
        was_seen_before: false,
    }
}

pub(crate) fn candidates(count: u32) -> Vec<Candidate> {
    (0..count).map(|target| Candidate { target, weight: 1.0, ..Candidate::default() }).collect()
}

pub(crate) fn fleet() -> FleetNames {
    let target = |provider: &str| Target {
        provider: provider.to_owned(),
        model: "m".to_owned(),
        kind: "openai-compatible".to_owned(),
    };
    FleetNames { targets: vec![target("a"), target("b")], models: vec!["m".to_owned()] }
}
