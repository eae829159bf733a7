//! Turns a scenario's description of arrivals and requests into requests, each a function of the seed and its number.

use crate::fleet::Fleet;
use crate::moment::Moment;
use crate::random::{Random, mix};
use crate::scenario::{Arrivals, Scenario, TraceRow};

/// First parts of the names of streams; `host::attempts` has others.
const ARRIVALS: u64 = 1;
const REQUEST: u64 = 2;
const CONTENT: u64 = 3;
const CLIENT: u64 = 4;

/// What one request asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ask {
    /// Names the request's own randomness.
    pub(crate) number: u64,
    /// The model's number in the fleet.
    pub(crate) model: usize,
    pub(crate) prompt_tokens: u32,
    /// Tokens that the answer has when nothing cuts it short.
    pub(crate) output_tokens: u32,
    pub(crate) is_streaming: bool,
    pub(crate) is_deterministic: bool,
    /// Equal requests have equal keys; never 0.
    pub(crate) key: u64,
    /// 0 for none.
    pub(crate) session: u64,
    pub(crate) patience_s: Option<f64>,
}

/// All requests to come.
#[derive(Debug)]
pub(crate) struct Traffic<'a> {
    scenario: &'a Scenario,
    seed: u64,
    arrivals: Random,
    /// Of the last open-loop arrival, in seconds.
    last_s: f64,
    /// Rows of the trace that have been read.
    rows: usize,
    /// Numbers of the models that are asked for, each with the share of all requests up to and including it.
    models: Vec<(usize, f64)>,
    /// Shares of all repeats up to and including each rank.
    popularity: Vec<f64>,
}

impl<'a> Traffic<'a> {
    pub(crate) fn new(scenario: &'a Scenario, fleet: &Fleet, seed: u64) -> Self {
        let asked = &scenario.requests.models;
        let first = scenario.providers.iter().flat_map(|provider| provider.models()).next().unwrap_or_default();
        let weights: Vec<(usize, f64)> = if asked.is_empty() {
            vec![(fleet.model(first), 1.0)]
        } else {
            asked.iter().map(|model| (fleet.model(&model.name), model.share)).collect()
        };
        let shares = cumulative(weights.iter().map(|(_, weight)| *weight));
        let models = weights.iter().map(|(model, _)| *model).zip(shares).collect();
        let popularity = scenario.requests.repeats.map_or_else(Vec::new, |repeats| {
            cumulative((1..=repeats.distinct).map(|rank| f64::from(rank).powf(-repeats.exponent)))
        });
        let arrivals = Random::new(seed, &[ARRIVALS]);
        Self { scenario, seed, arrivals, last_s: 0.0, rows: 0, models, popularity }
    }

    /// When the next open-loop request arrives. Without end but for traces; clients are asked for by [`Self::of_client`].
    pub(crate) fn next_arrival(&mut self) -> Option<Moment> {
        if let Arrivals::Trace { rows, .. } = &self.scenario.arrivals {
            let row = rows.get(self.rows)?;
            self.rows += 1;
            return Some(Moment::from_us(row.timestamp.saturating_mul(1_000)));
        }
        let highest = self.scenario.arrivals.highest_rate();
        if highest <= 0.0 {
            return None;
        }
        // Thinning: candidates at the highest rate, each kept with the share that the rate of its moment is of it.
        loop {
            self.last_s += self.arrivals.exponential(1.0 / highest);
            let rate = self.scenario.arrivals.rate(self.last_s)?;
            if self.arrivals.happens(rate / highest) {
                return Some(Moment::from_seconds(self.last_s));
            }
        }
    }

    /// The open-loop request of that number, counted from 0.
    pub(crate) fn request(&self, number: u64) -> Ask {
        let ask = self.ask(number, Random::new(self.seed, &[REQUEST, number]));
        match &self.scenario.arrivals {
            Arrivals::Trace { rows, .. } => match rows.get(number as usize) {
                Some(row) => recorded(ask, row),
                None => ask,
            },
            _ => ask,
        }
    }

    /// A client's request of that number.
    pub(crate) fn of_client(&self, client: u32, number: u64) -> Ask {
        let mut random = Random::new(self.seed, &[CLIENT, u64::from(client), number]);
        let ask = self.ask(random.next(), random);
        Ask { session: if ask.session == 0 { 0 } else { session(u64::from(client)) }, ..ask }
    }

    /// Seconds that a client thinks before its request of that number.
    pub(crate) fn think_s(&self, client: u32, number: u64) -> f64 {
        let Arrivals::Clients { think_s, .. } = self.scenario.arrivals else { return 0.0 };
        think_s.draw(&mut Random::new(self.seed, &[CLIENT, u64::from(client), number, 1]))
    }

    fn ask(&self, number: u64, mut random: Random) -> Ask {
        let requests = &self.scenario.requests;
        let is_repeat = requests.repeats.is_some_and(|repeats| random.happens(repeats.share));
        let patience_s = requests.patience_s.map(|patience| patience.draw(&mut random));
        let session = if requests.users > 0 { session(random.below(u64::from(requests.users))) } else { 0 };
        // Equal requests are equal in everything: a repeat takes all else from its place in the list.
        let content = if is_repeat { self.rank(random.share()) } else { u64::MAX - number };
        let mut random = Random::new(self.seed, &[CONTENT, content]);
        let model = self.model(random.share());
        let prompt_tokens = requests.prompt_tokens.draw(&mut random).round() as u32;
        let output_tokens = (requests.output_tokens.draw(&mut random).round() as u32).max(1);
        let limit = if requests.max_tokens == 0 { u32::MAX } else { requests.max_tokens };
        Ask {
            number,
            model,
            prompt_tokens,
            output_tokens: output_tokens.min(limit),
            is_streaming: random.happens(requests.streamed),
            is_deterministic: random.happens(requests.deterministic),
            key: random.next().max(1),
            session,
            patience_s,
        }
    }

