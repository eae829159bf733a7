//! What alerts came to: how often, how long, how soon somebody took them on.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::AlertRecord;

/// One rule's alerts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuleStatistics {
    /// The rule.
    pub rule: String,
    /// Alerts.
    pub fired: u64,
    /// Of these, the ones that still fire.
    pub firing: u64,
    /// Of these, the ones that somebody acknowledged.
    pub acknowledged: u64,
    /// Of these, the ones that escalated.
    pub escalated: u64,
    /// Announcements in all.
    pub announcements: u64,
    /// Time in milliseconds during which they fired, added up.
    pub firing_ms: u64,
    /// Mean time in milliseconds until they were resolved; `None` where none was.
    pub mean_to_resolve_ms: Option<u64>,
    /// Mean time in milliseconds until they were acknowledged; `None` where none was.
    pub mean_to_acknowledge_ms: Option<u64>,
    /// The last one fired then.
    pub last_fired_ms: u64,
}

/// Statistics of each rule in `alerts`, those with the most alerts first.
pub fn statistics(alerts: &[AlertRecord], now_ms: u64) -> Vec<RuleStatistics> {
    let mut by_rule: BTreeMap<&str, Vec<&AlertRecord>> = BTreeMap::new();
    for alert in alerts {
        by_rule.entry(&alert.rule).or_default().push(alert);
    }
    let mut list: Vec<RuleStatistics> =
        by_rule.into_iter().map(|(rule, alerts)| of_rule(rule, &alerts, now_ms)).collect();
    list.sort_by(|one, other| other.fired.cmp(&one.fired).then_with(|| one.rule.cmp(&other.rule)));
    list
}

fn of_rule(rule: &str, alerts: &[&AlertRecord], now_ms: u64) -> RuleStatistics {
    let count = |is_counted: fn(&AlertRecord) -> bool| alerts.iter().filter(|alert| is_counted(alert)).count() as u64;
    let resolved = alerts.iter().filter_map(|alert| Some(alert.resolved_ms?.saturating_sub(alert.fired_ms)));
    let taken =
        alerts.iter().filter_map(|alert| Some(alert.acknowledged.as_ref()?.at_ms.saturating_sub(alert.fired_ms)));
    RuleStatistics {
        rule: rule.to_owned(),
        fired: alerts.len() as u64,
        firing: count(AlertRecord::is_firing),
        acknowledged: count(|alert| alert.acknowledged.is_some()),
        escalated: count(|alert| alert.escalated_ms.is_some()),
        announcements: alerts.iter().map(|alert| u64::from(alert.announcements)).sum(),
        firing_ms: alerts.iter().map(|alert| alert.lasted_ms(now_ms)).sum(),
        mean_to_resolve_ms: mean(resolved),
        mean_to_acknowledge_ms: mean(taken),
        last_fired_ms: alerts.iter().map(|alert| alert.fired_ms).max().unwrap_or(0),
    }
}

fn mean(times: impl Iterator<Item = u64>) -> Option<u64> {
    let (sum, count) = times.fold((0, 0), |(sum, count), time| (sum + time, count + 1));
    sum.checked_div(count)
}
