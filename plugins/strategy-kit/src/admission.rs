//! Holding the wait for a first token by bounding admission: waits move out of the engines, where nothing bounds them,
//! into the host's queue, where `queue_wait_ms` and `queue_length` do.
//!
//! Owns the order of these steps. Which target holds, and when to tighten or relax, is a strategy's own choice.

use crate::engine::Engine;
use crate::first_token::FirstToken;
use crate::seen::{HOST, Seen};
use crate::text::Text;
use crate::tuning::{Change, Tuning};
use crate::types::Proposal;

/// What these steps read beside the engines and the wait.
pub const READS: &[&str] = &["queue_wait_ms", "queue_length", "in_flight", "rejected_rate"];
/// What they turn.
pub const TURNS: &[&str] = &["concurrency_limit", "queue_wait_ms", "queue_length"];

const TTFT: &str = "time_to_first_token_ms";
/// Waiting requests, on average, that count as a queue.
const QUEUE_THAT_COUNTS: f64 = 0.5;
/// Share of the limit in use from which the limit is what holds requests back.
const BINDING: f64 = 0.9;
/// Share of refused requests that counts.
const REFUSED_THAT_COUNTS: f64 = 0.001;

/// Requests that the fleet works on at once without one waiting in an engine: slots of managed engines and what is
/// under way elsewhere. 0 without managed engines.
fn capacity(seen: &Seen<'_>, engines: &[Engine<'_>]) -> i64 {
    if engines.is_empty() {
        return 0;
    }
    let elsewhere = seen.observation.providers.iter().filter(|provider| !provider.managed);
    let elsewhere: i64 = elsewhere.map(|provider| i64::from(provider.in_flight)).sum();
    engines.iter().map(|engine| engine.slots).sum::<i64>() + elsewhere
}

fn words(wait: FirstToken, target_ms: f64) -> Text {
    let kind = if wait.is_measured { "p95 time to first token " } else { "estimated wait for the first token " };
    Text::new(kind).number(wait.p95_ms).words(" ms against a target of ").number(target_ms).words(" ms")
}

