//! Arms that tune while both serve, and what a replay makes of the log of it.

use std::path::Path;
use std::process::Command;

use perfhost_strategy::guard::GuardPolicy;
use serde_json::{Value, json};

use crate::host::Running;
use crate::load::Load;
use crate::provider::Provider;
use crate::start;

/// Two versions of the guest that asks for what it is told to: it says that it turns nothing, so both serve at once.
pub(crate) fn versions(folder: &Path) -> [String; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let target = ["--target", "wasm32-unknown-unknown", "--target-dir", "target/guests"];
    let arguments = ["build", "--quiet", "--profile", "guest", "-p", "guest-versioned"];
    let status = Command::new(env!("CARGO")).current_dir(&root).args(arguments).args(target).status().unwrap();
    assert!(status.success(), "building guest-versioned; is wasm32-unknown-unknown installed (rustup target add)?");
    let built = std::fs::read(root.join("target/guests/wasm32-unknown-unknown/guest/guest_versioned.wasm")).unwrap();
    ["1", "2"].map(|number| {
        let (label, other) = (b"version=1.0.0 writes", format!("version={number}.0.0 writes"));
        let at = built.windows(label.len()).position(|bytes| bytes == label).unwrap();
        let mut bytes = built.clone();
        bytes[at..at + label.len()].copy_from_slice(other.as_bytes());
        let file = folder.join(format!("v{number}.wasm"));
        std::fs::write(&file, bytes).unwrap();
        file.display().to_string()
    })
}

/// How often each version's proposals were applied.
fn applied(host: &Running) -> [usize; 2] {
    let decisions = host.get("/api/decisions?limit=1000")["decisions"].as_array().unwrap().clone();
    ["versioned@1.0.0", "versioned@2.0.0"]
        .map(|version| decisions.iter().filter(|one| one["strategy"] == version && !one["applied"].is_null()).count())
}

#[test]
fn both_arms_tune_while_both_serve_and_a_replay_finds_what_each_did() {
    let files = tempfile::tempdir().unwrap();
    let [first, second] = versions(files.path());
    let provider = Provider::start(|_| true);
    let host = Running::start_as(&provider.url(), |raw, _| {
        raw.tuning.interval_ms = Some(500);
        // No change is measured before the turn of the arm that made it ends, and the other arm need not wait for it.
        raw.tuning.guard = Some(GuardPolicy { settle_ms: 600_000, ..GuardPolicy::default() });
        let ask = [("ask".to_owned(), perfhost_strategy::Value::Text("retries=3".to_owned()))];
        raw.parameters.insert("versioned".to_owned(), ask.into());
    });
    let load = Load::start(host.port(), 4);
    // Any difference is worth a change and there is none, so that it goes on until it is stopped.
    // Neither was in service before, so that both begin with the same settings.
    let status = start(&host, json!({ "arms": [first, second], "guardrails": [], "objective": "goodput:0" }));
    assert_eq!(status["choice"]["regime"], "per-request", "{status:#}");
    let both = |host: &Running| applied(host).iter().all(|count| *count > 0);
    for _ in 0..600 {
        if both(&host) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(both(&host), "{:?}: each has settings of its own, in which retries are not 3 yet", applied(&host));
    for version in ["versioned@1.0.0", "versioned@2.0.0"] {
        load.wait_for(version);
    }
    let decisions = host.get("/api/decisions?limit=1000")["decisions"].as_array().unwrap().clone();
    let is_over = |one: &&Value| one["detail"].as_str().unwrap().ends_with("its turn in an experiment ended");
    assert!(decisions.iter().any(|one| is_over(&one)), "{decisions:#?}");
    host.post(&format!("/api/experiments/{}/stop", status["id"]), "application/json", b"{}");
    load.stop();

    for (file, version) in [(&first, "versioned@1.0.0"), (&second, "versioned@2.0.0")] {
        let mut replay = Command::new(env!("CARGO_BIN_EXE_perfhost"));
        let replay = replay.args(["replay", file, "--output", "json", "--data-dir"]).arg(host.data_dir());
        let output = replay.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let listed = found["listed"].as_array().unwrap();
        let own: Vec<_> = listed.iter().filter(|cycle| cycle["recorded_by"] == version).collect();
        assert!(!own.is_empty(), "{found:#}");
        assert!(own.iter().all(|cycle| cycle["agreement"] == "identical"), "{own:#?}");
        let figures = &found["figures"];
        assert_eq!(figures["own_from_start"], figures["own_from_start_identical"], "{figures:#}");
        assert!(figures["own_from_start"].as_u64() >= Some(own.len() as u64), "{figures:#}");
    }
}
