//! A loaded component as a [`Strategy`]: one control instance, and planning instances taken from a pool.
//!
//! A failure in guest code costs the instance it happened in and nothing else. The next call runs on a fresh one, which
//! is given the configuration, the last saved state and the fleet first. A planning instance's successor is made by the
//! keeper; the control instance's is made by the next control call, which no request waits for.
//!
//! What changes is told to the idle planning instances by the call that changes it, one after another; meanwhile requests
//! are planned by the others with what was true a moment ago. One that was in use is told by the keeper once it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use perfhost_strategy::advice::{Advice, Choice};
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::Hardware;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::{Allowance, Description, Identity, InstanceCounts, InstanceMemory};
use perfhost_strategy::{Candidate, Observation, Outcome, Plan, PlanRequest, Proposal, Strategy, StrategyError};
use wasmtime::component::InstancePre;

use crate::deadline::{Deadline, Limit};
use crate::guest::Guest;
use crate::host::history::History;
use crate::host::log::{Log, LogLevel};
use crate::instance::{Condition, Context, Exports, Instance};
use crate::limits::Limits;
use crate::pool::Pool;
use crate::runtime::Runtime;
use crate::setup::{Setup, SharedSetup};
use crate::wasi::{Given, Wasi};

/// Planning instances beyond one for each request that is planned at the same moment: they serve while another is
/// brought up to date, or missed after a failure.
const SPARE: usize = 1;

/// A component that is ready to be instantiated, with what its instances share.
pub(crate) struct Prepared {
    pub(crate) runtime: Arc<Runtime>,
    /// The runtime's, narrowed by the strategy's terms.
    pub(crate) limits: Limits,
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) exports: Exports,
    /// What the host writes about the strategy.
    pub(crate) log: Arc<Log>,
    /// Where the strategy's own lines go.
    pub(crate) guest_log: Arc<Log>,
    /// Absent when it is not granted.
    pub(crate) history: Option<Arc<dyn History>>,
    pub(crate) given: Arc<Given>,
}

/// What an instance is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Tunes; may read history.
    Control,
    /// Plans requests.
    Planning,
}

impl Prepared {
    pub(crate) fn context(&self) -> Context<'_> {
        Context { limits: &self.limits, ticker: &self.runtime.ticker }
    }

    /// A new instance to which nothing has been said.
    pub(crate) fn instantiate(&self, role: Role, limit: Limit) -> Result<Instance, StrategyError> {
        let history = self.history.clone().filter(|_| role == Role::Control);
        let guest = Guest::new(
            &self.limits,
            self.guest_log.clone(),
            history,
            Wasi::new(self.given.clone()),
            Deadline::new(self.runtime.ticker.clone()),
        );
        Instance::new(&self.pre, &self.exports, guest, self.context(), limit)
    }
}

/// A strategy in a sandbox.
pub(crate) struct WasmStrategy {
    prepared: Prepared,
    identity: Identity,
    description: Description,
    allowance: Allowance,
    setup: SharedSetup,
    control: Mutex<Option<Instance>>,
    pool: Pool,
    /// Held while idle instances are brought up to date, so that never more than one is missing for it.
    refreshing: Mutex<()>,
    /// For the keeper.
    me: Weak<Self>,
    /// The keeper has been asked and has not begun.
    is_waiting_for_keeper: AtomicBool,
    call_limit: Limit,
    plan_limit: Limit,
}