/// One step that shortens a wait above `target_ms`.
pub fn tighten(
    seen: &Seen<'_>,
    tuning: &mut Tuning,
    engines: &[Engine<'_>],
    wait: FirstToken,
    target_ms: f64,
) -> Option<Proposal> {
    let excess = (target_ms / wait.p95_ms.max(1.0)).clamp(0.5, 0.9);
    let inside: f64 = engines.iter().map(|engine| engine.waiting_inside).sum();
    if engines.is_empty() || inside >= QUEUE_THAT_COUNTS {
        let lowered = lower_limit(seen, tuning, engines, excess, words(wait, target_ms));
        if lowered.is_some() {
            return lowered;
        }
    }
    let queued = seen.level("queue_length", HOST).unwrap_or(0.0);
    if queued < QUEUE_THAT_COUNTS {
        return None;
    }
    let present = seen.integer("queue_wait_ms", HOST)?;
    let goal = wait_goal(seen, wait, target_ms);
    // The host takes back a step that refuses many at once; a smaller one may be bearable.
    let steps = [present as f64 * excess, present as f64 * 0.75, present as f64 * 0.9];
    let steps = steps.map(|step| (step as i64).max(goal));
    let is_new = |step: &i64| !tuning.trials.is_ruled_out("queue_wait_ms", HOST, *step);
    let value = steps.into_iter().find(is_new).unwrap_or(present);
    let reason = words(wait, target_ms).words(" with ").number(queued).words(" requests queued: refuse after ");
    let reason = reason.integer(value).words(" ms instead of ").integer(present).done();
    let (ratio, confidence) = (excess, 0.7);
    if value < present - present / 20 {
        let change = Change { name: "queue_wait_ms", scope: HOST, value, reason, metric: TTFT, ratio, confidence };
        return tuning.ask(seen, change);
    }
    let present = seen.integer("queue_length", HOST)?;
    let value = (present / 2).max(capacity(seen, engines)).max(1);
    if value >= present {
        return None;
    }
    let reason = words(wait, target_ms).words(" with ").number(queued).words(" requests queued: let at most ");
    let reason = reason.integer(value).words(" wait instead of ").integer(present).done();
    tuning.ask(seen, Change { name: "queue_length", scope: HOST, value, reason, metric: TTFT, ratio, confidence: 0.5 })
}

/// One step that lets more requests in, where the wait leaves room and requests are refused or queued.
pub fn relax(
    seen: &Seen<'_>,
    tuning: &mut Tuning,
    engines: &[Engine<'_>],
    wait: FirstToken,
    target_ms: f64,
) -> Option<Proposal> {
    let refused = seen.level("rejected_rate", HOST).unwrap_or(0.0);
    let queued = seen.level("queue_length", HOST).unwrap_or(0.0);
    if refused < REFUSED_THAT_COUNTS && queued < QUEUE_THAT_COUNTS {
        return None;
    }
    let because = |what: &str, value: i64, present: i64| {
        let text = words(wait, target_ms).words(" while ").percent(refused).words(" are refused and ");
        text.number(queued).words(" queue: raise ").words(what).integer(present).words(" to ").integer(value).done()
    };
    let present = seen.integer("queue_wait_ms", HOST)?;
    let goal = wait_goal(seen, wait, target_ms);
    if refused >= REFUSED_THAT_COUNTS && present < goal - goal / 5 {
        let value = goal.min(present.saturating_mul(2));
        let reason = because("the longest wait from ", value, present);
        let change = Change {
            name: "queue_wait_ms",
            scope: HOST,
            value,
            reason,
            metric: "rejected_rate",
            ratio: 0.8,
            confidence: 0.6,
        };
        return tuning.ask(seen, change);
    }
    let present = seen.integer("concurrency_limit", HOST)?;
    let capacity = capacity(seen, engines);
    let has_room = capacity == 0 || present < capacity + capacity / 4;
    if !has_room || seen.level("in_flight", HOST).unwrap_or(0.0) < BINDING * present as f64 {
        return None;
    }
    let value = present + (present / 8).max(1);
    let reason = because("the concurrency limit from ", value, present);
    let metric = "queue_wait_ms";
    tuning.ask(
        seen,
        Change { name: "concurrency_limit", scope: HOST, value, reason, metric, ratio: 0.9, confidence: 0.6 },
    )
}

/// Raises a concurrency limit that leaves engine slots without work while requests queue.
pub fn fill_slots(seen: &Seen<'_>, tuning: &mut Tuning, engines: &[Engine<'_>]) -> Option<Proposal> {
    let present = seen.integer("concurrency_limit", HOST)?;
    let queued = seen.level("queue_length", HOST).unwrap_or(0.0);
    let capacity = capacity(seen, engines);
    if present >= capacity || queued < QUEUE_THAT_COUNTS {
        return None;
    }
    let value = capacity.min(present.saturating_mul(2));
    let reason = Text::new("a limit of ").integer(present).words(" leaves some of ").integer(capacity);
    let reason = reason.words(" slots without work while ").number(queued).words(" requests queue").done();
    let (metric, ratio) = ("tokens_per_second", engines.first()?.throughput_ratio(value).clamp(1.0, 2.0));
    tuning.ask(seen, Change { name: "concurrency_limit", scope: HOST, value, reason, metric, ratio, confidence: 0.7 })
}

/// Raises a concurrency limit that would leave some of `slots` without work, before there are so many.
pub fn make_room(seen: &Seen<'_>, tuning: &mut Tuning, engine: &Engine<'_>, slots: i64) -> Option<Proposal> {
    let present = seen.integer("concurrency_limit", HOST)?;
    if present >= slots {
        return None;
    }
    let value = slots.min(present.saturating_mul(2));
    let reason = Text::new("").number(engine.waiting()).words(" requests wait, but a limit of ").integer(present);
    let reason = reason.words(" would leave some of ").integer(slots).words(" slots without work").done();
    let (metric, ratio) = ("in_flight", value as f64 / present.max(1) as f64);
    tuning.ask(seen, Change { name: "concurrency_limit", scope: HOST, value, reason, metric, ratio, confidence: 0.7 })
}

/// Lowers the concurrency limit towards what the engines can work on: in halves while the limit is not even reached,
/// then by how far the wait exceeds its target.
fn lower_limit(
    seen: &Seen<'_>,
    tuning: &mut Tuning,
    engines: &[Engine<'_>],
    excess: f64,
    words: Text,
) -> Option<Proposal> {
    let present = seen.integer("concurrency_limit", HOST)?;
    let in_flight = seen.level("in_flight", HOST)?;
    let is_reached = in_flight * 2.0 >= present as f64;
    let value = if is_reached { (present as f64 * excess) as i64 } else { present / 2 };
    let value = value.max(capacity(seen, engines)).max(1);
    if value >= present {
        return None;
    }
    let reason = words.words(" with ").number(in_flight).words(" requests under way: lower the limit from ");
    let reason = reason.integer(present).words(" to ").integer(value).done();
    let (ratio, confidence) = if is_reached { (excess, 0.6) } else { (1.0, 0.9) };
    tuning.ask(seen, Change { name: "concurrency_limit", scope: HOST, value, reason, metric: TTFT, ratio, confidence })
}

/// The longest wait for admission that leaves the rest of the target for the answer's start, at least a quarter of it.
fn wait_goal(seen: &Seen<'_>, wait: FirstToken, target_ms: f64) -> i64 {
    let queued = seen.summary("queue_wait_ms", HOST, crate::seen::RECENT_MS).map_or(0.0, |summary| summary.p50);
    let unqueued = (wait.p50_ms - queued).max(0.0);
    // `clamp` would bring the whole formatter of floats along, for its panic.
    (target_ms - unqueued).max(target_ms / 4.0).min(target_ms) as i64
}
