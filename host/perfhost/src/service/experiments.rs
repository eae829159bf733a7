//! Experiments on live traffic: starting them, their clock, going on after a restart, and what is known of past ones.
//!
//! One runs at a time: two would be each other's noise. What each part owns:
//! - [`request`]: what somebody asks for who starts one; [`terms`]: its terms, with what was measured here
//! - [`arms`]: the strategies that are compared, and their settings
//! - [`automatic`]: continuous mode
//! - [`running`]: one experiment under way
//! - [`record`]: what is kept of each; [`trail`], [`classes`]: parts of that
//! - [`findings`]: what was learned, by workload class and machine; [`decided`]: what the configured one came to
//! - [`report`]: an experiment told to people and programs

mod arms;
mod automatic;
mod classes;
mod decided;
mod error;
mod findings;
mod record;
mod report;
mod request;
mod running;
mod terms;
mod trail;

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_gateway::experiment::{LiveExperiment, request_number};
use perfhost_gateway::{ControlError, ExperimentControl, ReportFormat};
use perfhost_strategy::experiment::statistics::OnlineBound;
use perfhost_strategy::experiment::{CONTROL, Experiment, Verdict};
use perfhost_strategy::{Settings, Shared};
use perfhost_telemetry::{Store, Telemetry};
use perfhost_upstream::Fleet;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::now_ms;
use super::strategies::Strategies;
use super::tuner::Tuner;
use crate::config::Config;
use record::Record;
use running::Running;

pub use error::ExperimentError;
pub use request::{ArmRequest, FixedArm, SloRequest, StartRequest};

/// What experiments work with.
pub struct Parts {
    /// Loads arms and puts winners in service.
    pub strategies: Arc<Strategies>,
    /// Lets arms tune in turn.
    pub tuner: Arc<Tuner>,
    /// The host's settings.
    pub settings: Arc<Shared<Settings>>,
    /// Keeps records.
    pub store: Store,
    /// For the pace of traffic.
    pub telemetry: Arc<Telemetry>,
    /// Providers.
    pub fleet: Arc<Fleet>,
    /// Where workers read which arm serves whom.
    pub live: Arc<Shared<Option<LiveExperiment>>>,
    /// The configuration in force.
    pub config: Arc<Mutex<Arc<Config>>>,
}

/// All experiments of a host.
pub struct Experiments {
    parts: Parts,
    state: Mutex<State>,
}

struct State {
    running: Option<Running>,
    next_id: u64,
    /// When continuous mode goes on, Unix time in milliseconds.
    next_automatic_ms: u64,
    /// Challengers of continuous mode that could not be had.
    passed_over: u64,
    /// What continuous mode has spent of its error bound.
    spent: OnlineBound,
}

impl Parts {
    fn provider_names(&self) -> Vec<String> {
        self.fleet.providers().iter().map(|provider| provider.name().to_owned()).collect()
    }
}

impl Experiments {
    /// Goes on with the experiment that was running when the host ended, if one was.
    pub fn open(parts: Parts) -> Result<Self, ExperimentError> {
        let newest = parts.store.experiments(1)?.first().copied();
        let next_id = newest.unwrap_or(0) + 1;
        let spent = automatic::spent(&parts.store);
        let state = State { running: None, next_id, next_automatic_ms: now_ms(), passed_over: 0, spent };
        let experiments = Self { parts, state: Mutex::new(state) };
        if let Some(id) = newest {
            match Record::read(&experiments.parts.store, id) {
                Ok(record) if !record.is_over() => experiments.resume(record),
                Ok(_) => {}
                Err(error) => warn!(%error, "the last experiment cannot be gone on with"),
            }
        }
        Ok(experiments)
    }

    fn resume(&self, mut record: Record) {
        let now_ms = now_ms();
        let id = record.id;
        let offered = self.parts.tuner.offered(&self.parts.config.lock().clone());
        let recalled = self
            .check_recording()
            .and_then(|()| arms::recall(&self.parts.strategies, &record.arms, &record.request, &offered));
        let begun = recalled.and_then(|mut arms| {
            let stays = record.experiment.in_service();
            // A promotion outlives the host, as long as nobody has put something else in service since.
            let serving = self.parts.strategies.serving().digest;
            if let Some(winner) = arms.get_mut(stays)
                && record.arms.iter().any(|arm| arm.digest == serving)
            {
                winner.enlisted = self.parts.strategies.promote(&winner.enlisted, &format!("experiment {id}"));
            }
            record.experiment.resume(now_ms);
            record.trail.note(now_ms, "the host was started again; the experiment goes on");
            Running::begin(&self.parts, record.clone(), arms, now_ms)
        });
        match begun {
            Ok(running) => {
                info!(experiment = id, "goes on after the restart");
                self.state.lock().running = Some(running);
            }
            Err(error) => {
                warn!(experiment = id, %error, "it cannot go on after the restart and is stopped");
                let why = format!("it could not go on after a restart: {error}");
                let _changes = record.experiment.stop(now_ms, &why);
                record.ended_ms = Some(now_ms);
                record.trail.note(now_ms, why);
                if let Err(error) = record.write(&self.parts.store) {
                    warn!(%error, "the experiment could not be written down");
                }
            }
        }
    }

