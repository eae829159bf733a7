//! One instance of a strategy and its calls, each within its limits.
//!
//! An instance that failed in guest code is spent: [`Instance::is_spent`] says so, and its owner drops it.

use perfhost_strategy::advice::{Advice, Choice};
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::Hardware;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::Description;
use perfhost_strategy::{Candidate, Observation, Outcome, Plan, PlanRequest, Proposal, StrategyError};
use wasmtime::Store;

use crate::bindings::exports::perfhost::strategy::{advise, control, route};
use crate::convert::{from_guest, to_guest};
use crate::deadline::Limit;
use crate::failure::{Circumstances, classify};
use crate::guest::Guest;
use crate::limits::Limits;
use crate::setup::Applied;
use crate::strategy::Role;
use crate::ticker::Ticker;

/// Handles (streams, timers) that one instance may hold at a time.
const MAX_HANDLES: usize = 4_096;

/// An instance may grow by this many times what makes it due before it is no longer used: time for its successor to
/// be made while it serves on.
const OVERDUE: u64 = 4;

/// One instance.
pub(crate) struct Instance {
    store: Store<Guest>,
    control: control::Guest,
    route: Option<route::Guest>,
    advise: Option<advise::Guest>,
    /// Parts of the set-up that it has been given.
    pub(crate) applied: Applied,
    candidates: Vec<route::Candidate<'static>>,
    plans: u64,
    /// With more memory than this it should be replaced.
    due_bytes: u64,
    /// With more than this it must not be used again.
    overdue_bytes: u64,
    is_spent: bool,
    /// It no longer counts among those in good order.
    pub(crate) is_given_up: bool,
}

/// Whether a planning instance can be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Yes.
    Good,
    /// Until there is another: it has grown, or served its share of calls.
    Due,
    /// No: it has grown so much that its next call may run out of memory.
    Overdue,
    /// No: guest code failed in it.
    Failed,
}

/// What a call needs from its surroundings.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) ticker: &'a Ticker,
}

/// The exports of a component, looked up once.
pub(crate) struct Exports {
    pub(crate) control: control::GuestIndices,
    pub(crate) route: Option<route::GuestIndices>,
    pub(crate) advise: Option<advise::GuestIndices>,
}

