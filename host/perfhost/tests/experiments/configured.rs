//! The experiment that the configuration asks for (`--ab`), over several starts of the host.

use perfhost::config::Sources;
use perfhost::config::raw::Raw;
use serde_json::{Value, json};

use crate::host::Running;
use crate::load::Load;
use crate::provider::Provider;
use crate::tuning::versions;
use crate::{start, unreliable, until_over};

/// How the experiments so far ended, the newest first.
fn endings(host: &Running) -> Vec<String> {
    let list = host.get("/api/experiments")["experiments"].as_array().unwrap().clone();
    list.iter().map(|one| one["ending"].as_str().unwrap().to_owned()).collect()
}

fn stop(host: &Running, id: u64) {
    let stopped: Value = host.post(&format!("/api/experiments/{id}/stop"), "application/json", b"{}");
    assert_eq!(stopped["ending"], "stopped");
}

#[test]
fn it_is_begun_again_until_it_is_decided_and_then_when_a_file_changes() {
    let files = tempfile::tempdir().unwrap();
    let arms = versions(files.path());
    let configured = |raw: &mut Raw, _: &mut Sources| raw.ab = Some(arms.to_vec());
    let provider = Provider::start(|_| true);
    let host = Running::start_as(&provider.url(), configured);
    assert_eq!(endings(&host), ["running"]);
    stop(&host, 1);
    let host = host.again(&provider.url(), configured);
    assert_eq!(endings(&host), ["running", "stopped"], "nobody knows yet which is better");
    stop(&host, 2);

    // The same question, asked in a hurry; the two differ in nothing.
    let load = Load::start(host.port(), 8);
    let status = start(&host, json!({ "arms": arms }));
    assert_eq!(until_over(&host, &status["id"])["ending"], "no-difference");
    load.stop();
    let host = host.again(&provider.url(), configured);
    assert_eq!(endings(&host)[0], "no-difference");

    let host = host.again(&provider.url(), |raw, sources| {
        configured(raw, sources);
        raw.tuning.fresh = Some(true);
    });
    assert_eq!(endings(&host)[..2], ["running", "no-difference"]);
    stop(&host, 4);
    let host = host.again(&provider.url(), configured);
    assert_eq!(endings(&host)[..2], ["stopped", "no-difference"], "what was known before is still known");

    // A new build of the challenger.
    let mut bytes = std::fs::read(&arms[1]).unwrap();
    let label = b"version=2.0.0 writes";
    let at = bytes.windows(label.len()).position(|bytes| bytes == label).unwrap();
    bytes[at..at + label.len()].copy_from_slice(b"version=3.0.0 writes");
    std::fs::write(&arms[1], bytes).unwrap();
    let host = host.again(&provider.url(), configured);
    assert_eq!(endings(&host)[..2], ["running", "stopped"]);
}

#[test]
fn it_does_not_displace_what_another_experiment_has_promoted() {
    let files = tempfile::tempdir().unwrap();
    let arms = versions(files.path());
    let configured = |raw: &mut Raw, sources: &mut Sources| {
        raw.ab = Some(arms.to_vec());
        sources.set.push("retries=0".to_owned());
    };
    let provider = unreliable();
    let host = Running::start_as(&provider.url(), configured);
    stop(&host, 1);
    let load = Load::start(host.port(), 8);
    let better = json!({ "strategy": "aggressive", "set": { "retries": 3 } });
    let status = start(&host, json!({ "arms": [arms[0], better], "confirm_ms": 0 }));
    assert_eq!(until_over(&host, &status["id"])["ending"], "promoted");
    load.stop();
    let host = host.again(&provider.url(), configured);
    assert_eq!(endings(&host), ["promoted", "stopped"]);
    assert_eq!(host.get("/api/strategies")["in_service"]["name"], "aggressive");
}