    fn rank(&self, share: f64) -> u64 {
        self.popularity.partition_point(|up_to| *up_to <= share).min(self.popularity.len().saturating_sub(1)) as u64
    }

    fn model(&self, share: f64) -> usize {
        let known = self.models.iter().find(|(_, up_to)| share < *up_to).or(self.models.last());
        known.map_or(0, |(model, _)| *model)
    }
}

fn cumulative(weights: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let total: f64 = weights.clone().sum();
    let mut sum = 0.0;
    weights
        .map(|weight| {
            sum += weight;
            sum / total
        })
        .collect()
}

fn session(user: u64) -> u64 {
    mix(user + 1).max(1)
}

fn recorded(ask: Ask, row: &TraceRow) -> Ask {
    let key = row.hash_ids.iter().fold(1, |key, hash| mix(key ^ mix(*hash)));
    Ask {
        prompt_tokens: row.input_length,
        output_tokens: row.output_length.max(1),
        key: if row.hash_ids.is_empty() { ask.key } else { key.max(1) },
        ..ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Repeats, Requests};

    fn arrivals(arrivals: Arrivals, seconds: f64) -> Vec<f64> {
        let scenario = Scenario { arrivals, ..Scenario::default() };
        let mut traffic = Traffic::new(&scenario, &Fleet::new(&scenario), 3);
        std::iter::from_fn(|| traffic.next_arrival().map(Moment::as_seconds)).take_while(|at| *at < seconds).collect()
    }

    fn count(times: &[f64], from: f64, to: f64) -> f64 {
        times.iter().filter(|at| (from..to).contains(*at)).count() as f64
    }

    #[test]
    fn a_poisson_process_has_its_rate_and_a_variance_as_large() {
        let times = arrivals(Arrivals::Poisson { per_second: 5.0 }, 20_000.0);
        assert!((times.len() as f64 / 100_000.0 - 1.0).abs() < 0.02);
        let mut counts = vec![0.0; 2_000];
        times.iter().for_each(|at| counts[(at / 10.0) as usize] += 1.0);
        let variance = counts.iter().map(|count: &f64| (count - 50.0).powi(2)).sum::<f64>() / 2_000.0;
        assert!((variance / 50.0 - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn bursts_and_days_follow_their_clock() {
        let burst = Arrivals::Burst { per_second: 2.0, burst_per_second: 20.0, every_s: 100.0, for_s: 50.0 };
        let times = arrivals(burst, 400.0);
        assert!(count(&times, 0.0, 100.0) < 280.0 && (count(&times, 100.0, 150.0) - 1_000.0).abs() < 120.0);
        assert!((count(&times, 150.0, 200.0) - 100.0).abs() < 40.0);
        let times = arrivals(Arrivals::Diurnal { per_second: 10.0, swing: 0.8, period_s: 1_000.0 }, 1_000.0);
        assert!(count(&times, 0.0, 100.0) < 400.0 && count(&times, 450.0, 550.0) > 1_500.0);
    }

    #[test]
    fn repeats_are_equal_and_follow_zipf() {
        let repeats = Some(Repeats { share: 0.8, distinct: 100, exponent: 1.0 });
        let scenario = Scenario { requests: Requests { repeats, ..Requests::default() }, ..Scenario::default() };
        let traffic = Traffic::new(&scenario, &Fleet::new(&scenario), 3);
        let mut by_key = std::collections::BTreeMap::new();
        for ask in (0..20_000).map(|number| traffic.request(number)) {
            let same = by_key.entry(ask.key).or_insert((ask, 0));
            assert_eq!((same.0.output_tokens, same.0.prompt_tokens), (ask.output_tokens, ask.prompt_tokens));
            same.1 += 1;
        }
        let mut counts: Vec<i32> = by_key.values().map(|(_, count)| *count).collect();
        counts.sort_unstable();
        let new = counts.iter().filter(|count| **count == 1).count();
        assert!((new as f64 / 20_000.0 - 0.2).abs() < 0.02, "{new}");
        // The harmonic number of 100 is 5.187.
        assert!((f64::from(counts[counts.len() - 1]) / (16_000.0 / 5.187) - 1.0).abs() < 0.1);
    }

    #[test]
    fn a_trace_is_played_as_it_was_recorded() {
        let row = |timestamp, hash_ids: &[u64]| TraceRow {
            timestamp,
            input_length: 100,
            output_length: 7,
            hash_ids: hash_ids.to_vec(),
        };
        let rows = vec![row(5, &[1, 2]), row(9, &[2, 1]), row(9, &[1, 2]), row(20, &[])];
        let scenario = Scenario { arrivals: Arrivals::Trace { file: None, rows }, ..Scenario::default() };
        let mut traffic = Traffic::new(&scenario, &Fleet::new(&scenario), 3);
        let times: Vec<u64> = std::iter::from_fn(|| traffic.next_arrival()).map(Moment::as_us).collect();
        assert_eq!(times, [5_000, 9_000, 9_000, 20_000]);
        let asks: Vec<Ask> = (0..4).map(|number| traffic.request(number)).collect();
        assert_eq!((asks[0].prompt_tokens, asks[0].output_tokens), (100, 7));
        assert!(asks[0].key == asks[2].key && asks[0].key != asks[1].key && asks[3].key != asks[0].key);
    }
}
