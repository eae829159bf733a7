//! The arms of a running experiment: which strategy each is, what it may turn, and the settings that are its own.

use std::sync::Arc;

use perfhost_gateway::StrategySource;
use perfhost_gateway::experiment::LiveArm;
use perfhost_strategy::experiment::{Arm, Regime};
use perfhost_strategy::generation::Arrival;
use perfhost_strategy::knob::{OfferedKnob, Touches};
use perfhost_strategy::{KnobId, Scope, Settings, Shared, Value};

use super::ExperimentError;
use super::record::ArmRecord;
use super::request::{ArmRequest, StartRequest};
use crate::service::strategies::{EnlistedArm, Strategies, SwapError};
use crate::service::tuner::Lane;

/// One arm.
pub(super) struct RunningArm {
    pub(super) name: String,
    pub(super) enlisted: EnlistedArm,
    /// The host's settings when it last served, or the first time will.
    pub(super) settings: Settings,
    /// Knobs that make this arm, and are not turned.
    pub(super) fixed: Vec<(KnobId, Scope, Value)>,
    /// Its settings where arms serve at the same time and turn knobs.
    pub(super) own: Option<Arc<Shared<Settings>>>,
}

/// Finds and loads what `request` names; [`RunningArm::begin_with`] gives arms their settings. The incumbent is put in
/// service if it is not.
pub(super) fn enlist(
    strategies: &Strategies,
    request: &StartRequest,
    offered: &[OfferedKnob],
) -> Result<Vec<RunningArm>, ExperimentError> {
    let mut asked: Vec<ArmRequest> = request.arms.clone();
    if asked.len() == 1 {
        asked.insert(0, ArmRequest::Named(serving_name(strategies)));
    }
    let fixed = asked.iter().map(|arm| fixed_knobs(arm, offered)).collect::<Result<Vec<_>, _>>()?;
    let mut arms: Vec<RunningArm> = Vec::new();
    for (at, (arm, fixed)) in asked.iter().zip(fixed).enumerate() {
        let wanted = arm.strategy().map_or_else(|| serving_name(strategies), str::to_owned);
        let failed = |error: SwapError| ExperimentError::Arm { arm: wanted.clone(), error: Box::new(error) };
        let source = StrategySource::Named { name: wanted.clone(), digest: None };
        let enlisted = if at == 0 {
            if wanted != serving_name(strategies) {
                strategies.swap(&source, Arrival::Experiment).map_err(failed)?;
            }
            strategies.enlist_serving()
        } else {
            strategies.enlist(&source).map_err(|error| {
                strategies.dismiss();
                failed(error)
            })?
        };
        let base = arm_name(&enlisted, &fixed);
        let taken = |name: &String| arms.iter().any(|arm| arm.name == *name);
        let name = std::iter::once(base.clone())
            .chain((2..).map(|number| format!("{base} ({number})")))
            .find(|name| !taken(name))
            .unwrap_or(base);
        arms.push(RunningArm { name, enlisted, settings: Settings::default(), fixed, own: None });
    }
    Ok(arms)
}

/// Loads the arms of an experiment that was running when the host ended. `serving` is the one that has to be in service.
pub(super) fn recall(
    strategies: &Strategies,
    records: &[ArmRecord],
    request: &StartRequest,
    offered: &[OfferedKnob],
) -> Result<Vec<RunningArm>, ExperimentError> {
    let in_service = strategies.serving().digest;
    let mut is_taken = false;
    let mut arms = Vec::new();
    let missing = records.len().saturating_sub(request.arms.len());
    for (at, record) in records.iter().enumerate() {
        let enlisted = if record.digest == in_service && !is_taken {
            is_taken = true;
            strategies.enlist_serving()
        } else {
            let source = StrategySource::Named { name: record.digest.clone(), digest: None };
            strategies.enlist(&source).map_err(|error| {
                strategies.dismiss();
                ExperimentError::Arm { arm: record.name.clone(), error: Box::new(error) }
            })?
        };
        let asked = at.checked_sub(missing).and_then(|at| request.arms.get(at));
        let fixed = asked.map(|arm| fixed_knobs(arm, offered)).transpose()?.unwrap_or_default();
        let settings = Settings::of(&record.settings);
        arms.push(RunningArm { name: record.name.clone(), enlisted, settings, fixed, own: None });
    }
    Ok(arms)
}

/// What the experiment is told of the arms: in one with fixed knobs nobody turns any, so only those tell arms apart.
pub(super) fn described(arms: &[RunningArm]) -> Vec<Arm> {
    let is_fixed = is_fixed(arms);
    let describe = |arm: &RunningArm| {
        let fixed: Vec<String> = arm.fixed.iter().map(|(id, _, _)| id.name().to_owned()).collect();
        let turns = if is_fixed { fixed } else { arm.enlisted.generation.strategy.description().turns.clone() };
        let knobs: Vec<String> =
            arm.fixed.iter().map(|(id, scope, value)| format!("{}@{scope}={value}", id.name())).collect();
        Arm { name: arm.name.clone(), identity: format!("{} {}", arm.enlisted.digest(), knobs.join(" ")), turns }
    };
    arms.iter().map(describe).collect()
}

/// Whether the knobs of some arm are fixed; then nobody turns any.
pub(super) fn is_fixed(arms: &[RunningArm]) -> bool {
    arms.iter().any(|arm| !arm.fixed.is_empty())
}