impl WasmStrategy {
    pub(crate) fn new(
        prepared: Prepared,
        identity: Identity,
        description: Description,
        allowance: Allowance,
    ) -> Arc<Self> {
        let limits = prepared.limits.clone();
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            is_waiting_for_keeper: AtomicBool::new(false),
            setup: SharedSetup::new(),
            control: Mutex::new(None),
            pool: Pool::new(limits.warm_max),
            refreshing: Mutex::new(()),
            call_limit: limits.call_timeout.into(),
            plan_limit: limits.plan_timeout.into(),
            prepared,
            identity,
            description,
            allowance,
        })
    }

    fn is_routed(&self) -> bool {
        self.prepared.exports.route.is_some()
    }

    /// A new instance that has been told everything, in the contract's order.
    fn make(&self, role: Role) -> Result<Instance, StrategyError> {
        let mut instance = self.prepared.instantiate(role, self.call_limit)?;
        instance.describe(self.prepared.context(), self.call_limit)?;
        self.bring_up_to_date(&mut instance, &self.setup.load())?;
        instance.mark_ready(&self.prepared.limits, role);
        Ok(instance)
    }

    fn bring_up_to_date(&self, instance: &mut Instance, setup: &Setup) -> Result<(), StrategyError> {
        setup.apply(instance, self.prepared.context(), self.call_limit, self.is_routed())
    }

    /// Makes a planning instance and adds it to those that are idle.
    fn make_one_more(&self) -> Result<(), StrategyError> {
        let mut made = Box::new(self.make(Role::Planning)?);
        while let Err(mut behind) = self.pool.add(made, || self.setup.version()) {
            self.bring_up_to_date(&mut behind, &self.setup.load())?;
            made = behind;
        }
        Ok(())
    }

    /// More requests are planned at this moment than instances were kept for; from now on there is one more. Only where
    /// the caller can wait is it made now.
    #[cold]
    fn without_idle(&self) -> Result<Box<Instance>, StrategyError> {
        if self.pool.is_warmed() {
            let (why, has_work) = self.pool.miss("plan-request");
            if has_work {
                self.call_keeper();
            }
            return Err(why);
        }
        let instance = self.make(Role::Planning)?;
        self.pool.count_made_while_planning();
        Ok(Box::new(instance))
    }

    /// An instance that has not been told of the last change. It plans as it is, unless the caller can wait.
    #[cold]
    fn behind(&self, mut instance: Box<Instance>) -> Result<Box<Instance>, StrategyError> {
        if !self.pool.is_warmed()
            && let Err(error) = self.bring_up_to_date(&mut instance, &self.setup.load())
        {
            self.give(instance, Condition::Failed);
            return Err(error);
        }
        Ok(instance)
    }

    /// Runs `call` on the control instance, on a new one when there is none.
    fn on_control<T>(&self, call: impl FnOnce(&mut Instance) -> Result<T, StrategyError>) -> Result<T, StrategyError> {
        let mut slot = self.control.lock();
        let mut instance = match slot.take() {
            Some(instance) => instance,
            None => self.make(Role::Control)?,
        };
        let result = call(&mut instance);
        if instance.is_overgrown() && !instance.is_spent() {
            self.keep_state(&mut instance);
        } else if !instance.is_spent() {
            *slot = Some(instance);
        }
        result
    }

    /// After a call that may have taught the strategy something: hands changed state to the planning instances.
    fn keep_state(&self, instance: &mut Instance) {
        match instance.save(self.prepared.context(), self.call_limit) {
            Ok(state) if state == *self.setup.load().state => {}
            Ok(state) => {
                let versions = self.setup.change(|setup, version| {
                    setup.state = Arc::new(state);
                    setup.versions.state = version;
                });
                // It is this instance's own state.
                instance.applied.state = versions.state;
                instance.applied.total = versions.total;
            }
            Err(error) => {
                let message = format!("state was not saved: {error}");
                self.prepared.log.write(LogLevel::Error, &message);
            }
        }
    }

    /// Brings idle planning instances up to date now, so that no request waits for it. One that is in use is brought up to
    /// date by the keeper when it is given back.
    fn refresh_pool(&self) {
        if self.is_routed() {
            self.refresh_while_held(self.refreshing.lock());
        }
    }

    fn refresh_while_held<'a>(&'a self, mut held: MutexGuard<'a, ()>) {
        loop {
            let setup = self.setup.load();
            while let Some(mut instance) = self.pool.take_stale(setup.versions.total) {
                let condition = match self.bring_up_to_date(&mut instance, &setup) {
                    Ok(()) => instance.condition(&self.prepared.limits),
                    Err(error) => {
                        self.prepared.log.write(LogLevel::Error, &format!("a planning instance was dropped: {error}"));
                        Condition::Failed
                    }
                };
                self.give(instance, condition);
            }
            drop(held);
            // The keeper does not wait for its turn: what it was called for meanwhile is done here.
            if !self.pool.has_stale(self.setup.version()) {
                return;
            }
            held = self.refreshing.lock();
        }
    }

    /// Gives a planning instance back, and calls the keeper if that leaves it something to do.
    #[inline]
    fn give(&self, instance: Box<Instance>, condition: Condition) {
        let told = instance.applied.total;
        // The version is read after giving back: a change before that is seen here, one after it finds the instance idle.
        if self.pool.give(instance, condition) || told != self.setup.version() {
            self.call_keeper();
        }
    }

    #[cold]
    fn call_keeper(&self) {
        if !self.is_waiting_for_keeper.swap(true, Ordering::SeqCst) {
            self.prepared.runtime.keeper.ask(self.me.clone());
        }
    }

    /// The keeper's work: brings instances up to date that were in use when something changed, makes those that are
    /// missing and takes apart those out of use.
    pub(crate) fn look_after_pool(&self) {
        // Before looking, so that what is given back from now on asks anew.
        self.is_waiting_for_keeper.store(false, Ordering::SeqCst);
        if let Some(turn) = self.refreshing.try_lock() {
            self.refresh_while_held(turn);
        }
        while self.pool.is_missing_one() {
            if let Err(error) = self.make_one_more() {
                self.prepared.log.write(LogLevel::Error, &format!("no planning instance could be made: {error}"));
                self.pool.make_do(error);
            }
        }
        drop(self.pool.take_retired());
    }

    fn apply_to_control(
        &self,
        apply: impl FnOnce(&mut Instance, Context<'_>, Limit) -> Result<(), StrategyError>,
        change: impl FnOnce(&mut Setup, u64),
    ) -> Result<(), StrategyError> {
        self.on_control(|instance| {
            apply(instance, self.prepared.context(), self.call_limit)?;
            instance.applied = self.setup.change(change);
            Ok(())
        })?;
        self.refresh_pool();
        Ok(())
    }
}

