//! The last two minutes, in slices of about a second, for the host, each provider, each model and each strategy.
//!
//! Owns what a window is: the newest ticks that together are as long as asked. Slices keep their sketches in the written
//! form, a tenth of the size of the live one; a place where nothing happened for all that time is forgotten.

mod rate;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use perfhost_strategy::Scope;
use perfhost_strategy::observation::{Metric, metric};

pub(crate) use rate::{Rate, spread};

use crate::counter::Counter;
use crate::phase::Phase;
use crate::series::SeriesNames;
use crate::sketch::DDSketch;
use crate::tally::{Counts, Tally, Timing};
use crate::totals::Totals;

/// Ticks that are kept: two minutes when there is one a second.
pub const RING_TICKS: usize = 120;

/// Scopes and strategies that are kept apart; requests of further ones still count for the places that are.
pub const MAX_PLACES: usize = 1_024;

/// Written before a strategy's name where scopes and strategies share one namespace: in the store and its queries.
pub const STRATEGY_SCOPE_PREFIX: &str = "strategy:";

/// A tick's length when the clock does not tell: at the first, and when the clock went backwards or stood still.
const USUAL_TICK_MS: u64 = 1_000;

/// Where requests are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Scope(Scope),
    Strategy(String),
}

/// All windows.
#[derive(Default)]
pub(crate) struct Windows {
    ticks: VecDeque<Tick>,
    rings: HashMap<Place, Ring>,
    last_ms: Option<u64>,
    sequence: u64,
}

/// What lies between two calls of [`Windows::close`].
#[derive(Debug, Clone, Copy)]
struct Tick {
    sequence: u64,
    start_ms: u64,
    duration_ms: u64,
}

/// One place's slices, oldest first; ticks in which nothing happened have none.
#[derive(Default)]
struct Ring {
    open: Open,
    slices: VecDeque<Slice>,
}

#[derive(Default)]
struct Open {
    is_touched: bool,
    timings: [DDSketch; Timing::COUNT],
    counts: Counts,
}

struct Slice {
    sequence: u64,
    timings: [Box<[u8]>; Timing::COUNT],
    counts: Counts,
}

/// What one metric's distribution grew by in one window of the store.
pub(crate) struct Growth {
    pub(crate) metric: &'static str,
    pub(crate) scope: String,
    pub(crate) start_ms: u64,
    pub(crate) sketch: DDSketch,
}

impl Place {
    /// Its name in the store.
    fn stored(&self) -> String {
        match self {
            Place::Scope(scope) => scope.as_str().to_owned(),
            Place::Strategy(name) => format!("{STRATEGY_SCOPE_PREFIX}{name}"),
        }
    }
}

impl Windows {
    pub(crate) fn new() -> Self {
        let rings = HashMap::from([(Place::Scope(Scope::global()), Ring::default())]);
        Self { rings, ..Self::default() }
    }

    /// Adds to the open tick.
    pub(crate) fn add(&mut self, names: &SeriesNames, tally: &Tally) {
        // What got to no provider has none: an empty name would be the whole host's scope once more.
        let of_provider = (!names.provider.is_empty())
            .then(|| [Scope::provider(&names.provider), Scope::model(&names.provider, &names.model)].map(Place::Scope));
        let of_all = [Place::Scope(Scope::global()), Place::Strategy(names.strategy.clone())];
        for place in of_all.into_iter().chain(of_provider.into_iter().flatten()) {
            if self.rings.len() >= MAX_PLACES && !self.rings.contains_key(&place) {
                continue;
            }
            let open = &mut self.rings.entry(place).or_default().open;
            open.is_touched = true;
            open.counts.merge(&tally.counts);
            for (mine, theirs) in open.timings.iter_mut().zip(&tally.timings) {
                mine.merge(theirs);
            }
        }
    }

    /// Ends the open tick and returns its number.
    pub(crate) fn close(&mut self, now_ms: u64) -> u64 {
        self.sequence += 1;
        let duration_ms =
            self.last_ms.and_then(|last| now_ms.checked_sub(last)).filter(|ms| *ms > 0).unwrap_or(USUAL_TICK_MS);
        let start_ms = now_ms.saturating_sub(duration_ms);
        self.last_ms = Some(now_ms);
        self.ticks.push_back(Tick { sequence: self.sequence, start_ms, duration_ms });
        if self.ticks.len() > RING_TICKS {
            self.ticks.pop_front();
        }
        let (newest, oldest) = (self.sequence, self.ticks.front().map_or(0, |tick| tick.sequence));
        self.rings.retain(|place, ring| {
            ring.close(newest, oldest);
            !ring.slices.is_empty() || *place == Place::Scope(Scope::global())
        });
        self.sequence
    }