impl Instance {
    /// Makes an instance; guest code that runs while it starts has `limit`.
    pub(crate) fn new(
        pre: &wasmtime::component::InstancePre<Guest>,
        exports: &Exports,
        guest: Guest,
        context: Context<'_>,
        limit: Limit,
    ) -> Result<Self, StrategyError> {
        let mut store = Store::new(pre.engine(), guest);
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(context.limits.max_output_bytes);
        store.set_max_component_handles(MAX_HANDLES);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline.reached()));
        let started = {
            let _awake = begin(&mut store, context, limit);
            pre.instantiate(&mut store).and_then(|instance| {
                Ok((
                    exports.control.load(&mut store, &instance)?,
                    exports.route.as_ref().map(|route| route.load(&mut store, &instance)).transpose()?,
                    exports.advise.as_ref().map(|advise| advise.load(&mut store, &instance)).transpose()?,
                ))
            })
        };
        match started {
            Ok((control, route, advise)) => Ok(Self {
                store,
                control,
                route,
                advise,
                applied: Applied::default(),
                candidates: Vec::new(),
                plans: 0,
                due_bytes: u64::MAX,
                overdue_bytes: u64::MAX,
                is_spent: false,
                is_given_up: false,
            }),
            Err(error) => Err(classify(&error, &circumstances(&store, context, "instantiate", limit))),
        }
    }

    /// Whether guest code failed in it, so that it cannot be called again.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Bytes of memory it has at present.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.data().memory_bytes
    }

    /// Marks the present memory as that of an instance in good order. What it may grow by is a part of what it has left; a
    /// control instance, which keeps what it learns, may use most of it.
    pub(crate) fn mark_ready(&mut self, limits: &Limits, role: Role) {
        let ready = self.memory_bytes();
        let left = limits.memory_bytes.saturating_sub(ready);
        let growth = limits.retire_after_growth_bytes.min(left / 2);
        self.due_bytes = ready + growth;
        self.overdue_bytes = ready
            + match role {
                Role::Planning => growth.saturating_mul(OVERDUE).min(left - left / 4),
                Role::Control => left - left / 4,
            };
    }

    /// Whether it can plan again.
    #[inline]
    pub(crate) fn condition(&self, limits: &Limits) -> Condition {
        let bytes = self.memory_bytes();
        if self.is_spent {
            Condition::Failed
        } else if self.plans < limits.retire_after_calls && bytes <= self.due_bytes {
            Condition::Good
        } else if bytes <= self.overdue_bytes {
            Condition::Due
        } else {
            Condition::Overdue
        }
    }

    /// Whether one of its next calls may run out of memory.
    pub(crate) fn is_overgrown(&self) -> bool {
        self.memory_bytes() > self.overdue_bytes
    }

    pub(crate) fn describe(&mut self, context: Context<'_>, limit: Limit) -> Result<Description, StrategyError> {
        let given = self.call(context, "describe", limit, |store, guest| guest.call_describe(store))?;
        from_guest::description(given, context.limits)
    }

    pub(crate) fn configure(
        &mut self,
        context: Context<'_>,
        limit: Limit,
        parameters: &[(String, String)],
        knobs: &[OfferedKnob],
    ) -> Result<(), StrategyError> {
        let parameters = to_guest::parameters(parameters);
        to_guest::with_knobs(knobs, |knobs| {
            self.call(context, "configure", limit, |store, guest| guest.call_configure(store, &parameters, knobs))
        })?
        .map_err(|fault| from_guest::fault("configure", fault, context.limits))
    }

    pub(crate) fn propose(
        &mut self,
        context: Context<'_>,
        limit: Limit,
        seen: &Observation,
    ) -> Result<Vec<Proposal>, StrategyError> {
        self.store.data_mut().wasi.reseed();
        let given = to_guest::with_observation(seen, |seen| {
            self.call(context, "propose", limit, |store, guest| guest.call_propose(store, seen))
        })?
        .map_err(|fault| from_guest::fault("propose", fault, context.limits))?;
        from_guest::proposals(given, context.limits)
    }

    pub(crate) fn learn(
        &mut self,
        context: Context<'_>,
        limit: Limit,
        outcomes: &[Outcome],
    ) -> Result<(), StrategyError> {
        let outcomes = to_guest::outcomes(outcomes);
        self.call(context, "learn", limit, |store, guest| guest.call_learn(store, &outcomes))
    }

    pub(crate) fn save(&mut self, context: Context<'_>, limit: Limit) -> Result<Vec<u8>, StrategyError> {
        let given = self.call(context, "save", limit, |store, guest| guest.call_save(store))?;
        from_guest::state(given, context.limits)
    }

    pub(crate) fn restore(&mut self, context: Context<'_>, limit: Limit, state: &[u8]) -> Result<(), StrategyError> {
        self.call(context, "restore", limit, |store, guest| guest.call_restore(store, state))?
            .map_err(|fault| from_guest::fault("restore", fault, context.limits))
    }

    pub(crate) fn fleet(
        &mut self,
        context: Context<'_>,
        limit: Limit,
        names: &FleetNames,
    ) -> Result<(), StrategyError> {
        let Some(route) = &self.route else { return Err(StrategyError::NotExported { call: "fleet" }) };
        let result = {
            let _awake = begin(&mut self.store, context, limit);
            to_guest::with_fleet(names, |names| route.call_fleet(&mut self.store, names))
        };
        self.end(result, context, "fleet", limit)
    }

    pub(crate) fn recommend(
        &mut self,
        context: Context<'_>,
        limit: Limit,
        on: &Hardware,
        (context_tokens, parallel): (u32, u32),
        choices: &[Choice],
    ) -> Result<Vec<Advice>, StrategyError> {
        let Some(advise) = &self.advise else { return Err(StrategyError::NotExported { call: "recommend" }) };
        let result = {
            let _awake = begin(&mut self.store, context, limit);
            to_guest::with_choices(on, choices, |on, choices| {
                advise.call_recommend(&mut self.store, on, context_tokens, parallel, choices)
            })
        };
        let given = self
            .end(result, context, "recommend", limit)?
            .map_err(|fault| from_guest::fault("recommend", fault, context.limits))?;
        from_guest::advice(given, context.limits)
    }

    /// Plans one request. The hot path: no allocation besides the answer's own list once warm.
    #[inline]
    pub(crate) fn plan(
        &mut self,
        context: Context<'_>,
        limit: Limit,
        asked: &PlanRequest,
        candidates: &[Candidate],
    ) -> Result<Plan, StrategyError> {
        let Some(route) = &self.route else { return Err(StrategyError::NotExported { call: "plan-request" }) };
        let mut given: Vec<route::Candidate<'_>> = std::mem::take(&mut self.candidates);
        given.extend(candidates.iter().map(|one| to_guest::candidate(one, to_guest::candidate_extra(one))));
        self.plans += 1;
        context.ticker.short_call();
        let guest = self.store.data_mut();
        guest.refused_bytes = None;
        let first_deadline = guest.deadline.begin(limit);
        self.store.set_epoch_deadline(first_deadline);
        let answer = route.call_plan_request(&mut self.store, to_guest::request(asked), &given);
        self.candidates = emptied(given);
        match answer {
            Ok(given) => from_guest::plan(given, candidates.len(), context.limits),
            Err(error) => self.end(Err(error), context, "plan-request", limit),
        }
    }

    fn call<T>(
        &mut self,
        context: Context<'_>,
        call: &'static str,
        limit: Limit,
        run: impl FnOnce(&mut Store<Guest>, &control::Guest) -> wasmtime::Result<T>,
    ) -> Result<T, StrategyError> {
        let result = {
            let _awake = begin(&mut self.store, context, limit);
            run(&mut self.store, &self.control)
        };
        self.end(result, context, call, limit)
    }

    fn end<T>(
        &mut self,
        result: wasmtime::Result<T>,
        context: Context<'_>,
        call: &'static str,
        limit: Limit,
    ) -> Result<T, StrategyError> {
        let Guest { wasi, log, .. } = self.store.data_mut();
        wasi.flush(log);
        result.map_err(|error| {
            self.is_spent = true;
            classify(&error, &circumstances(&self.store, context, call, limit))
        })
    }
}

/// The list without its elements, for the next call: its memory is used again.
fn emptied(mut list: Vec<route::Candidate<'_>>) -> Vec<route::Candidate<'static>> {
    list.clear();
    list.into_iter().map(|_| to_guest::candidate(&Candidate::default(), &[])).collect()
}

fn begin<'a>(store: &mut Store<Guest>, context: Context<'a>, limit: Limit) -> crate::ticker::LongCall<'a> {
    let guest = store.data_mut();
    guest.refused_bytes = None;
    let first_deadline = guest.deadline.begin(limit);
    let awake = context.ticker.long_call();
    store.set_epoch_deadline(first_deadline);
    awake
}

fn circumstances(store: &Store<Guest>, context: Context<'_>, call: &'static str, limit: Limit) -> Circumstances {
    Circumstances {
        call,
        limit: limit.whole,
        refused_bytes: store.data().refused_bytes,
        memory_limit_bytes: context.limits.memory_bytes,
        output_limit_bytes: context.limits.max_output_bytes as u64,
    }
}
