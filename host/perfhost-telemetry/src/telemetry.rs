//! The meeting point of recording and reading: workers record into shards, a tick a second gathers them, and everything
//! that reads sees what the last tick gathered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use perfhost_strategy::Scope;
use perfhost_strategy::observation::Metric;
use perfhost_strategy::plan::Operation;

use crate::gauge::Gauges;
use crate::profile::{Profile, Profiles};
use crate::record::RequestOutcome;
use crate::series::{SeriesId, SeriesNames, SeriesRegistry};
use crate::shard::{Drain, Recorder};
use crate::sketch::DDSketch;
use crate::tally::{Exported, Tally};
use crate::totals::Totals;
use crate::window::{Growth, Place, Windows, unit};

/// Everything measured by this process. Shared by all workers; nothing here is locked by a request except its own
/// worker's shard.
pub struct Telemetry {
    is_recording: bool,
    registry: SeriesRegistry,
    drains: Mutex<Vec<Drain>>,
    windows: Mutex<Windows>,
    gauges: Mutex<Gauges>,
    exported: Mutex<BTreeMap<SeriesId, Box<Exported>>>,
    profiles: Mutex<Profiles>,
}

impl Telemetry {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        Self::with_recording(true)
    }

    /// One whose recorders forget every request and to which all series are one: windows and exports hold gauges only.
    pub fn without_requests() -> Arc<Self> {
        Self::with_recording(false)
    }

    fn with_recording(is_recording: bool) -> Arc<Self> {
        Arc::new(Self {
            is_recording,
            registry: SeriesRegistry::new(),
            drains: Mutex::default(),
            windows: Mutex::new(Windows::new()),
            gauges: Mutex::default(),
            exported: Mutex::default(),
            profiles: Mutex::default(),
        })
    }

    /// Whether requests are recorded.
    pub fn is_recording(&self) -> bool {
        self.is_recording
    }

    /// The series of these names, new or known; valid as long as the process. Past [`crate::series::MAX_SERIES`] series,
    /// further models are counted as their provider's model `other`. A known series costs three look-ups and no
    /// allocation, still a worker does well to keep the number. `strategy` is the name that [`Self::by_strategy`] and
    /// exports show. Names that a client makes up should not become series: use the model that was routed to.
    pub fn series(&self, provider: &str, model: &str, strategy: &str, operation: Operation) -> SeriesId {
        if !self.is_recording {
            return SeriesId::OTHER;
        }
        self.registry.intern(provider, model, strategy, operation)
    }

    /// A recorder for one worker. Dropping it loses nothing that it recorded.
    pub fn recorder(self: &Arc<Self>) -> Recorder {
        if !self.is_recording {
            return Recorder::of_nothing();
        }
        let (recorder, drain) = Drain::new();
        self.drains.lock().push(drain);
        recorder
    }

    /// Adds a sample of a value that is there at every moment (requests in flight, processor usage). Sample once between
    /// two ticks; only the first [`crate::gauge::MAX_SAMPLES_PER_TICK`] count.
    pub fn gauge(&self, metric: &'static str, scope: &Scope, value: f64) {
        self.gauges.lock().add(metric, scope, value);
    }

    /// Gathers what was recorded since the last call into a slice that ends at `now_ms`, Unix time in milliseconds. To be
    /// called once a second, from one place.
    pub fn tick(&self, now_ms: u64) {
        let mut drains = self.drains.lock();
        let mut windows = self.windows.lock();
        let mut exported = self.exported.lock();
        let mut profiles = self.profiles.lock();
        drains.retain_mut(|drain| {
            let count = |id: SeriesId, tally: &Tally| {
                if let Some(names) = self.registry.names(id) {
                    windows.add(&names, tally);
                    exported.entry(id).or_default().merge(&tally.exported);
                }
            };
            drain.drain(count, |record| {
                if let Some(names) = self.registry.names(record.series) {
                    profiles.push(Profile { at_ms: now_ms, names, record });
                }
            })
        });
        drop(profiles);
        let sequence = windows.close(now_ms);
        self.gauges.lock().close(sequence);
    }

    /// Every metric over the newest ticks that are together as long as `window` (two minutes at most), for the host,
    /// every provider and every model. Timings, ratios and gauges only where there was something to measure; numbers per
    /// second for every scope that was active in the last two minutes. Takes up to some milliseconds with many models:
    /// not for the hot path.
    pub fn window(&self, window: Duration) -> Vec<Metric> {
        let windows = self.windows.lock();
        let first = windows.first_tick(window);
        let mut all: Vec<Metric> = windows
            .since(first, window)
            .into_iter()
            .filter(|(place, _)| matches!(place, Place::Scope(_)))
            .flat_map(|(_, metrics)| metrics)
            .collect();
        drop(windows);
        let window_ms = u32::try_from(window.as_millis()).unwrap_or(u32::MAX);
        all.extend(self.gauges.lock().since(first).map(|(name, scope, summary)| Metric {
            name: name.to_owned(),
            scope: scope.clone(),
            unit: unit(name).to_owned(),
            window_ms,
            summary,
        }));
        all.sort_by(|a, b| (&a.scope, &a.name).cmp(&(&b.scope, &b.name)));
        all
    }

    /// As [`Self::window`], of the requests that each strategy planned; the scope of all is the whole host. In the order
    /// of their names.
    pub fn by_strategy(&self, window: Duration) -> Vec<(String, Vec<Metric>)> {
        let windows = self.windows.lock();
        let first = windows.first_tick(window);
        let strategies = windows.since(first, window).into_iter().filter_map(|(place, metrics)| match place {
            Place::Strategy(name) => Some((name.clone(), metrics)),
            Place::Scope(_) => None,
        });
        let mut all: Vec<(String, Vec<Metric>)> = strategies.collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Single requests, newest first: the slowest of each second, [`crate::profile::MOST_PROFILES`] at most.
    pub fn profiles(&self, is_wanted: impl Fn(&Profile) -> bool, limit: usize) -> Vec<Profile> {
        self.profiles.lock().newest().filter(|profile| is_wanted(profile)).take(limit).cloned().collect()
    }

    /// Sums that begin with the next tick.
    pub fn totals(&self) -> Totals {
        self.windows.lock().totals()
    }

    /// Adds to `totals` what the whole host did since the call before. To be called at least every two minutes; what is
    /// older is lost.
    pub fn add_to(&self, totals: &mut Totals) {
        self.windows.lock().add_to(totals);
    }

    /// What every metric grew by since the tick `after`, in windows of `window_ms`, and the newest tick's number.
    pub(crate) fn growth(&self, after: u64, window_ms: u64) -> (u64, Vec<Growth>) {
        let windows = self.windows.lock();
        let (newest, mut all) = windows.growth(after, window_ms);
        for (metric, scope, samples) in self.gauges.lock().samples() {
            let mut by_window: BTreeMap<u64, DDSketch> = BTreeMap::new();
            for (sequence, value) in samples.filter(|(sequence, _)| *sequence > after) {
                if let Some(start_ms) = windows.start_ms(sequence) {
                    by_window.entry(start_ms - start_ms % window_ms).or_default().add(value);
                }
            }
            all.extend(by_window.into_iter().map(|(start_ms, sketch)| Growth {
                metric,
                scope: scope.as_str().to_owned(),
                start_ms,
                sketch,
            }));
        }
        (newest, all)
    }

    /// Requests since the start of the process by what they came to, in the order of [`RequestOutcome::ALL`].
    pub fn outcomes(&self) -> [(RequestOutcome, u64); RequestOutcome::COUNT] {
        let mut all = RequestOutcome::ALL.map(|outcome| (outcome, 0));
        for exported in self.exported.lock().values() {
            for ((_, total), duration) in all.iter_mut().zip(&exported.duration) {
                *total += duration.count;
            }
        }
        all
    }

    /// Visits what is exported of every series, in the order of their numbers.
    pub(crate) fn each_exported(&self, mut visit: impl FnMut(&SeriesNames, &Exported)) {
        for (id, exported) in &*self.exported.lock() {
            if let Some(names) = self.registry.names(*id) {
                visit(&names, exported);
            }
        }
    }

    /// Every gauge's newest value, in the order of metric and scope.
    pub(crate) fn latest_gauges(&self) -> Vec<(&'static str, Scope, f64)> {
        let gauges = self.gauges.lock();
        let mut all: Vec<_> = gauges.latest().map(|(metric, scope, value)| (metric, scope.clone(), value)).collect();
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        all
    }
}