    /// The number of the oldest tick in the window; past the newest when there is none.
    pub(crate) fn first_tick(&self, window: Duration) -> u64 {
        let asked_ms = window.as_millis() as u64;
        let mut covered_ms = 0;
        let mut first = self.sequence + 1;
        for tick in self.ticks.iter().rev() {
            // Ticks are not exactly a second apart: one that is more than half inside belongs to the window.
            if covered_ms + tick.duration_ms / 2 > asked_ms {
                break;
            }
            covered_ms += tick.duration_ms;
            first = tick.sequence;
        }
        first
    }

    /// Every place's metrics over the ticks from `first` on: timings and ratios where there were any, numbers per second
    /// always.
    pub(crate) fn since(&self, first: u64, window: Duration) -> Vec<(&Place, Vec<Metric>)> {
        let window_ms = u32::try_from(window.as_millis()).unwrap_or(u32::MAX);
        self.rings.iter().map(|(place, ring)| (place, self.measure(place, ring, first, window_ms))).collect()
    }

    fn measure(&self, place: &Place, ring: &Ring, first: u64, window_ms: u32) -> Vec<Metric> {
        let mut timings: [DDSketch; Timing::COUNT] = Default::default();
        let mut ticks = Vec::with_capacity(RING_TICKS);
        for (tick, slice) in self.slices(ring, first) {
            if let Some(slice) = slice {
                slice.merge_into(&mut timings);
            }
            ticks.push((slice.map_or_else(Counts::default, |slice| slice.counts), tick.seconds()));
        }
        let scope = match place {
            Place::Scope(scope) => scope.clone(),
            Place::Strategy(_) => Scope::global(),
        };
        let timings = Timing::METRICS.iter().zip(&timings).map(|(name, sketch)| (*name, sketch.summary()));
        let timings = timings.filter(|(_, summary)| summary.count > 0);
        let rates = Rate::ALL.iter().map(|rate| (rate, rate.summary(&ticks)));
        let rates = rates.filter(|(rate, summary)| summary.count > 0 || rate.is_per_second());
        timings
            .chain(rates.map(|(rate, summary)| (rate.metric(), summary)))
            .map(|(name, summary)| Metric {
                name: name.to_owned(),
                scope: scope.clone(),
                unit: unit(name).to_owned(),
                window_ms,
                summary,
            })
            .collect()
    }

    /// What every place grew by since the tick `after`, in windows of `window_ms`; a tick belongs to the window that it
    /// began in. With it, the number of the newest tick.
    pub(crate) fn growth(&self, after: u64, window_ms: u64) -> (u64, Vec<Growth>) {
        let mut all = Vec::new();
        for (place, ring) in &self.rings {
            let scope = place.stored();
            let mut at: Option<OpenGrowth> = None;
            for (tick, slice) in self.slices(ring, after + 1) {
                let start_ms = tick.start_ms - tick.start_ms % window_ms;
                if at.as_ref().is_some_and(|open| open.start_ms != start_ms) {
                    push_growth(&mut all, &scope, at.take());
                }
                let open = at.get_or_insert_with(|| OpenGrowth { start_ms, ..OpenGrowth::default() });
                if let Some(slice) = slice {
                    slice.merge_into(&mut open.timings);
                }
                let counts = slice.map_or_else(Counts::default, |slice| slice.counts);
                for (rate, sketch) in Rate::ALL.iter().zip(&mut open.rates) {
                    if let Some((value, weight)) = rate.sample(&counts, tick.seconds()) {
                        sketch.add_weighted(value, weight);
                    }
                }
                for (counter, sum) in Counter::ALL.into_iter().zip(&mut open.counters) {
                    *sum += counter.of(&counts);
                }
                for (phase, sketch) in open.phases.iter_mut().enumerate() {
                    if let Some(mean_ms) = counts.phase_ms(phase) {
                        sketch.add_weighted(mean_ms, counts.successes());
                    }
                }
            }
            push_growth(&mut all, &scope, at);
        }
        (self.sequence, all)
    }

