//! Where the time of requests goes, from the measurements of the last minute: which part is the largest, and what else was
//! measured that explains it. Says so when there is too little to judge by.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::command::print::{self, number};

/// Requests below which nothing is said.
const FEWEST: u64 = 5;

/// A share of the processor that leaves nothing to gain.
const BUSY: f64 = 0.9;

/// Parts of a request's time, and what to say of each.
const PARTS: [(&str, &str); 3] = [
    ("queue_wait_ms", "waiting for admission: more requests come than may be under way at once"),
    ("overhead_ms", "in perfhost itself"),
    ("upstream_time_ms", "at the provider, from sending to the last byte"),
];

/// Asks, judges and prints. `scope` is a provider or `provider/model`; the whole host without one.
pub(super) fn run(scope: Option<&str>, flags: &ClientFlags) -> Result<()> {
    let current = Client::new(flags).get("/api/metrics/current?window=60s")?;
    let verdict = judge(&current, scope.unwrap_or_default());
    print::print(&verdict, flags.output, |verdict| {
        let evidence = verdict["evidence"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let lines = evidence.map(|line| format!("  {line}\n"));
        format!("{}\n{}", verdict["verdict"].as_str().unwrap_or_default(), lines.collect::<String>())
    })
}

fn judge(current: &Value, scope: &str) -> Value {
    let summary = |name: &str, scope: &str| {
        let all = current["metrics"].as_array()?;
        let found = all.iter().find(|metric| metric["name"] == name && metric["scope"] == scope)?;
        Some(found["summary"].clone())
    };
    let mean = |name: &str, scope: &str| summary(name, scope).and_then(|summary| summary["mean"].as_f64());
    let subject = if scope.is_empty() { "the whole host" } else { scope };
    let response = summary("response_time_ms", scope).unwrap_or_default();
    let count = response["count"].as_u64().unwrap_or(0);
    if count < FEWEST {
        let verdict =
            format!("too little to judge {subject} by: {count} requests in the last minute, {FEWEST} are needed");
        return json!({ "scope": scope, "verdict": verdict, "part": null, "evidence": [] });
    }
    let (total, p95) = (response["mean"].as_f64().unwrap_or(0.0), response["p95"].as_f64().unwrap_or(0.0));
    let mut evidence =
        vec![format!("{count} requests in the last minute, mean {} ms, p95 {} ms", number(total), number(p95))];
    // Not every request has every part: one that the cache answers never reaches a provider. So whole times are compared.
    let whole = (total * count as f64).max(f64::MIN_POSITIVE);
    let parts = PARTS.map(|(name, words)| {
        let part = summary(name, scope).unwrap_or_default();
        let (mean, count) = (part["mean"].as_f64().unwrap_or(0.0), part["count"].as_f64().unwrap_or(0.0));
        (name, words, mean, mean * count / whole)
    });
    evidence.extend(parts.iter().map(|(name, _, mean, share)| {
        format!("{name}: mean {} ms, {:.0} % of the response time", number(*mean), share * 100.0)
    }));
    let provider = scope.split('/').next().unwrap_or_default();
    for (name, where_, words) in [
        ("time_to_first_token_ms", scope, "ms to the first token"),
        ("time_per_output_token_ms", scope, "ms for each further token"),
        ("engine_requests_deferred", provider, "requests wait for a slot of the engine"),
        ("cache_hit_rate", scope, "of cacheable requests are answered from the cache (share)"),
    ] {
        if let Some(value) = mean(name, where_) {
            evidence.push(format!("{name}: {} {words}", number(value)));
        }
    }
    if let Some(share) = mean("cpu_usage", "").filter(|share| *share >= BUSY) {
        evidence.push(format!("cpu_usage: {:.0} % of all cores are in use", share * 100.0));
    }
    let largest = parts.iter().max_by(|a, b| a.3.total_cmp(&b.3));
    let (part, words) = largest.map_or(("", ""), |(name, words, ..)| (*name, *words));
    json!({ "scope": scope, "verdict": format!("most of the time of {subject} goes {words}"), "part": part, "evidence": evidence })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current(count: u64, parts: [f64; 3]) -> Value {
        let metric = |name: &str, mean: f64| json!({ "name": name, "scope": "gpu/m", "summary": { "count": count, "mean": mean, "p95": mean * 2.0 } });
        let mut metrics = vec![metric("response_time_ms", parts.iter().sum())];
        metrics.extend(PARTS.iter().zip(parts).map(|((name, _), time)| metric(name, time)));
        metrics.push(json!({ "name": "engine_requests_deferred", "scope": "gpu", "summary": { "mean": 2.5 } }));
        json!({ "metrics": metrics })
    }

    #[test]
    fn the_largest_part_is_named_with_its_evidence() {
        for (at, (name, _)) in PARTS.iter().enumerate() {
            let mut parts = [10.0; 3];
            parts[at] = 80.0;
            let verdict = judge(&current(9, parts), "gpu/m");
            assert_eq!(verdict["part"], *name);
            let text = verdict["evidence"].to_string();
            assert!(text.contains("80 % of the response time") && text.contains("2.5 requests wait"), "{text}");
        }
    }

    #[test]
    fn a_part_that_few_requests_have_weighs_as_much_as_they_do() {
        let metric = |name: &str, count: u64, mean: f64| json!({ "name": name, "scope": "", "summary": { "count": count, "mean": mean } });
        // Nine of ten are answered from the cache; only the tenth waits a second for a provider.
        let verdict = judge(
            &json!({ "metrics": [
                metric("response_time_ms", 100, 300.0), metric("queue_wait_ms", 100, 195.0),
                metric("overhead_ms", 100, 5.0), metric("upstream_time_ms", 10, 1_000.0),
            ] }),
            "",
        );
        let text = verdict["evidence"].to_string();
        assert!(text.contains("upstream_time_ms: mean 1000 ms, 33 % of the response time"), "{text}");
        assert_eq!(verdict["part"], "queue_wait_ms");
    }

    #[test]
    fn too_few_requests_are_no_ground_for_a_verdict() {
        let verdict = judge(&current(FEWEST - 1, [1.0; 3]), "gpu/m");
        assert!(verdict["verdict"].as_str().unwrap().starts_with("too little") && verdict["part"].is_null());
        assert!(judge(&json!({}), "").to_string().contains("0 requests"));
    }
}
