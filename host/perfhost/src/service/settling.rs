//! How long this host's figures take to settle after a change of what requests share: measured after each such change,
//! kept for each machine and what serves on it, and read by experiments for the length of their blocks.
//!
//! Owns when a change begins and where the times are kept; how a time is read from figures is
//! `perfhost_strategy::experiment::settling`'s business.

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_strategy::experiment::settling::{LEAST_TIMES, Settled, Times, Watch};
use perfhost_strategy::knob::Touches;
use perfhost_strategy::observation::metric;
use perfhost_strategy::{KnobId, Scope, Settings};
use perfhost_telemetry::{Store, Telemetry};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use super::tuned::Surroundings;

/// Key in the store.
const KEY: &str = "settling-times";

/// Machines and what serves on them that are remembered; the one that was measured longest ago goes first.
const MOST_PLACES: usize = 32;

/// The newest second of what was measured.
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// Measured settling times.
pub struct SettlingTimes {
    store: Store,
    telemetry: Arc<Telemetry>,
    state: Mutex<State>,
}

struct State {
    watch: Watch,
    /// Measured longest ago first.
    known: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    on: String,
    times_ms: Times,
}

impl SettlingTimes {
    /// With what earlier runs measured. What cannot be read is forgotten with a warning.
    pub fn open(store: Store, telemetry: Arc<Telemetry>) -> Self {
        let read = store.state(KEY).map_err(|error| error.to_string()).and_then(|found| {
            found.map_or(Ok(Vec::new()), |bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
        });
        let known = read.unwrap_or_else(|error| {
            warn!(error, "the settling times of earlier runs cannot be read and are not used");
            Vec::new()
        });
        Self { store, telemetry, state: Mutex::new(State { watch: Watch::default(), known }) }
    }

    /// Settings take the place of others. A change that an engine has to take begins when it has: [`Self::took_effect`].
    pub fn changed(&self, before: &Settings, after: &Settings, now_ms: u64, surroundings: &Surroundings) {
        let shared = differences(before, after).filter(|id| id.touches() == Touches::Shared).collect::<Vec<_>>();
        if shared.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let awaits_engine = shared.iter().any(|id| id.knob().reload);
        let ended = if awaits_engine { state.watch.give_up() } else { state.watch.changed(now_ms) };
        self.note(&mut state, ended, surroundings);
    }

    /// An engine runs with what was changed.
    pub fn took_effect(&self, at_ms: u64, surroundings: &Surroundings) {
        let mut state = self.state.lock();
        let ended = state.watch.changed(at_ms);
        self.note(&mut state, ended, surroundings);
    }

    /// Once a second, after telemetry's own tick.
    pub fn tick(&self, now_ms: u64, surroundings: impl FnOnce() -> Surroundings) {
        let mut state = self.state.lock();
        if !state.watch.is_following() {
            return;
        }
        let metrics = self.telemetry.window(SECOND);
        let times = metrics.iter().find(|seen| seen.name == metric::RESPONSE_TIME && seen.scope == Scope::global());
        let (count, mean_ms) = times.map_or((0, 0.0), |seen| (seen.summary.count, seen.summary.mean));
        if let Some(settled_ms) = state.watch.second(now_ms, count, mean_ms) {
            self.note(&mut state, Some(settled_ms), &surroundings());
        }
    }

    /// What was measured here, and over how many changes also where that is too few to come to anything.
    pub fn measured(&self, surroundings: &Surroundings) -> (Option<Settled>, usize) {
        let on = surroundings.in_words();
        let state = self.state.lock();
        let place = state.known.iter().find(|place| place.on == on);
        place.map_or((None, 0), |place| (place.times_ms.settled(), place.times_ms.count()))
    }

    fn note(&self, state: &mut State, settled_ms: Option<u64>, surroundings: &Surroundings) {
        let Some(settled_ms) = settled_ms else { return };
        let on = surroundings.in_words();
        let at = state.known.iter().position(|place| place.on == on);
        let mut place = at.map_or_else(|| Place { on, times_ms: Times::default() }, |at| state.known.remove(at));
        place.times_ms.note(settled_ms);
        debug!(settled_ms, changes = place.times_ms.count(), "figures have settled after a change");
        state.known.push(place);
        let excess = state.known.len().saturating_sub(MOST_PLACES);
        state.known.drain(..excess);
        match serde_json::to_vec(&state.known) {
            Ok(bytes) => self.store.put_state(KEY, &bytes),
            Err(error) => warn!(%error, "settling times could not be written"),
        }
    }
}

/// In words: where a settling time comes from.
pub fn origin((settled, changes): (Option<Settled>, usize)) -> String {
    match settled {
        Some(Settled { upper_quartile_ms, changes }) => format!(
            "figures settled within {} s after three quarters of {changes} changes that were measured",
            upper_quartile_ms as f64 / 1_000.0
        ),
        None if changes == 0 => "settling time: default, none measured yet".to_owned(),
        None => format!("settling time: default, {changes} of {LEAST_TIMES} changes measured so far"),
    }
}

fn differences<'a>(before: &'a Settings, after: &'a Settings) -> impl Iterator<Item = KnobId> + 'a {
    let all = before.changed().chain(after.changed());
    all.filter(|(id, scope, _)| before.value(*id, scope) != after.value(*id, scope)).map(|(id, _, _)| id)
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::Value;

    use super::*;

    fn surroundings(model: &str) -> Surroundings {
        Surroundings { machine: "here".to_owned(), providers: [("local".to_owned(), model.to_owned())].into() }
    }

    fn with(id: KnobId, value: i64) -> Settings {
        Settings::default().with(id, &Scope::global(), Value::Integer(value))
    }

    #[test]
    fn times_are_kept_by_what_serves_and_outlive_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let times = SettlingTimes::open(store.clone(), Telemetry::new());
        for settled_ms in [1_000, 2_000, 3_000, 9_000] {
            times.note(&mut times.state.lock(), Some(settled_ms), &surroundings("small"));
        }
        times.note(&mut times.state.lock(), Some(500), &surroundings("large"));
        let again = SettlingTimes::open(store, Telemetry::new());
        let of_small = again.measured(&surroundings("small"));
        assert_eq!(of_small, (Some(Settled { upper_quartile_ms: 3_000, changes: 4 }), 4));
        assert!(origin(of_small).contains("3 s after three quarters of 4 changes"), "{}", origin(of_small));
        assert!(origin(again.measured(&surroundings("large"))).ends_with("1 of 4 changes measured so far"));
        assert!(origin(again.measured(&surroundings("other"))).ends_with("default, none measured yet"));
        for place in 0..2 * MOST_PLACES {
            again.note(&mut again.state.lock(), Some(500), &surroundings(&place.to_string()));
        }
        assert_eq!(again.state.lock().known.len(), MOST_PLACES);
    }

    #[test]
    fn only_what_requests_share_begins_a_measurement_and_an_engine_says_when() {
        let folder = tempfile::tempdir().unwrap();
        let times = SettlingTimes::open(Store::open(folder.path()).unwrap(), Telemetry::new());
        let is_following_after = |after: &Settings| {
            times.changed(&Settings::default(), after, 1_000, &surroundings("small"));
            times.state.lock().watch.is_following()
        };
        assert!(!is_following_after(&with(KnobId::Retries, 3)));
        assert!(is_following_after(&with(KnobId::ConcurrencyLimit, 3)));
        assert!(!is_following_after(&with(KnobId::EngineSlots, 3)), "the engine has not started yet");
        times.took_effect(9_000, &surroundings("small"));
        assert!(times.state.lock().watch.is_following());
    }
}
