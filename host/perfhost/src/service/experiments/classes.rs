//! Effects by workload class: a setting that gained 33 % on short prompts lost 14 % on very long ones (METHODS). Owns
//! what a class is and plain means of each; no verdict rests on them, so their intervals are those of one look.

use std::collections::{BTreeMap, VecDeque};

use perfhost_strategy::experiment::{Assigned, Metric, Outcome, Slo};
use serde::{Deserialize, Serialize};

/// Requests under way that are remembered with their class.
const MOST_OPEN: usize = 65_536;

/// Two-sided 95 % of a normal distribution.
const DEVIATIONS: f64 = 1.96;

/// Classes, by size of a request's body in bytes: up to but not including.
const CLASSES: [(&str, f64); 3] = [
    ("short prompts (under 1 KiB)", 1_024.0),
    ("medium prompts (1 to 8 KiB)", 8_192.0),
    ("long prompts (8 KiB and more)", f64::INFINITY),
];

/// What was seen of one arm in one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Requests that ended.
    pub(super) count: u64,
    /// Of these, answered in time.
    pub(super) answered: u64,
    mean: f64,
    squares: f64,
}

/// Means by class and arm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Classes {
    /// By class, then by arm.
    seen: Vec<Vec<Seen>>,
    #[serde(skip)]
    open: BTreeMap<u64, (usize, usize)>,
    #[serde(skip)]
    order: VecDeque<u64>,
}

/// One challenger in one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ClassEffect {
    /// The class.
    pub(super) class: &'static str,
    /// The challenger's place.
    pub(super) arm: usize,
    /// Requests of incumbent and challenger.
    pub(super) counts: [u64; 2],
    /// Means of the objective, incumbent and challenger; of response times where percentiles are compared.
    pub(super) means: [f64; 2],
    /// The change in the objective's own terms.
    pub(super) change: f64,
    /// 95 % at one look.
    pub(super) lower: f64,
    /// 95 % at one look.
    pub(super) upper: f64,
}

impl Seen {
    fn note(&mut self, value: f64, is_answered: bool) {
        self.count += 1;
        self.answered += u64::from(is_answered);
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// Variance of the mean.
    fn uncertainty(&self) -> f64 {
        self.squares / (self.count.saturating_sub(1).max(1) as f64) / self.count.max(1) as f64
    }
}

impl Classes {
    /// A request got its arm.
    pub(super) fn assigned(&mut self, request: &Assigned) {
        let bytes = request.covariates[0].exp_m1();
        let class = CLASSES.iter().position(|(_, below)| bytes < *below).unwrap_or(CLASSES.len() - 1);
        if self.open.insert(request.id, (class, request.arm)).is_none() {
            self.order.push_back(request.id);
        }
        if self.order.len() > MOST_OPEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
    }

    /// A request ended.
    pub(super) fn finished(&mut self, id: u64, outcome: &Outcome, metric: &Metric, slo: &Slo) {
        let Some((class, arm)) = self.open.remove(&id) else { return };
        let Some(value) = metric.value(outcome, slo) else { return };
        if self.seen.len() <= class {
            self.seen.resize(class + 1, Vec::new());
        }
        let arms = &mut self.seen[class];
        if arms.len() <= arm {
            arms.resize(arm + 1, Seen::default());
        }
        arms[arm].note(value, outcome.is_answered(slo));
    }

    /// Challengers against the incumbent in each class in which both have two requests and more.
    pub(super) fn effects(&self, metric: &Metric) -> Vec<ClassEffect> {
        let mut effects = Vec::new();
        for ((class, _), arms) in CLASSES.iter().zip(&self.seen) {
            let Some(incumbent) = arms.first().filter(|seen| seen.count >= 2) else { continue };
            for (arm, challenger) in arms.iter().enumerate().skip(1).filter(|(_, seen)| seen.count >= 2) {
                let gain = metric.merit(challenger.mean) - metric.merit(incumbent.mean);
                // The slope of the merit at the mean carries a mean's uncertainty over to it.
                let slope = |mean: f64| {
                    (metric.merit(mean + 1e-6 * mean.abs().max(1.0)) - metric.merit(mean))
                        / (1e-6 * mean.abs().max(1.0))
                };
                let variance = slope(challenger.mean).powi(2) * challenger.uncertainty()
                    + slope(incumbent.mean).powi(2) * incumbent.uncertainty();
                let reach = DEVIATIONS * variance.sqrt();
                let (one, other) = (metric.change(gain - reach), metric.change(gain + reach));
                effects.push(ClassEffect {
                    class,
                    arm,
                    counts: [incumbent.count, challenger.count],
                    means: [shown(metric, incumbent.mean), shown(metric, challenger.mean)],
                    change: metric.change(gain),
                    lower: one.min(other),
                    upper: one.max(other),
                });
            }
        }
        effects
    }
}

fn shown(metric: &Metric, mean: f64) -> f64 {
    if *metric == Metric::TimeToFirstToken { mean.exp() } else { mean }
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::experiment::Ending;

    use super::*;

    fn run(classes: &mut Classes, id: u64, arm: usize, bytes: f64, response_ms: f64) {
        let covariates = [bytes.ln_1p(), 0.0, 0.0, 0.0];
        classes.assigned(&Assigned { id, unit: id, arm, epoch: 0, block: None, at_ms: 0, covariates });
        let outcome = Outcome {
            ending: Ending::Answered,
            response_ms,
            ttft_ms: None,
            output_tokens: 1,
            cost: 0.0,
            quality: None,
        };
        classes.finished(id, &outcome, &Metric::LatencyP95, &Slo::default());
        classes.finished(id, &outcome, &Metric::LatencyP95, &Slo::default());
    }

    #[test]
    fn effects_are_told_by_class_and_a_request_counts_once() {
        let mut classes = Classes::default();
        for id in 0..100 {
            let noise = (id % 5) as f64;
            run(&mut classes, id * 4, 0, 100.0, 100.0 + noise);
            run(&mut classes, id * 4 + 1, 1, 100.0, 80.0 + noise);
            run(&mut classes, id * 4 + 2, 0, 20_000.0, 1_000.0 + noise);
            run(&mut classes, id * 4 + 3, 1, 20_000.0, 1_200.0 + noise);
        }
        let effects = classes.effects(&Metric::LatencyP95);
        assert_eq!(effects.iter().map(|effect| effect.counts).collect::<Vec<_>>(), [[100, 100], [100, 100]]);
        let [short, long] = effects.as_slice() else { panic!("{effects:?}") };
        assert!((short.change + 0.196).abs() < 0.002 && short.upper < 0.0 && short.lower < short.change, "{short:?}");
        assert!((long.change - 0.2).abs() < 0.002 && long.lower > 0.0 && long.class.starts_with("long"), "{long:?}");
    }
}