    /// Adds the whole host's ticks after `totals.newest` to `totals`.
    pub(crate) fn add_to(&self, totals: &mut Totals) {
        if let Some(ring) = self.rings.get(&Place::Scope(Scope::global())) {
            for (tick, slice) in self.slices(ring, totals.newest + 1) {
                if let Some(slice) = slice {
                    slice.merge_into(&mut totals.timings);
                    totals.count(&slice.counts, tick.seconds());
                }
            }
        }
        totals.newest = self.sequence;
    }

    /// Totals that begin now.
    pub(crate) fn totals(&self) -> Totals {
        Totals::after(self.sequence)
    }

    /// When the tick of that number began, if it is kept.
    pub(crate) fn start_ms(&self, sequence: u64) -> Option<u64> {
        let oldest = self.ticks.front()?.sequence;
        self.ticks.get(usize::try_from(sequence.checked_sub(oldest)?).ok()?).map(|tick| tick.start_ms)
    }

    /// The ticks from `first` on with the place's slices.
    fn slices<'a>(&'a self, ring: &'a Ring, first: u64) -> impl Iterator<Item = (&'a Tick, Option<&'a Slice>)> {
        let mut slices = ring.slices.iter().peekable();
        self.ticks.iter().filter(move |tick| tick.sequence >= first).map(move |tick| {
            while slices.next_if(|slice| slice.sequence < tick.sequence).is_some() {}
            (tick, slices.next_if(|slice| slice.sequence == tick.sequence))
        })
    }
}

impl Tick {
    fn seconds(&self) -> f64 {
        self.duration_ms as f64 / 1_000.0
    }
}

impl Ring {
    fn close(&mut self, newest: u64, oldest: u64) {
        if self.open.is_touched {
            let timings = self
                .open
                .timings
                .each_ref()
                .map(|sketch| if sketch.is_empty() { Box::default() } else { sketch.encode().into_boxed_slice() });
            self.slices.push_back(Slice { sequence: newest, timings, counts: self.open.counts });
            self.open.timings.iter_mut().for_each(DDSketch::clear);
            (self.open.counts, self.open.is_touched) = (Counts::default(), false);
        }
        while self.slices.front().is_some_and(|slice| slice.sequence < oldest) {
            self.slices.pop_front();
        }
    }
}

impl Slice {
    fn merge_into(&self, timings: &mut [DDSketch; Timing::COUNT]) {
        for (sketch, bytes) in timings.iter_mut().zip(&self.timings) {
            if !bytes.is_empty()
                && let Err(error) = sketch.merge_encoded(bytes)
            {
                tracing::error!(%error, "a sketch written a moment ago cannot be read");
            }
        }
    }
}

/// What one place grew by in the window that is being gathered.
#[derive(Default)]
struct OpenGrowth {
    start_ms: u64,
    timings: [DDSketch; Timing::COUNT],
    rates: [DDSketch; Rate::ALL.len()],
    /// Means of single ticks, weighed by their successes.
    phases: [DDSketch; Phase::COUNT],
    counters: [u64; Counter::COUNT],
}

fn push_growth(all: &mut Vec<Growth>, scope: &str, grown: Option<OpenGrowth>) {
    let Some(OpenGrowth { start_ms, timings, rates, phases, counters }) = grown else { return };
    let metrics = Timing::METRICS.into_iter().chain(Rate::ALL.map(Rate::metric)).chain(Phase::METRICS);
    let metrics = metrics.chain(Counter::METRICS);
    let sketches = timings.into_iter().chain(rates).chain(phases).chain(counters.map(Counter::sketch));
    for (metric, sketch) in metrics.zip(sketches) {
        if !sketch.is_empty() {
            all.push(Growth { metric, scope: scope.to_owned(), start_ms, sketch });
        }
    }
}

/// A metric's unit; empty for one that is not in the list.
pub(crate) fn unit(name: &str) -> &'static str {
    metric::ALL.iter().find(|info| info.name == name).map_or("", |info| info.unit)
}

/// What a metric means, in one sentence; empty for one that is not in the list.
pub(crate) fn meaning(name: &str) -> &'static str {
    metric::ALL.iter().find(|info| info.name == name).map_or("", |info| info.meaning)
}