    fn check_recording(&self) -> Result<(), ExperimentError> {
        if self.parts.telemetry.is_recording() { Ok(()) } else { Err(ExperimentError::NotRecording) }
    }

    /// Starts one; its number. Blocks while strategies are loaded.
    pub fn begin(&self, request: StartRequest) -> Result<u64, ExperimentError> {
        self.begin_in(&mut self.state.lock(), request, false)
    }

    /// What the configuration asks for from the start, unless an experiment of an earlier run goes on or has answered it.
    pub fn begin_configured(&self) {
        let config = self.parts.config.lock().clone();
        if config.ab.is_empty() || self.state.lock().running.is_some() {
            return;
        }
        let request = decided::configured(&config.ab);
        let decided = decided::read(&self.parts.store).filter(|decided| decided.is_about(&request));
        let promotion = self.parts.strategies.promotion();
        if let Some(other) = promotion.filter(|promotion| decided.as_ref().is_none_or(|own| !own.is_by(promotion))) {
            let (experiment, strategy) = (other.experiment, &other.strategy);
            info!(
                experiment,
                strategy,
                "another experiment's winner serves in place of the configured ones, which are not compared; --fresh begins with them"
            );
            return;
        }
        // To read the files anew is worth it only where that may save an experiment.
        let digests = || config.ab.iter().filter_map(|arm| self.parts.strategies.digest_of(arm)).collect::<Vec<_>>();
        if let Some(decided) = decided.filter(|decided| !config.is_fresh && decided.has_compared(&digests())) {
            let (experiment, ending) = (decided.experiment, decided.ending);
            info!(
                experiment,
                ending, "the configured experiment was decided in an earlier run; --fresh begins it again"
            );
            return;
        }
        if let Err(error) = self.begin(request) {
            warn!(%error, "the experiment was not started");
        }
    }

    fn begin_in(&self, state: &mut State, request: StartRequest, is_automatic: bool) -> Result<u64, ExperimentError> {
        self.check_recording()?;
        if let Some(running) = &state.running {
            return Err(ExperimentError::Running(running.record.id));
        }
        let now_ms = now_ms();
        let config = self.parts.config.lock().clone();
        let offered = self.parts.tuner.offered(&config);
        // Terms that can be wrong by themselves are looked at before anything is loaded.
        request.objective(0.0)?;
        request.guardrails()?;
        let mut arms = arms::enlist(&self.parts.strategies, &request, &offered)?;
        let surroundings = self.parts.tuner.surroundings();
        let settling = self.parts.tuner.settling().measured(&surroundings);
        let started = terms::spec(&request, &arms, &self.parts.telemetry, settling)
            .and_then(|spec| Ok(Experiment::start(spec, now_ms)?))
            .inspect_err(|_| self.parts.strategies.dismiss())?;
        let id = state.next_id;
        let serves: Vec<String> =
            surroundings.providers.iter().map(|(name, serves)| format!("{name}: {serves}")).collect();
        let mut record = Record {
            id,
            request,
            machine: surroundings.machine,
            serves: serves.join("; "),
            arms: Vec::new(),
            experiment: started,
            trail: trail::Trail::default(),
            classes: classes::Classes::default(),
            unreported: 0,
            ended_ms: None,
            is_automatic,
        };
        let spec = record.experiment.spec();
        info!(experiment = id, name = spec.name, "started: {}", spec.choice.reason);
        record.trail.note(now_ms, format!("started: {}", record.experiment.spec().choice.reason));
        state.next_id += 1;
        let settled = self.parts.tuner.begin_turns();
        arms.iter_mut().for_each(|arm| arm.begin_with(&settled));
        let begun = Running::begin(&self.parts, record, arms, now_ms).inspect_err(|_| self.give_back());
        state.running = Some(begun?);
        Ok(id)
    }

    /// An experiment that was about to begin does not.
    fn give_back(&self) {
        self.parts.live.store(Arc::new(None));
        self.parts.tuner.end_turns(CONTROL as u32, None);
        self.parts.strategies.dismiss();
    }

    /// The clock of experiments: several times a second. Blocks while a swap or a turn is made.
    pub fn tick(&self) {
        let mut state = self.state.lock();
        let now_ms = now_ms();
        if state.running.as_mut().is_some_and(|running| running.tick(&self.parts, now_ms)) {
            self.finish(&mut state, now_ms);
        }
        self.go_on_automatically(&mut state, now_ms);
    }