impl RunningArm {
    /// Its first settings are the host's, and what is fixed.
    pub(super) fn begin_with(&mut self, host: &Settings) {
        let set = |of: Settings, (id, scope, value): &(KnobId, Scope, Value)| of.with(*id, scope, value.clone());
        self.settings = self.fixed.iter().fold(host.clone(), set);
    }

    /// As workers see it. Where arms take turns the host's settings are those of the arm whose turn it is.
    pub(super) fn live(&self, regime: &Regime, host: &Settings) -> LiveArm {
        let is_its_own = *regime == Regime::PerRequest && (self.own.is_some() || !self.fixed.is_empty());
        let settings = is_its_own.then(|| Arc::new(self.beside(host)));
        LiveArm { generation: self.enlisted.generation.clone(), settings }
    }

    /// The host's settings with this arm's own for what touches one request only.
    pub(super) fn beside(&self, host: &Settings) -> Settings {
        let own = self.own.as_ref().map(|own| own.load());
        let own = match &own {
            Some(own) => own.as_ref(),
            None if self.fixed.is_empty() => host,
            None => &self.settings,
        };
        of_requests(host, own)
    }

    /// Its turn to tune.
    pub(super) fn lane(&self, arm: usize, is_fixed: bool) -> Lane {
        Lane { arm: arm as u32, generation: self.enlisted.generation.clone(), own: self.own.clone(), is_fixed }
    }

    /// As it is kept.
    pub(super) fn record(&self, providers: &[String]) -> ArmRecord {
        ArmRecord {
            name: self.name.clone(),
            strategy: self.enlisted.label(),
            digest: self.enlisted.digest().to_owned(),
            settings: self.own.as_ref().map_or_else(|| self.settings.list(providers), |own| own.load().list(providers)),
        }
    }
}

/// `host` with the knobs that touch one request as `own` has them, also where `own` has left alone what the host's strategy
/// has turned. As new as `host`: whoever follows the newest would otherwise wait for the host's to overtake them.
fn of_requests(host: &Settings, own: &Settings) -> Settings {
    let is_of_request = |(id, _, _): &(KnobId, &Scope, &Value)| id.touches() == Touches::Request;
    let shared = host.changed().filter(is_of_request).fold(host.clone(), |shared, (id, at, _)| shared.without(id, at));
    let turned = own.changed().filter(is_of_request);
    let mut seen = turned.fold(shared, |settings, (id, at, value)| settings.with(id, at, value.clone()));
    seen.version = host.version;
    seen
}

fn serving_name(strategies: &Strategies) -> String {
    strategies.serving().digest
}

fn arm_name(enlisted: &EnlistedArm, fixed: &[(KnobId, Scope, Value)]) -> String {
    let name = enlisted.generation.strategy.identity().name.clone();
    if fixed.is_empty() {
        return name;
    }
    let mut knobs: Vec<String> = fixed.iter().map(|(id, _, value)| format!("{}={value}", id.name())).collect();
    knobs.dedup();
    format!("{name} {}", knobs.join(" "))
}

/// The knobs of an arm, each within its bounds here. One without a provider is set wherever it applies.
fn fixed_knobs(arm: &ArmRequest, offered: &[OfferedKnob]) -> Result<Vec<(KnobId, Scope, Value)>, ExperimentError> {
    let mut fixed = Vec::new();
    for (place, value) in arm.fixed().into_iter().flatten() {
        let (name, scope) =
            place.split_once('@').map_or((place.as_str(), None), |(name, at)| (name, Some(Scope::provider(at))));
        let wrong = |allowed: String| ExperimentError::Term {
            field: "knob of an arm",
            found: format!("{place}={value}"),
            allowed,
        };
        let id = KnobId::by_name(name).ok_or_else(|| wrong("one of the knobs that GET /api/knobs lists".to_owned()))?;
        let here =
            offered.iter().filter(|offer| offer.knob.id == id && scope.as_ref().is_none_or(|scope| *scope == offer.at));
        let before = fixed.len();
        for offer in here {
            offer.bounds_here.check(value).map_err(|allowed| wrong(allowed.clone()))?;
            fixed.push((id, offer.at.clone(), value.clone()));
        }
        if fixed.len() == before {
            return Err(wrong(format!("a knob that may be turned there; {name} is fixed or does not apply")));
        }
    }
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_sees_what_it_turned_itself_of_request_knobs_and_the_hosts_of_shared_ones() {
        let at = Scope::global();
        let start = Settings::default();
        let (retries, limit) = (KnobId::Retries, KnobId::ConcurrencyLimit);
        let host = start.with(retries, &at, Value::Integer(5)).with(limit, &at, Value::Integer(7));
        let seen = of_requests(&host, &start);
        assert_eq!(seen.value(retries, &at), start.value(retries, &at), "what the incumbent turned is its own");
        assert_eq!(seen.value(limit, &at), Value::Integer(7));
        let own = start.with(retries, &at, Value::Integer(2)).with(limit, &at, Value::Integer(9));
        let seen = of_requests(&host, &own);
        assert_eq!((seen.value(retries, &at), seen.value(limit, &at)), (Value::Integer(2), Value::Integer(7)));
        assert_eq!(seen.version, host.version);
    }
}