impl Strategy for WasmStrategy {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    fn configure(&self, parameters: &[(String, String)], knobs: &[OfferedKnob]) -> Result<(), StrategyError> {
        self.apply_to_control(
            |instance, context, limit| instance.configure(context, limit, parameters, knobs),
            |setup, version| {
                setup.parameters = Arc::new(parameters.to_vec());
                setup.knobs = Arc::new(knobs.to_vec());
                setup.versions.configuration = version;
            },
        )
    }

    fn propose(&self, seen: &Observation) -> Result<Vec<Proposal>, StrategyError> {
        self.prepared.given.set(seen.now_ms, seen.seed);
        let proposals = self.on_control(|instance| {
            let proposals = instance.propose(self.prepared.context(), self.call_limit, seen)?;
            self.keep_state(instance);
            Ok(proposals)
        })?;
        self.refresh_pool();
        Ok(proposals)
    }

    fn learn(&self, outcomes: &[Outcome]) -> Result<(), StrategyError> {
        self.on_control(|instance| {
            instance.learn(self.prepared.context(), self.call_limit, outcomes)?;
            self.keep_state(instance);
            Ok(())
        })?;
        self.refresh_pool();
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, StrategyError> {
        self.on_control(|instance| instance.save(self.prepared.context(), self.call_limit))
    }

    fn restore(&self, state: &[u8]) -> Result<(), StrategyError> {
        self.apply_to_control(
            |instance, context, limit| instance.restore(context, limit, state),
            |setup, version| {
                setup.state = Arc::new(state.to_vec());
                setup.versions.state = version;
            },
        )
    }

    fn fleet(&self, names: &FleetNames) -> Result<(), StrategyError> {
        if !self.is_routed() {
            return Ok(());
        }
        self.apply_to_control(
            |instance, context, limit| instance.fleet(context, limit, names),
            |setup, version| {
                setup.fleet = Arc::new(names.clone());
                setup.versions.fleet = version;
            },
        )?;
        // The first request must not wait for an instance.
        if self.pool.len() == 0 {
            self.make_one_more()?;
        }
        Ok(())
    }

    fn plan(&self, asked: &PlanRequest, candidates: &[Candidate]) -> Result<Plan, StrategyError> {
        if !self.is_routed() {
            return Err(StrategyError::NotExported { call: "plan-request" });
        }
        let version = self.setup.version();
        let mut instance = match self.pool.take(version) {
            Some(instance) if instance.applied.total == version => instance,
            Some(instance) => self.behind(instance)?,
            None => self.without_idle()?,
        };
        let plan = instance.plan(self.prepared.context(), self.plan_limit, asked, candidates);
        let condition = instance.condition(&self.prepared.limits);
        self.give(instance, condition);
        plan
    }

    fn advise(
        &self,
        on: &Hardware,
        context_tokens: u32,
        parallel: u32,
        choices: &[Choice],
    ) -> Result<Vec<Advice>, StrategyError> {
        if self.prepared.exports.advise.is_none() {
            return Err(StrategyError::NotExported { call: "recommend" });
        }
        self.on_control(|instance| {
            let context = self.prepared.context();
            instance.recommend(context, self.call_limit, on, (context_tokens, parallel), choices)
        })
    }

    fn warm(&self, together: usize) -> Result<(), StrategyError> {
        if self.is_routed() {
            for _ in 0..self.pool.raise_floor(together + SPARE) {
                self.make_one_more()?;
            }
        }
        Ok(())
    }

    fn renew(&self) -> Result<(), StrategyError> {
        let mut slot = self.control.lock();
        if let Some(mut instance) = slot.take() {
            self.keep_state(&mut instance);
        }
        Ok(())
    }

    fn memory(&self) -> InstanceMemory {
        InstanceMemory {
            control_bytes: self.control.lock().as_ref().map_or(0, Instance::memory_bytes),
            planning_bytes: self.pool.largest_bytes(),
        }
    }

    fn instances(&self) -> InstanceCounts {
        self.pool.counts()
    }

    fn trim(&self) {
        self.pool.trim();
    }

    fn rest(&self) {
        self.pool.clear();
        self.control.lock().take();
    }

    fn warm_instances(&self) -> usize {
        self.pool.len()
    }
}
