//! Which generation is in service, which are leaving, and the history of both.
//!
//! Owns the moment of a swap and what is written down of it. A generation that left is held here until its last request
//! has ended, so that it is dropped on the control thread and never in the middle of somebody's request.

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_strategy::generation::{self, Arrival, DecisionCounts, GenerationRecord};
use perfhost_strategy::{Generation, Shared, Strategy};
use perfhost_telemetry::{Store, Telemetry, Totals};
use tracing::warn;

use super::SwapError;

/// Time between two writes of the present generation's record: what a killed host loses of it.
const BETWEEN_WRITES_MS: u64 = 10_000;

/// A strategy that left service gives its instances back after this time: requests that began before have planned.
const REST_AFTER_MS: u64 = 5_000;

/// Generations that are held until their last request has ended. With more, the oldest is dropped by that request.
const MOST_LEAVING: usize = 64;

/// Everything about generations.
pub(super) struct Generations {
    store: Store,
    telemetry: Arc<Telemetry>,
    in_service: Arc<Shared<Generation>>,
    /// Requests that may be planned at the same moment: one a worker.
    together: usize,
    records: Mutex<Records>,
}

struct Records {
    serving: GenerationRecord,
    totals: Totals,
    leaving: Vec<Leaving>,
    /// The highest number given.
    last_number: u64,
    /// Strategies of a running experiment: they keep their instances, in service or not.
    held: Vec<Arc<dyn Strategy>>,
}

struct Leaving {
    generation: Arc<Generation>,
    record: GenerationRecord,
    is_resting: bool,
}

impl Generations {
    /// Puts the first strategy of this process in service. `promoted` says which experiment chose it, where one did. Numbers
    /// go on from the history's.
    pub(super) fn start(
        store: Store,
        telemetry: Arc<Telemetry>,
        strategy: Arc<dyn Strategy>,
        promoted: Option<String>,
        together: usize,
        now_ms: u64,
    ) -> Result<Self, SwapError> {
        let earlier = store.generations(usize::from(u16::MAX), None)?;
        for ended in earlier.iter().filter(|record| record.to_ms.is_none()) {
            // Its host was killed; it served at least until this was written.
            store.record_generation(GenerationRecord { to_ms: Some(ended.updated_ms), ..ended.clone() });
        }
        let number = earlier.first().map_or(0, |newest| newest.number) + 1;
        let why = if promoted.is_some() { Arrival::Experiment } else { Arrival::Start };
        let serving =
            GenerationRecord { detail: promoted, ..GenerationRecord::new(number, strategy.identity(), why, now_ms) };
        store.record_generation(serving.clone());
        let in_service = Arc::new(Shared::new(Arc::new(Generation::new(number, strategy))));
        let records = Mutex::new(Records {
            serving,
            totals: telemetry.totals(),
            leaving: Vec::new(),
            last_number: number,
            held: Vec::new(),
        });
        Ok(Self { store, telemetry, in_service, together, records })
    }

    /// The generation in service, as the request path reads it.
    pub(super) fn in_service(&self) -> &Arc<Shared<Generation>> {
        &self.in_service
    }

    /// The present generation's record; its figures are of the last tick.
    pub(super) fn serving(&self) -> GenerationRecord {
        self.records.lock().serving.clone()
    }

    /// The swap: from here on `strategy` serves. Of the record only place and detail are the caller's to say.
    pub(super) fn replace(
        &self,
        strategy: Arc<dyn Strategy>,
        why: Arrival,
        place: Option<u64>,
        detail: Option<String>,
        now_ms: u64,
    ) -> GenerationRecord {
        let mut records = self.records.lock();
        // Here and not before: while the lock is held nobody lets it rest again.
        if let Err(error) = strategy.warm(self.together) {
            warn!(strategy = strategy.identity().name, %error, "its first requests wait for an instance");
        }
        records.last_number += 1;
        let number = records.last_number;
        let mut next = GenerationRecord::new(number, strategy.identity(), why, now_ms);
        next.place = place.unwrap_or(number);
        next.detail = detail;
        let left = self.in_service.store(Arc::new(Generation::new(number, strategy)));

        self.bring_up_to_date(&mut records, &left, now_ms);
        records.totals = self.telemetry.totals();
        let mut ended = std::mem::replace(&mut records.serving, next.clone());
        ended.to_ms = Some(now_ms);
        self.store.record_generation(ended.clone());
        self.store.record_generation(next.clone());
        records.leaving.push(Leaving { generation: left, record: ended, is_resting: false });
        if records.leaving.len() > MOST_LEAVING {
            records.leaving.remove(0);
        }
        next
    }

    /// A strategy that is about to serve beside the one in service keeps its instances until [`Self::release`].
    pub(super) fn hold(&self, strategy: &Arc<dyn Strategy>) {
        self.records.lock().held.push(strategy.clone());
    }

