//! The engine model against what was measured on the real one (Gemma 3 270M Q4_K_M, two cores, eight clients).
#![allow(clippy::unwrap_used, reason = "a test that cannot run must fail")]

use perfhost_simulation::{Scenario, Unattended, simulate};
use perfhost_strategy::Value;

#[test]
fn slots() {
    for slots in [1, 2, 4, 8, 16] {
        let scenario = Scenario {
            knobs: [("engine_slots@local".to_owned(), Value::Integer(slots))].into(),
            ..Scenario::default()
        };
        let t = std::time::Instant::now();
        let (run, _) = simulate(&scenario, 1, Unattended::default()).unwrap();
        eprintln!("{slots} {:?} {:?}", t.elapsed(), run.whole);
    }
}
