//! Reading a condition's value out of windows of measurements.

use super::Rule;
use super::action::Aim;
use super::condition::{Condition, Statistic, Trigger};
use crate::observation::Summary;
use crate::{Observation, Scope};

/// Measurements that a window must hold to be believed.
pub const SAMPLES_MIN: u64 = 5;

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
        let values: Vec<Option<f64>> = self.conditions.iter().map(|condition| condition.value(seen)).collect();
        let pairs = || self.conditions.iter().zip(&values);
        Reading {
            is_met: pairs().all(|(condition, value)| value.is_some_and(|value| condition.is_met(value))),
            is_cleared: pairs().any(|(condition, value)| value.is_none_or(|value| condition.is_cleared(value))),
            value: values.first().copied().flatten(),
        }
    }

    /// Whether something measured speaks against it.
    fn is_contradicted(&self, seen: &dyn Measured) -> bool {
        self.conditions.iter().any(|condition| condition.value(seen).is_some_and(|value| !condition.is_met(value)))
    }
}

impl Condition {
    /// Its value over the shortest window with enough measurements: the present, as far as it is known.
    pub fn value(&self, seen: &dyn Measured) -> Option<f64> {
        let worst = if self.operator.is_upward() { f64::max } else { f64::min };
        let scope = self.scope.as_ref().map(Scope::as_str);
        present(seen, self.metric, self.statistic, scope).into_iter().reduce(worst)
    }
}

impl Aim {
    /// The number to reach, if it is a share of what is measured: in `scope`, which is empty for the whole host.
    pub fn measured(&self, seen: &dyn Measured, scope: &str) -> Option<f64> {
        let Aim::Share { share, metric, statistic } = self else { return None };
        let scope = Some(scope).filter(|scope| !scope.is_empty());
        present(seen, metric, *statistic, scope).into_iter().reduce(f64::max).map(|value| share * value)
    }
}

/// The metric in one scope; without one, on the whole host; and where only providers are measured, at each of them.
fn present(seen: &dyn Measured, metric: &str, statistic: Statistic, wanted: Option<&str>) -> Vec<f64> {
    let mut shortest: Vec<(String, u32, f64)> = Vec::new();
    let mut is_of_host = false;
    seen.each(metric, &mut |scope, window_ms, summary| {
        let is_wanted = wanted.map_or(!scope.contains('/'), |wanted| wanted == scope);
        let value = statistic.of(summary);
        is_of_host |= scope.is_empty();
        if !is_wanted || summary.count < SAMPLES_MIN || !value.is_finite() {
            return;
        }
        match shortest.iter_mut().find(|(known, ..)| known == scope) {
            Some(known) if known.1 <= window_ms => {}
            Some(known) => (known.1, known.2) = (window_ms, value),
            None => shortest.push((scope.to_owned(), window_ms, value)),
        }
    });
    if wanted.is_none() && is_of_host {
        shortest.retain(|(scope, ..)| scope.is_empty());
    }
    shortest.into_iter().map(|(.., value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Metric, metric};

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

    #[test]
    fn the_shortest_window_with_enough_measurements_counts() {
        let times = |short, long| {
            let name = metric::RESPONSE_TIME;
            seen(&[(name, "", 60_000, long, 900.0), (name, "", 10_000, short, 300.0), (name, "local", 10_000, 99, 7.0)])
        };
        assert_eq!(value("response_time > 1", &times(5, 50)), Some(300.0));
        assert_eq!(value("response_time_p95 > 1", &times(4, 50)), Some(1800.0));
        assert_eq!(value("response_time > 1", &times(4, 4)), None);
        assert_eq!(value("response_time@local > 1", &times(4, 4)), Some(7.0));
        assert_eq!(value("response_time@other > 1", &times(9, 9)), None);
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
