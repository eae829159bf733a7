//! Whether a window after a change is worse than the one before it, as far as the two can be compared.

use super::reading::Reading;
use super::{GuardPolicy, Guardrail, Limit};
use crate::observation::{Summary, metric};

/// Changes of load or of finished requests by less than this factor are taken for noise.
const NOISE: f64 = 1.1;

/// What two windows say of the change between them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comparison {
    /// A guardrail got worse by more than it may.
    Worse {
        /// The guardrail's metric.
        metric: String,
        /// What happened to it, in words.
        detail: String,
    },
    /// None did.
    NoWorse,
    /// Load changed too much to tell.
    OtherLoad(String),
    /// Too few requests to tell.
    TooFew,
}

/// How demand changed between two windows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Demand {
    /// Requests under way and waiting, after over before, at most 1.
    fallen_to: f64,
    has_risen: bool,
    has_fallen: bool,
}

/// Compares all guardrails.
///
/// More demand makes answers slower and refusals more frequent by itself, less demand makes tokens fewer: such a
/// difference proves nothing of the change. Failures always count.
pub(super) fn compare(policy: &GuardPolicy, before: &Reading, after: &Reading) -> Comparison {
    if before.requests.min(after.requests) < policy.minimum_count {
        return Comparison::TooFew;
    }
    let demand = demand(policy, before, after);
    for guardrail in &policy.guardrails {
        let is_comparable = match guardrail.limit {
            _ if guardrail.metric == metric::ERROR_RATE => true,
            Limit::Share { .. } | Limit::Growth { .. } => !demand.has_risen,
            Limit::Drop { .. } => !demand.has_fallen,
        };
        if is_comparable && let Some(detail) = worse(policy, guardrail, demand, before, after) {
            return Comparison::Worse { metric: guardrail.metric.clone(), detail };
        }
    }
    if demand.has_risen || demand.has_fallen {
        let load = |reading: &Reading| short(reading.load.unwrap_or(0.0));
        return Comparison::OtherLoad(format!("requests under way went from {} to {}", load(before), load(after)));
    }
    Comparison::NoWorse
}

/// Neither number alone tells demand from effect: where clients wait for answers, a faster engine finishes more
/// requests with as many under way; where they do not, a slower one has more under way and finishes as many. Demand
/// has changed when both moved the same way, one of them by more than the policy's factor.
fn demand(policy: &GuardPolicy, before: &Reading, after: &Reading) -> Demand {
    let (Some(load_before), Some(load_after)) = (before.load, after.load) else {
        return Demand { fallen_to: 1.0, has_risen: false, has_fallen: false };
    };
    // Shares of one request are noise of sampling.
    let load = load_after.max(1.0) / load_before.max(1.0);
    let finished = |reading: &Reading| reading.value(metric::REQUESTS_PER_SECOND).map(|summary| summary.mean);
    let finished = match (finished(before), finished(after)) {
        (Some(before), Some(after)) if before > 0.0 && after > 0.0 => after / before,
        _ => load,
    };
    let factor = policy.load_factor.max(1.0);
    Demand {
        fallen_to: load.min(1.0),
        has_risen: load.min(finished) >= NOISE && load.max(finished) > factor,
        has_fallen: load.max(finished) * NOISE <= 1.0 && load.min(finished) * factor < 1.0,
    }
}

fn worse(
    policy: &GuardPolicy,
    guardrail: &Guardrail,
    demand: Demand,
    before: &Reading,
    after: &Reading,
) -> Option<String> {
    let (old, new) = (before.value(&guardrail.metric)?, after.value(&guardrail.metric)?);
    let is_time = matches!(guardrail.limit, Limit::Growth { .. });
    // A rate may be one number for a whole window; what backs it is the number of requests.
    let count = |summary: &Summary, reading: &Reading| {
        if is_time { summary.count } else { summary.count.max(reading.requests) }
    };
    let (old_count, new_count) = (count(old, before), count(new, after));
    if old_count.min(new_count) < guardrail.minimum_count {
        return None;
    }
    let changed = |part: &str, old: f64, new: f64, allowed: String| {
        Some(format!("{}{part} went from {} to {}, allowed is {allowed}", guardrail.metric, short(old), short(new)))
    };
    match guardrail.limit {
        Limit::Share { rise, requests } => {
            let risen = new.mean - old.mean;
            let is_worse = risen > rise && risen * new_count as f64 >= requests;
            is_worse.then(|| changed("", old.mean, new.mean, short(old.mean + rise)))?
        }
        Limit::Growth { ratio, rise } => {
            let has_tail = old_count.min(new_count) >= policy.tail_count;
            let (part, old, new) = if has_tail { (" p95", old.p95, new.p95) } else { (" median", old.p50, new.p50) };
            let is_worse = new > old * ratio && new - old > rise;
            is_worse.then(|| changed(part, old, new, short((old * ratio).max(old + rise))))?
        }
        Limit::Drop { ratio } => {
            let lowest = old.mean * ratio * demand.fallen_to;
            (new.mean < lowest).then(|| changed("", old.mean, new.mean, format!("no less than {}", short(lowest))))?
        }
    }
}

/// A number with as many digits as matter to a reader.
pub(super) fn short(number: f64) -> String {
    let digits = match number.abs() {
        size if size >= 100.0 => 0,
        size if size >= 1.0 => 1,
        _ => 3,
    };
    format!("{number:.digits$}")
}
