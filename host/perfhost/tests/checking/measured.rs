//! `perfhost plugin bench`: every figure is there and can be true. How fast anything is, no test asserts.

use serde_json::Value;

use super::{PLAIN, guest, perfhost, text};

#[test]
fn every_figure_is_measured_and_makes_sense() {
    let output = perfhost(&["bench", "balanced", "--seconds", "1", "--output", "json"]);
    let measured: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert_eq!((output.status.code(), measured["strategy"]["name"].as_str()), (Some(0), Some("balanced")));
    for times in ["load_cached_ms", "instantiate_ms", "first_plan_ms", "propose_us"] {
        let [min, p50, p99] = ["min", "p50", "p99"].map(|field| measured[times][field].as_f64().unwrap());
        assert!(0.0 < min && min <= p50 && p50 <= p99, "{times}: {}", measured[times]);
        assert!(measured[times]["calls"].as_u64() >= Some(1), "{times}");
    }
    let plans = measured["plans"].as_array().unwrap();
    let candidates: Vec<u64> = plans.iter().map(|plan| plan["candidates"].as_u64().unwrap()).collect();
    assert_eq!(candidates, [1, 3, 10, 100]);
    assert!(plans.iter().all(|plan| plan["mean_us"].as_f64() > Some(0.0)), "{plans:?}");
    let memory = measured["memory"]["planning_bytes"].as_u64();
    assert!(memory > Some(0) && memory <= measured["budgets"]["memory_limit_bytes"].as_u64(), "{memory:?}");
    assert!(measured["load_cold_ms"].as_f64() > Some(0.0) && measured["compiled_bytes"].as_u64() > Some(0));
    assert_eq!(measured["is_optimised"], !cfg!(debug_assertions));
}

#[test]
fn an_advisor_is_measured_without_plans() {
    let output = perfhost(&["bench", "quantization-advisor", "--seconds", "1"]);
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("load, compiled before") && !said.contains("plan,"), "{said}");
}

#[test]
fn what_cannot_be_measured_is_explained() {
    let refused = perfhost(&["bench", &guest("guest-wrong-type", PLAIN)]);
    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("stage types") && said.contains("to mend it"), "{said}");
    let hostile = guest("guest-hostile", PLAIN);
    let failed = perfhost(&["bench", &hostile, "--seconds", "1", "--param", "mode=trap"]);
    let said = text(&failed.stderr);
    assert!(failed.status.code() == Some(1) && said.contains("trapped in propose"), "{said}");
    assert!(said.contains("perfhost plugin check"), "{said}");
}
