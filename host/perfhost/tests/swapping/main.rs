//! Strategies are swapped back and forth while clients ask: nobody notices but by the header that names who planned.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test says where")]

mod clients;
#[path = "../support/host.rs"]
mod host;
#[path = "../support/provider.rs"]
mod provider;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clients::Clients;
use host::Running;
use provider::Provider;
use serde_json::json;

/// Connections that ask. More than the host has workers, so that requests overlap with every swap.
const CONNECTIONS: usize = 8;

/// Answers that the strategy of each swap has to give before the next swap.
const ANSWERS_BETWEEN: u64 = 20;

/// The bytes of a built-in strategy with a custom section that nobody reads: another digest, so it has to be compiled.
fn other_bytes(name: &str, number: usize) -> Vec<u8> {
    let mut module = perfhost::built_in::find(name).unwrap().to_vec();
    let content = format!("test {number:04}");
    module.extend([0, content.len() as u8 + 5, 4]);
    module.extend(b"test");
    module.extend(content.as_bytes());
    module
}

#[test]
fn dozens_of_swaps_under_load_fail_no_request_and_each_is_planned_by_one_generation() {
    let answered = Arc::new(AtomicU64::new(0));
    let count = answered.clone();
    let provider = Provider::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        true
    });
    let host = Running::start(&provider.url());
    let clients = Clients::start(host.port(), CONNECTIONS);
    let files = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..8 {
        for swap in ["conservative", "new balanced", "aggressive", "rollback", "new conservative"] {
            let answer = match swap.split_once(' ') {
                Some((_, name)) => {
                    let file = files.path().join("new.wasm");
                    std::fs::write(&file, other_bytes(name, expected.len())).unwrap();
                    host.post("/api/strategies", "application/json", json!({ "name": file }).to_string().as_bytes())
                }
                None if swap == "rollback" => host.post("/api/strategies/rollback", "application/json", b"{}"),
                None => {
                    let body = json!({ "name": swap }).to_string();
                    host.post("/api/strategies", "application/json", body.as_bytes())
                }
            };
            let serving = &answer["in_service"];
            let strategy = format!("{}@{}", serving["name"].as_str().unwrap(), serving["version"].as_str().unwrap());
            assert_eq!(serving["generation"], expected.len() + 2, "round {round}, {swap}");
            clients.wait_for(&strategy, ANSWERS_BETWEEN);
            expected.push(strategy);
        }
    }
    let answers = clients.stop();

    let history = host.get("/api/strategies/history?limit=1000");
    let generations = history["generations"].as_array().unwrap();
    assert_eq!(generations.len(), expected.len() + 1);
    let mut planned: BTreeMap<String, u64> = BTreeMap::new();
    for generation in generations {
        let text = |name: &str| generation[name].as_str().unwrap();
        let calls = &generation["planning"];
        assert_eq!((calls["failures"].as_u64(), calls["is_demoted"].as_bool()), (Some(0), Some(false)), "{generation}");
        assert_eq!(generation["figures"]["errors"], 0, "{generation}");
        *planned.entry(format!("{}@{}", text("name"), text("version"))).or_default() +=
            calls["calls"].as_u64().unwrap();
    }
    // Exactly once: no answer without a plan, no plan without an answer, and each by the strategy that it names.
    assert_eq!(answers, planned);
    assert_eq!(answers.values().sum::<u64>(), answered.load(Ordering::SeqCst));
}
