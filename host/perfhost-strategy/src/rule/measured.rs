//! Reading a condition's value out of windows of measurements.

use std::time::Duration;

use super::Rule;
use super::action::Aim;
use super::condition::{Condition, Statistic, Trigger};
use crate::observation::{Summary, metric};
use crate::{Observation, Scope};

/// Measurements that a window must hold to be believed. A 95th percentile needs [`SAMPLES_MIN_P95`], a 99th
/// [`SAMPLES_MIN_P99`].
pub const SAMPLES_MIN: u64 = 5;
/// Measurements of which one lies beyond the 95th percentile.
pub const SAMPLES_MIN_P95: u64 = 20;
/// Measurements of which one lies beyond the 99th percentile.
pub const SAMPLES_MIN_P99: u64 = 100;
/// Requests that a share of requests above its threshold must consist of: one that failed is not yet a rate.
pub const EVENTS_MIN: f64 = 3.0;

/// Where measurements come from: an [`Observation`], or what a strategy's contract makes of one.
pub trait Measured {
    /// Shows every window of one metric: scope, length in milliseconds, distribution.
    fn each(&self, metric: &str, show: &mut dyn FnMut(&str, u32, &Summary));
}

impl Measured for Observation {
    fn each(&self, metric: &str, show: &mut dyn FnMut(&str, u32, &Summary)) {
        for found in self.metrics.iter().filter(|found| found.name == metric) {
            show(found.scope.as_str(), found.window_ms, &found.summary);
        }
    }
}

/// How a trigger stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// All conditions are met.
    pub is_met: bool,
    /// It is over: one condition at least is clear of its threshold or not measured; of a rule with `until`, nothing
    /// that is measured speaks against that.
    pub is_cleared: bool,
    /// The first condition's value, where it was measured.
    pub value: Option<f64>,
}

impl Rule {
    /// How its trigger stands, and whether what ends it holds: `until`, else being clear of the threshold.
    pub fn read(&self, seen: &dyn Measured) -> Reading {
        let reading = self.trigger.read(seen);
        let is_cleared = self.until.as_ref().map_or(reading.is_cleared, |until| !until.is_contradicted(seen));
        Reading { is_cleared, ..reading }
    }
}

impl Trigger {
    /// Reads all conditions. What is not measured is not met, and clear: without traffic nothing is too slow.
    pub fn read(&self, seen: &dyn Measured) -> Reading {
        let found: Vec<Option<Found>> =
            self.conditions.iter().map(|condition| condition.find(seen, self.hold)).collect();
        let pairs = || self.conditions.iter().zip(&found);
        Reading {
            is_met: pairs().all(|(condition, found)| found.is_some_and(|found| condition.is_met_by(found))),
            is_cleared: pairs().any(|(condition, found)| found.is_none_or(|found| condition.is_cleared(found.value))),
            value: found.first().copied().flatten().map(|found| found.value),
        }
    }

    /// Whether something measured speaks against it.
    fn is_contradicted(&self, seen: &dyn Measured) -> bool {
        let found = |condition: &Condition| condition.find(seen, self.hold);
        self.conditions.iter().any(|one| found(one).is_some_and(|found| !one.is_met_by(found)))
    }
}

/// What one window says.
#[derive(Debug, Clone, Copy)]
struct Found {
    value: f64,
    count: u64,
    rank: Rank,
}

/// How much a window is worth, in this order: that it has the number itself and not one that stands in for it, that it is
/// no longer than asked, and then that it is as near to that as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_itself: bool,
    is_within: bool,
    nearness: i64,
}

/// What is looked for, over which time, and on which side of the truth a number may lie that stands in for it.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    metric: &'a str,
    statistic: Statistic,
    /// `None` for the whole host, and where only providers are measured, for each of them.
    scope: Option<&'a str>,
    over: Duration,
    /// A lower bound will do; otherwise an upper one.
    is_upward: bool,
}

impl Condition {
    /// The worst of what is measured. A condition that must hold for a time is judged over the window of that length, or
    /// the next shorter one: at a request a second, ten seconds hold no failure often enough though one in ten fails.
    fn find(&self, seen: &dyn Measured, hold: Duration) -> Option<Found> {
        let is_upward = self.operator.is_upward();
        let scope = self.scope.as_ref().map(Scope::as_str);
        let wanted = Wanted { metric: self.metric, statistic: self.statistic, scope, over: hold, is_upward };
        let order = |one: &Found, other: &Found| one.value.total_cmp(&other.value);
        let found = present(seen, wanted).into_iter();
        if is_upward { found.max_by(order) } else { found.min_by(order) }
    }

    fn is_met_by(&self, found: Found) -> bool {
        let is_share_above = metric::OF_REQUESTS.contains(&self.metric) && self.operator.is_upward();
        let is_rate = !is_share_above || (found.value * found.count as f64).round() >= EVENTS_MIN;
        is_rate && self.is_met(found.value)
    }
}