    /// The same for one that is not in service yet: its instances are made, and its generation has this number.
    pub(super) fn reserve(&self, strategy: &Arc<dyn Strategy>) -> u64 {
        let mut records = self.records.lock();
        if let Err(error) = strategy.warm(self.together) {
            warn!(strategy = strategy.identity().name, %error, "its first requests wait for an instance");
        }
        records.held.push(strategy.clone());
        records.last_number += 1;
        records.last_number
    }

    /// Nobody serves beside the one in service any more.
    pub(super) fn release(&self) {
        self.records.lock().held.clear();
    }

    /// Counts what the guard made of proposals, for the generation in service.
    pub(super) fn count(&self, decided: DecisionCounts) {
        let decisions = &mut self.records.lock().serving.decisions;
        decisions.applied += decided.applied;
        decisions.refused += decided.refused;
        decisions.rolled_back += decided.rolled_back;
    }

    /// Once a second: adds the second to the present generation's figures, and lets go of generations that have left.
    pub(super) fn tick(&self, now_ms: u64) {
        let mut records = self.records.lock();
        let generation = self.in_service.load();
        self.telemetry.add_to(&mut records.totals);
        if now_ms.saturating_sub(records.serving.updated_ms) >= BETWEEN_WRITES_MS {
            self.bring_up_to_date(&mut records, &generation, now_ms);
            self.store.record_generation(records.serving.clone());
        }
        let Records { leaving, held, .. } = &mut *records;
        let gone: Vec<Leaving> =
            leaving.extract_if(.., |left| self.has_left(left, &generation, held, now_ms)).collect();
        drop(records);
        drop(gone);
    }

    /// The history, newest first; the present generation's record is brought up to date before.
    pub(super) fn records(&self, limit: usize, before: Option<u64>) -> Result<Vec<GenerationRecord>, SwapError> {
        let mut records = self.records.lock();
        let generation = self.in_service.load();
        let now_ms = crate::service::now_ms();
        self.bring_up_to_date(&mut records, &generation, now_ms);
        self.store.record_generation(records.serving.clone());
        let leaving = records.leaving.iter_mut();
        leaving.for_each(|left| self.count_late_plans(left));
        drop(records);
        Ok(self.store.generations(limit, before)?)
    }

    /// The generation whose strategy a rollback puts in service: that of the number, or the one before the present one.
    pub(super) fn to_go_back_to(&self, number: Option<u64>) -> Result<GenerationRecord, SwapError> {
        let records = self.records(usize::from(u16::MAX), None)?;
        let serving = self.serving();
        let Some(number) = number else {
            return generation::before(&records, &serving).cloned().ok_or(SwapError::NothingBefore);
        };
        let wanted = records.into_iter().find(|record| record.number == number);
        let wanted = wanted.ok_or(SwapError::NoSuchGeneration(number))?;
        if wanted.digest == serving.digest { Err(SwapError::InServiceAlready(number)) } else { Ok(wanted) }
    }

    /// The host stops: the present generation's time is over.
    pub(super) fn end(&self, now_ms: u64) {
        let mut records = self.records.lock();
        let generation = self.in_service.load();
        self.telemetry.add_to(&mut records.totals);
        self.bring_up_to_date(&mut records, &generation, now_ms);
        records.serving.to_ms = Some(now_ms);
        self.store.record_generation(records.serving.clone());
        records.leaving.iter_mut().for_each(|left| self.count_late_plans(left));
    }

    fn bring_up_to_date(&self, records: &mut Records, generation: &Generation, now_ms: u64) {
        records.serving.updated_ms = now_ms;
        records.serving.planning = generation.planning.read();
        records.serving.figures = records.totals.figures();
    }

    /// Requests that took the generation before it left may have planned after.
    fn count_late_plans(&self, left: &mut Leaving) {
        let planning = left.generation.planning.read();
        if planning != left.record.planning {
            left.record.planning = planning;
            self.store.record_generation(left.record.clone());
        }
    }

    /// Whether nobody but this list holds it any more.
    fn has_left(&self, left: &mut Leaving, in_service: &Generation, held: &[Arc<dyn Strategy>], now_ms: u64) -> bool {
        self.count_late_plans(left);
        let strategy = &left.generation.strategy;
        let is_back = held.iter().chain([&in_service.strategy]).any(|serving| Arc::ptr_eq(strategy, serving));
        if !left.is_resting && !is_back && now_ms.saturating_sub(left.record.to_ms.unwrap_or(0)) >= REST_AFTER_MS {
            strategy.rest();
            left.is_resting = true;
        }
        let has_left = (left.is_resting || is_back) && Arc::strong_count(&left.generation) == 1;
        if !has_left && left.is_resting {
            strategy.trim();
        }
        has_left
    }
}
