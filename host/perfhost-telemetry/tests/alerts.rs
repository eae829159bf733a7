//! The history of alerts, through a restart.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is tests")]

use perfhost_strategy::Scope;
use perfhost_strategy::alert::{AlertRecord, Severity};
use perfhost_telemetry::{AlertQuery, Store};

fn alert(id: u64, rule: &str) -> AlertRecord {
    AlertRecord {
        id,
        rule: rule.to_owned(),
        scope: Scope::provider("local"),
        condition: "error_rate > 5%".to_owned(),
        summary: String::new(),
        severity: Severity::Critical,
        metric: "error_rate".to_owned(),
        unit: "ratio".to_owned(),
        threshold: 0.05,
        value: Some(0.5),
        worst: Some(0.75),
        since_ms: 1_000 * id,
        fired_ms: 1_000 * id + 500,
        resolved_ms: None,
        ended_because: None,
        acknowledged: None,
        escalated_ms: None,
        first_announced_ms: None,
        told: Vec::new(),
        announced_ms: None,
        announcements: 0,
    }
}

#[test]
fn alerts_outlive_the_process_and_are_found_by_rule_time_and_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.next_alert().unwrap(), 1);
    for (id, rule) in [(1, "slow"), (2, "errors"), (3, "slow")] {
        store.record_alert(alert(id, rule));
    }
    let resolved = AlertRecord { resolved_ms: Some(9_000), ..alert(1, "slow") };
    store.record_alert(resolved.clone());
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    let ids = |query: AlertQuery| store.alerts(&query).unwrap().iter().map(|one| one.id).collect::<Vec<_>>();
    let all = AlertQuery::default;
    assert_eq!(ids(all()), [3, 2, 1]);
    assert_eq!(ids(AlertQuery { is_firing: true, ..all() }), [3, 2]);
    assert_eq!(ids(AlertQuery { rule: Some("slow".to_owned()), ..all() }), [3, 1]);
    assert_eq!(ids(AlertQuery { since_ms: Some(2_500), ..all() }), [3, 2]);
    assert_eq!(ids(AlertQuery { before_id: Some(3), limit: 1, ..all() }), [2]);
    assert_eq!(
        (store.alerts(&AlertQuery { before_id: Some(2), ..all() }).unwrap(), store.next_alert().unwrap()),
        (vec![resolved], 4)
    );
}