    /// Continuous mode: the next challenger, when it is time.
    fn go_on_automatically(&self, state: &mut State, now_ms: u64) {
        let config = self.parts.config.lock().clone();
        let Some(policy) = config.auto.filter(|_| state.running.is_none() && now_ms >= state.next_automatic_ms) else {
            return;
        };
        state.next_automatic_ms = now_ms + policy.pause_ms;
        let champion = self.parts.strategies.in_service().load();
        let (identity, turns) = (champion.strategy.identity(), &champion.strategy.description().turns);
        let settings = self.parts.settings.load();
        let offered = self.parts.tuner.offered(&config);
        let challengers = automatic::challengers(&config.plugins, &identity.name, turns, &offered, &settings);
        // Numbers go on from run to run, and so does the turn.
        let turn = (state.next_id + state.passed_over) as usize;
        let Some(challenger) = turn.checked_rem(challengers.len()).and_then(|at| challengers.get(at)) else { return };
        let (before, level) = (state.spent, state.spent.next_level(automatic::FALSE_PROMOTIONS));
        // Before the experiment is written down: a host that is killed between the two has spent too much, never too little.
        state.spent.begun();
        automatic::keep(&self.parts.store, &state.spent);
        match self.begin_in(state, automatic::terms(challenger.clone(), &policy, level), true) {
            Ok(_) => {
                let what = report::part_of_bound(&before, level);
                info!("{what}");
                if let Some(running) = &mut state.running {
                    running.record.trail.note(now_ms, what);
                }
            }
            Err(error) => {
                state.spent = before;
                automatic::keep(&self.parts.store, &before);
                state.passed_over += 1;
                warn!(%error, "a challenger is passed over");
            }
        }
    }

    /// The host stops: the experiment under way is written down, and goes on at the next start.
    pub fn pause(&self) {
        let mut state = self.state.lock();
        if let Some(running) = &mut state.running
            && let Err(error) = running.write(&self.parts, now_ms())
        {
            warn!(%error, "the experiment could not be written down");
        }
    }

    fn finish(&self, state: &mut State, now_ms: u64) {
        if let Some(running) = state.running.take() {
            if let Some(promotion) = running.promotion(&self.parts) {
                promotion.keep(&self.parts.store);
            }
            let record = running.end(&self.parts, now_ms);
            findings::keep(&self.parts.store, &record);
            decided::keep(&self.parts.store, &record, &self.parts.config.lock().ab);
            let is_promoted = |verdict: &Verdict| matches!(verdict, Verdict::Promote { arm, .. } if *arm != CONTROL);
            if record.is_automatic && record.experiment.verdict().is_some_and(is_promoted) {
                state.spent.promoted();
                automatic::keep(&self.parts.store, &state.spent);
            }
            let pause_ms = self.parts.config.lock().auto.map_or(0, |policy| policy.pause_ms);
            state.next_automatic_ms = now_ms + pause_ms;
        }
    }

    /// Looks at the experiment of this number, running or past.
    fn with_record<T>(&self, id: u64, look: impl FnOnce(&Record) -> T) -> Result<T, ExperimentError> {
        let state = self.state.lock();
        match &state.running {
            Some(running) if running.record.id == id => Ok(look(&running.record)),
            _ => {
                drop(state);
                Ok(look(&Record::read(&self.parts.store, id)?))
            }
        }
    }
}

impl ExperimentControl for Experiments {
    fn start(&self, request: Value) -> Result<Value, ControlError> {
        let request: StartRequest = serde_json::from_value(request).map_err(ExperimentError::from)?;
        let id = self.begin(request)?;
        self.status(id)
    }

    fn list(&self, limit: usize) -> Result<Value, ControlError> {
        let ids = self.parts.store.experiments(limit).map_err(ExperimentError::from)?;
        let briefs = ids.into_iter().map(|id| self.with_record(id, report::brief));
        // One damaged record must not hide the others.
        let briefs: Vec<Value> =
            briefs.filter_map(|brief| brief.inspect_err(|error| warn!(%error, "not listed")).ok()).collect();
        let spent = self.state.lock().spent;
        Ok(json!({
            "experiments": briefs,
            "learned": findings::read(&self.parts.store),
            "automatic": report::automatic(&spent),
        }))
    }

    fn status(&self, id: u64) -> Result<Value, ControlError> {
        Ok(self.with_record(id, report::status)?)
    }

    fn stop(&self, id: u64, why: &str) -> Result<Value, ControlError> {
        let mut state = self.state.lock();
        let now_ms = now_ms();
        match &mut state.running {
            Some(running) if running.record.id == id => {
                running.stop(&self.parts, why, now_ms);
                self.finish(&mut state, now_ms);
            }
            _ => {
                drop(state);
                Record::read(&self.parts.store, id)?;
                return Err(ExperimentError::Ended(id).into());
            }
        }
        drop(state);
        self.status(id)
    }

    fn report(&self, id: u64, format: ReportFormat) -> Result<String, ControlError> {
        Ok(self.with_record(id, |record| report::write(record, format))?)
    }

    fn feedback(&self, request_id: &str, score: f64) -> Result<Value, ControlError> {
        let id = request_number(request_id).ok_or_else(|| ExperimentError::NoRequest(request_id.to_owned()))?;
        let mut state = self.state.lock();
        let is_counted = state.running.as_mut().is_some_and(|running| running.score(&self.parts, id, score));
        Ok(json!({ "is_counted": is_counted }))
    }
}
