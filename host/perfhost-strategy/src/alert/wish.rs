//! What an alert's actions ask of the guard: proposals like a strategy's, with the alert as their reason.

use super::record::AlertRecord;
use crate::knob::OfferedKnob;
use crate::observation::metric;
use crate::proposal::ExpectedEffect;
use crate::rule::{Action, Place, Step};
use crate::strategy::{Identity, World};
use crate::{Observation, Proposal, Scope, Settings};

/// How sure an alert is that its action helps: nobody has measured.
const CONFIDENCE: f64 = 0.5;

/// The author of these proposals in the decision log.
pub fn author() -> Identity {
    Identity {
        name: "alerts".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        digest: String::new(),
        world: World::Tuner,
        source: "alert rules".to_owned(),
    }
}

/// One proposal for each knob that the actions turn, at each place where it is on offer. Knobs that are where they should
/// be are left out.
pub fn proposals(
    alert: &AlertRecord,
    actions: &[Action],
    seen: &Observation,
    settings: &Settings,
    offered: &[OfferedKnob],
) -> Vec<Proposal> {
    let mut list = Vec::new();
    for (action, step) in actions.iter().flat_map(|action| action.steps.iter().map(move |step| (action, step))) {
        for offer in offered.iter().filter(|offer| offer.knob.id == step.knob && is_meant(step, alert, &offer.at, seen))
        {
            let present = settings.value(step.knob, &offer.at);
            let Some(goal) = step.goal(&present, |aim| aim.measured(seen, offer.at.as_str())) else { continue };
            let value = offer.bounds_here.clamp(&goal).unwrap_or(goal);
            if value == present {
                continue;
            }
            let threshold = alert.value.filter(|value| *value > 0.0).map(|value| alert.threshold / value);
            list.push(Proposal {
                name: step.knob.name().to_owned(),
                scope: offer.at.clone(),
                value,
                reason: format!(
                    "alert {} ({}): `{}` asks for `{}`",
                    alert.id, alert.rule, alert.condition, action.written
                ),
                expected: threshold
                    .map(|ratio| ExpectedEffect { metric: alert.metric.clone(), ratio: ratio.clamp(0.1, 10.0) }),
                confidence: CONFIDENCE,
            });
        }
    }
    list
}

/// Whether a step turns its knob at this place: everywhere, at the alert's provider if it has one, or where it says.
fn is_meant(step: &Step, alert: &AlertRecord, at: &Scope, seen: &Observation) -> bool {
    let Some(provider) = at.provider_name() else { return true };
    match &step.place {
        Place::Provider(named) => named == provider,
        Place::Unsaid => alert.scope.provider_name().is_none_or(|of_alert| of_alert == provider),
        Place::Heavier => lightest(seen).is_some_and(|lightest| lightest != provider),
    }
}

/// The provider with the shortest median time per output token; `None` where fewer than two were measured.
fn lightest(seen: &Observation) -> Option<&str> {
    let mut measured: Vec<(f64, &str)> = seen
        .providers
        .iter()
        .filter_map(|provider| {
            let scope = Scope::provider(&provider.name);
            let times = seen.metric(metric::TIME_PER_OUTPUT_TOKEN, &scope, 60_000).filter(|times| times.count > 0)?;
            Some((times.p50, provider.name.as_str()))
        })
        .collect();
    measured.sort_by(|one, other| one.0.total_cmp(&other.0));
    if measured.len() < 2 { None } else { measured.first().map(|(_, name)| *name) }
}
