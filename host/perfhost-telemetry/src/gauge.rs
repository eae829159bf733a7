//! Sampled values: what is in flight, how long the queue is, how busy a processor is. Owns the last minutes of samples.

use std::collections::{HashMap, VecDeque};

use perfhost_strategy::Scope;
use perfhost_strategy::observation::Summary;

use crate::window::{RING_TICKS, spread};

/// Gauges that are kept; further ones are ignored.
pub const MAX_GAUGES: usize = 4_096;

/// Samples of one gauge that one tick keeps; further ones are ignored.
pub const MAX_SAMPLES_PER_TICK: usize = 4;

/// All gauges.
#[derive(Default)]
pub(crate) struct Gauges {
    by_metric: HashMap<&'static str, HashMap<Scope, Gauge>>,
    count: usize,
}

struct Gauge {
    /// With the number of the tick that took them; those of the open tick are marked with [`OPEN`].
    samples: VecDeque<(u64, f64)>,
    open: usize,
    latest: f64,
}

const OPEN: u64 = u64::MAX;

impl Gauges {
    /// Adds a sample. Allocates nothing for a gauge that is known.
    pub(crate) fn add(&mut self, metric: &'static str, scope: &Scope, value: f64) {
        if !value.is_finite() {
            return;
        }
        let scopes = self.by_metric.entry(metric).or_default();
        if let Some(gauge) = scopes.get_mut(scope) {
            gauge.add(value);
        } else if self.count < MAX_GAUGES {
            self.count += 1;
            let mut gauge = Gauge { samples: VecDeque::new(), open: 0, latest: value };
            gauge.add(value);
            scopes.insert(scope.clone(), gauge);
        }
    }

    /// Ends the tick of that number. Gauges that were not sampled for as long as windows are kept are forgotten.
    pub(crate) fn close(&mut self, sequence: u64) {
        let oldest = (sequence + 1).saturating_sub(RING_TICKS as u64);
        for scopes in self.by_metric.values_mut() {
            scopes.retain(|_, gauge| {
                let newest = gauge.samples.len() - gauge.open;
                gauge.samples.range_mut(newest..).for_each(|sample| sample.0 = sequence);
                gauge.open = 0;
                while gauge.samples.front().is_some_and(|(taken, _)| *taken < oldest) {
                    gauge.samples.pop_front();
                }
                !gauge.samples.is_empty()
            });
        }
        self.count = self.by_metric.values().map(HashMap::len).sum();
    }

    /// Every gauge sampled in the ticks from `first` on, summed up over its samples.
    pub(crate) fn since(&self, first: u64) -> impl Iterator<Item = (&'static str, &Scope, Summary)> {
        self.all().filter_map(move |(metric, scope, gauge)| {
            let mut values: Vec<f64> = gauge.closed().filter(|(at, _)| *at >= first).map(|(_, value)| value).collect();
            (!values.is_empty()).then(|| (metric, scope, spread(&mut values)))
        })
    }

    /// Every gauge's samples with the number of their tick.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (&'static str, &Scope, impl Iterator<Item = (u64, f64)>)> {
        self.all().map(|(metric, scope, gauge)| (metric, scope, gauge.closed()))
    }

    /// Every gauge's newest value.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (&'static str, &Scope, f64)> {
        self.all().map(|(metric, scope, gauge)| (metric, scope, gauge.latest))
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &Scope, &Gauge)> {
        self.by_metric.iter().flat_map(|(metric, scopes)| scopes.iter().map(|(scope, gauge)| (*metric, scope, gauge)))
    }
}

impl Gauge {
    fn add(&mut self, value: f64) {
        self.latest = value;
        if self.open < MAX_SAMPLES_PER_TICK {
            self.open += 1;
            self.samples.push_back((OPEN, value));
        }
    }

    fn closed(&self) -> impl Iterator<Item = (u64, f64)> {
        self.samples.iter().copied().take(self.samples.len() - self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_the_samples_of_its_ticks() {
        let mut gauges = Gauges::default();
        let scope = Scope::global();
        for (sequence, value) in [(1, 10.0), (2, 2.0), (3, 4.0)] {
            gauges.add("in_flight", &scope, value);
            gauges.close(sequence);
        }
        gauges.add("in_flight", &scope, 99.0);
        let (_, _, summary) = gauges.since(2).next().unwrap();
        assert_eq!((summary.count, summary.mean, summary.min, summary.max), (2, 3.0, 2.0, 4.0));
        assert_eq!(gauges.latest().next().unwrap().2, 99.0);
    }

    #[test]
    fn gauges_and_samples_are_bounded_and_forgotten() {
        let mut gauges = Gauges::default();
        for at in 0..MAX_GAUGES + 10 {
            let scope = Scope::provider(&at.to_string());
            for _ in 0..MAX_SAMPLES_PER_TICK + 3 {
                gauges.add("in_flight", &scope, 1.0);
            }
            gauges.add("in_flight", &scope, f64::NAN);
        }
        assert_eq!(gauges.count, MAX_GAUGES);
        gauges.close(1);
        assert!(gauges.since(0).all(|(_, _, summary)| summary.count == MAX_SAMPLES_PER_TICK as u64));
        gauges.close(1 + RING_TICKS as u64);
        assert_eq!(gauges.count, 0);
    }
}