impl Statistic {
    /// What `count` measurements tell of it: itself, or where they are too few for that, a number that it is at least (at
    /// most, unless `is_upward`).
    fn believed(self, count: u64, is_upward: bool) -> Option<Self> {
        let (needed, instead) = match self {
            Statistic::P99 => (SAMPLES_MIN_P99, Statistic::P95),
            Statistic::P95 => (SAMPLES_MIN_P95, Statistic::P50),
            _ => return (count >= SAMPLES_MIN).then_some(self),
        };
        if count >= needed {
            return Some(self);
        }
        if is_upward { instead } else { Statistic::Max }.believed(count, is_upward)
    }
}

impl Aim {
    /// The number to reach, if it is a share of what is measured: in `scope`, which is empty for the whole host.
    pub fn measured(&self, seen: &dyn Measured, scope: &str) -> Option<f64> {
        let Aim::Share { share, metric, statistic } = self else { return None };
        let scope = Some(scope).filter(|scope| !scope.is_empty());
        let wanted = Wanted { metric, statistic: *statistic, scope, over: Duration::ZERO, is_upward: true };
        present(seen, wanted).into_iter().map(|found| found.value).reduce(f64::max).map(|value| share * value)
    }
}

/// The metric in one scope; without one, on the whole host; and where only providers are measured, at each of them.
fn present(seen: &dyn Measured, wanted: Wanted<'_>) -> Vec<Found> {
    let over_ms = i64::try_from(wanted.over.as_millis()).unwrap_or(i64::MAX);
    let mut best: Vec<(String, Found)> = Vec::new();
    let mut is_of_host = false;
    seen.each(wanted.metric, &mut |scope, window_ms, summary| {
        let is_wanted = wanted.scope.map_or(!scope.contains('/'), |wanted| wanted == scope);
        is_of_host |= scope.is_empty();
        let Some(statistic) = wanted.statistic.believed(summary.count, wanted.is_upward).filter(|_| is_wanted) else {
            return;
        };
        let (value, beyond_ms) = (statistic.of(summary), i64::from(window_ms) - over_ms);
        let is_itself = statistic == wanted.statistic;
        let rank = Rank { is_itself, is_within: beyond_ms <= 0, nearness: -beyond_ms.abs() };
        let found = Found { value, count: summary.count, rank };
        match best.iter_mut().find(|(known, _)| known == scope) {
            _ if !value.is_finite() => {}
            Some((_, known)) if known.rank >= rank => {}
            Some((_, known)) => *known = found,
            None => best.push((scope.to_owned(), found)),
        }
    });
    if wanted.scope.is_none() && is_of_host {
        best.retain(|(scope, _)| scope.is_empty());
    }
    best.into_iter().map(|(_, found)| found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Metric;

    fn seen(entries: &[(&str, &str, u32, u64, f64)]) -> Observation {
        let metrics = entries.iter().map(|(name, scope, window_ms, count, mean)| Metric {
            name: (*name).to_owned(),
            scope: Scope::parse(scope),
            unit: String::new(),
            window_ms: *window_ms,
            summary: Summary { count: *count, mean: *mean, p95: 2.0 * *mean, ..Summary::default() },
        });
        Observation { metrics: metrics.collect(), ..Observation::default() }
    }

    fn value(condition: &str, seen: &Observation) -> Option<f64> {
        Trigger::parse(condition).unwrap().read(seen).value
    }

    const TIME: &str = metric::RESPONSE_TIME;

    #[test]
    fn without_a_time_the_shortest_window_with_enough_measurements_counts() {
        let times = |short, long| {
            seen(&[(TIME, "", 60_000, long, 900.0), (TIME, "", 10_000, short, 300.0), (TIME, "local", 10_000, 99, 7.0)])
        };
        assert_eq!(value("response_time > 1", &times(5, 50)), Some(300.0));
        assert_eq!(value("response_time > 1", &times(4, 50)), Some(900.0));
        assert_eq!(value("response_time > 1", &times(4, 4)), None);
        assert_eq!(value("response_time@local > 1", &times(4, 4)), Some(7.0));
        assert_eq!(value("response_time@other > 1", &times(9, 9)), None);
    }

    #[test]
    fn what_must_hold_for_a_time_is_judged_over_the_longest_window_within_it() {
        let windows = |counts: [u64; 3]| {
            let entry = |(at, count)| (TIME, "", [10_000, 30_000, 60_000][at], count, [1.0, 3.0, 6.0][at]);
            seen(&counts.into_iter().enumerate().map(entry).collect::<Vec<_>>())
        };
        for (hold, counts, read) in [
            ("for 2m", [9, 9, 9], Some(6.0)),
            ("for 1m", [9, 9, 9], Some(6.0)),
            ("for 59s", [9, 9, 9], Some(3.0)),
            ("for 5s", [9, 9, 9], Some(1.0)),
            // None within it says enough: the next longer one that does.
            ("for 20s", [4, 9, 9], Some(3.0)),
            ("for 20s", [4, 4, 9], Some(6.0)),
            ("for 2m", [4, 4, 4], None),
        ] {
            assert_eq!(value(&format!("response_time > 1 {hold}"), &windows(counts)), read, "{hold} {counts:?}");
        }
    }

    #[test]
    fn a_percentile_of_too_few_is_read_as_one_that_it_is_beyond() {
        let of = |count| {
            let summary = Summary { count, p50: 50.0, p95: 95.0, p99: 99.0, max: 100.0, ..Summary::default() };
            let mut seen = seen(&[(TIME, "", 10_000, count, 0.0)]);
            seen.metrics[0].summary = summary;
            seen
        };
        assert_eq!([19, 20].map(|count| value("response_time_p95 > 1", &of(count))), [Some(50.0), Some(95.0)]);
        assert_eq!([19, 20].map(|count| value("response_time_p95 < 1", &of(count))), [Some(100.0), Some(95.0)]);
        let p99 = [4, 19, 99, 100].map(|count| value("response_time_p99 > 1", &of(count)));
        assert_eq!(p99, [None, Some(50.0), Some(95.0), Some(99.0)]);
        // A window that has the percentile itself is worth more than one of the right length.
        let mut both = of(19);
        both.metrics.push(Metric { window_ms: 60_000, ..of(20).metrics.remove(0) });
        assert_eq!(value("response_time_p95 > 1 for 10s", &both), Some(95.0));
    }

    #[test]
    fn a_share_of_requests_is_above_its_threshold_once_three_of_them_say_so() {
        let met = |count, share| {
            Trigger::parse("error_rate > 5%")
                .unwrap()
                .read(&seen(&[(metric::ERROR_RATE, "", 10_000, count, share)]))
                .is_met
        };
        assert!(!met(12, 1.0 / 12.0) && !met(20, 2.0 / 20.0));
        assert!(met(20, 3.0 / 20.0) && met(5, 1.0) && !met(100, 0.04));
        let busy = Trigger::parse("cpu_usage > 7%").unwrap();
        assert!(busy.read(&seen(&[(metric::CPU_USAGE, "", 10_000, 10, 0.08)])).is_met, "a mean over time");
        let rare = Trigger::parse("error_rate < 5%").unwrap();
        assert!(rare.read(&seen(&[(metric::ERROR_RATE, "", 10_000, 9, 0.0)])).is_met);
    }

    #[test]
    fn what_only_providers_are_measured_by_counts_where_it_is_worst() {
        let name = metric::ENGINE_REQUESTS_DEFERRED;
        let seen = seen(&[(name, "a", 10_000, 9, 3.0), (name, "b", 10_000, 9, 5.0), (name, "b/m", 10_000, 9, 8.0)]);
        assert_eq!(value("engine_requests_deferred > 1", &seen), Some(5.0));
        assert_eq!(value("engine_requests_deferred < 9", &seen), Some(3.0));
    }

    #[test]
    fn what_is_not_measured_is_not_met_and_clear() {
        let trigger = Trigger::parse("error_rate > 5% and cpu_usage > 50%").unwrap();
        let half = seen(&[(metric::ERROR_RATE, "", 10_000, 9, 0.5)]);
        assert_eq!(trigger.read(&half), Reading { is_met: false, is_cleared: true, value: Some(0.5) });
        let both = seen(&[(metric::ERROR_RATE, "", 10_000, 9, 0.5), (metric::CPU_USAGE, "", 10_000, 9, 0.48)]);
        assert_eq!(trigger.read(&both), Reading { is_met: false, is_cleared: false, value: Some(0.5) });
        let odd = seen(&[(metric::ERROR_RATE, "", 10_000, 9, f64::NAN)]);
        assert_eq!(trigger.read(&odd).value, None);
    }

    #[test]
    fn until_ends_a_rule_where_nothing_measured_speaks_against_it() {
        let rule = Rule::parse_all("queue_length > 5 -> shed_load until error_rate < 1% and cpu_usage < 50%").unwrap();
        let clear = |entries: &[(&str, &str, u32, u64, f64)]| rule[0].read(&seen(entries)).is_cleared;
        let (errors, busy) = ((metric::ERROR_RATE, "", 10_000, 9, 0.0), (metric::CPU_USAGE, "", 10_000, 9, 0.6));
        assert!(clear(&[]) && clear(&[errors]) && !clear(&[errors, busy]));
    }

    #[test]
    fn a_share_of_what_is_measured_is_a_number_to_reach() {
        let aim = Aim::Share { share: 0.75, metric: metric::IN_FLIGHT, statistic: Statistic::Mean };
        let seen = seen(&[(metric::IN_FLIGHT, "", 10_000, 9, 8.0), (metric::IN_FLIGHT, "a", 10_000, 9, 4.0)]);
        assert_eq!(
            [aim.measured(&seen, ""), aim.measured(&seen, "a"), aim.measured(&seen, "b")],
            [Some(6.0), Some(3.0), None]
        );
    }
}
