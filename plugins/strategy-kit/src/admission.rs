//! Holding the wait for a first token by bounding admission: waits move out of the engines, where nothing bounds them,
//! into the host's queue, where `queue_wait_ms` and `queue_length` do.
//!
//! Owns the order of these steps. Which target holds, and when to tighten or relax, is a strategy's own choice.

use crate::engine::Engine;
use crate::first_token::FirstToken;
use crate::seen::{HOST, RECENT_MS, Seen};
use crate::text::Text;
use crate::trials::{Effect, Tried, UPSTREAM};
use crate::tuning::{Change, Tuning};
use crate::types::{Health, Proposal, ProviderState};

/// What these steps read beside the engines and the wait.
pub const READS: &[&str] = &[QUEUE_WAIT, "queue_length", "in_flight", "rejected_rate", UPSTREAM];
/// What they turn.
pub const TURNS: &[&str] = &[LIMIT, QUEUE_WAIT, "queue_length"];

const LIMIT: &str = "concurrency_limit";
const QUEUE_WAIT: &str = "queue_wait_ms";
const TTFT: &str = "time_to_first_token_ms";
/// Waiting requests, on average, that count as a queue.
const QUEUE_THAT_COUNTS: f64 = 0.5;
/// Share of the limit in use from which the limit is what holds requests back.
const BINDING: f64 = 0.9;
/// Share of the target under which recent first tokens show that a rush is over.
const QUIET: f64 = 0.5;
/// Waiting requests, on average, from which a limit holds some back.
const QUEUE_THAT_BINDS: f64 = 0.05;
/// Share of the target that a typical first token must take at the providers before their load is taken for the cause.
const LATE_UPSTREAM: f64 = 0.5;
/// Requests at once from which providers of unknown capacity may be slow because of them.
const LOAD_MIN: f64 = 4.0;
/// Share of refused requests that counts.
const REFUSED_THAT_COUNTS: f64 = 0.001;

/// Requests that the fleet works on at once without one waiting in an engine: slots of managed engines and what is
/// at work elsewhere. 0 without managed engines.
pub fn capacity(seen: &Seen<'_>, engines: &[Engine<'_>]) -> i64 {
    if engines.is_empty() {
        return 0;
    }
    let at_work = |provider: &ProviderState| i64::from(provider.in_flight.saturating_sub(provider.queued));
    engines.iter().map(|engine| engine.slots).sum::<i64>() + elsewhere(seen).map(at_work).sum::<i64>()
}

/// The providers whose capacity nobody knows.
fn elsewhere<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a ProviderState> {
    let providers = seen.observation.providers.iter();
    providers.filter(|provider| !provider.managed && provider.health != Health::Down)
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
    let queued = seen.level("queue_length", HOST).unwrap_or(0.0);
    let has_load = seen.level("in_flight", HOST).is_some_and(|under_way| under_way >= LOAD_MIN);
    let is_upstream_late = engines.is_empty() && has_load && unqueued_ms(seen, wait) > LATE_UPSTREAM * target_ms;
    if inside >= QUEUE_THAT_COUNTS || is_upstream_late {
        let lowered = lower_limit(seen, tuning, engines, excess, words(wait, target_ms));
        if lowered.is_some() {
            return lowered;
        }
    }
    if queued < QUEUE_THAT_COUNTS {
        return None;
    }
    if !is_upstream_late && let Some(widened) = widen_limit(seen, tuning, queued, words(wait, target_ms)) {
        return Some(widened);
    }
    let present = seen.integer(QUEUE_WAIT, HOST)?;
    let goal = wait_goal(seen, wait, target_ms);
    // The host takes back a step that refuses many at once; a smaller one may be bearable.
    let steps = [present as f64 * excess, present as f64 * 0.75, present as f64 * 0.9];
    let steps = steps.map(|step| (step as i64).max(goal));
    let is_new = |step: &i64| !tuning.trials.is_ruled_out(QUEUE_WAIT, HOST, *step);
    let value = steps.into_iter().find(is_new).unwrap_or(present);
    let reason = words(wait, target_ms).words(" with ").number(queued).words(" requests queued: refuse after ");
    let reason = reason.integer(value).words(" ms instead of ").integer(present).done();
    let (ratio, confidence) = (excess, 0.7);
    if value < present - present / 20 {
        let change = Change { name: QUEUE_WAIT, scope: HOST, value, reason, metric: TTFT, ratio, confidence };
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
    let present = seen.integer(QUEUE_WAIT, HOST)?;
    let goal = wait_goal(seen, wait, target_ms);
    if refused >= REFUSED_THAT_COUNTS && present < goal - goal / 5 {
        let value = goal.min(present.saturating_mul(2));
        let reason = because("the longest wait from ", value, present);
        let change = Change {
            name: QUEUE_WAIT,
            scope: HOST,
            value,
            reason,
            metric: "rejected_rate",
            ratio: 0.8,
            confidence: 0.6,
        };
        return tuning.ask(seen, change);
    }
    let present = seen.integer(LIMIT, HOST)?;
    let capacity = capacity(seen, engines);
    let has_room = capacity == 0 || present < capacity + capacity / 4;
    if !has_room || seen.level("in_flight", HOST).unwrap_or(0.0) < BINDING * present as f64 {
        return None;
    }
    let value = present + (present / 8).max(1);
    let reason = because("the concurrency limit from ", value, present);
    let metric = QUEUE_WAIT;
    tuning.ask(seen, Change { name: LIMIT, scope: HOST, value, reason, metric, ratio: 0.9, confidence: 0.6 })
}

/// Raises a concurrency limit that leaves engine slots without work while requests queue.
pub fn fill_slots(seen: &Seen<'_>, tuning: &mut Tuning, engines: &[Engine<'_>]) -> Option<Proposal> {
    let present = seen.integer(LIMIT, HOST)?;
    let queued = seen.level("queue_length", HOST).unwrap_or(0.0);
    let capacity = capacity(seen, engines);
    if present >= capacity || queued < QUEUE_THAT_COUNTS {
        return None;
    }
    let value = capacity.min(present.saturating_mul(2));
    let reason = Text::new("a limit of ").integer(present).words(" leaves some of ").integer(capacity);
    let reason = reason.words(" slots without work while ").number(queued).words(" requests queue").done();
    let (metric, ratio) = ("tokens_per_second", engines.first()?.throughput_ratio(value).clamp(1.0, 2.0));
    tuning.ask(seen, Change { name: LIMIT, scope: HOST, value, reason, metric, ratio, confidence: 0.7 })
}

/// Raises a concurrency limit that would leave some of `slots` without work, before there are so many.
pub fn make_room(seen: &Seen<'_>, tuning: &mut Tuning, engine: &Engine<'_>, slots: i64) -> Option<Proposal> {
    let present = seen.integer(LIMIT, HOST)?;
    if present >= slots {
        return None;
    }
    let value = slots.min(present.saturating_mul(2));
    let reason = Text::new("").number(engine.waiting()).words(" requests wait, but a limit of ").integer(present);
    let reason = reason.words(" would leave some of ").integer(slots).words(" slots without work").done();
    let (metric, ratio) = ("in_flight", value as f64 / present.max(1) as f64);
    tuning.ask(seen, Change { name: LIMIT, scope: HOST, value, reason, metric, ratio, confidence: 0.7 })
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
    let present = seen.integer(LIMIT, HOST)?;
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
    // Of a managed engine it is known that requests wait inside; of others the time they take must tell.
    let metric = if engines.is_empty() { UPSTREAM } else { TTFT };
    tuning.ask(seen, Change { name: LIMIT, scope: HOST, value, reason, metric, ratio, confidence })
}

/// Raises a limit that makes requests wait for providers that answer in time: nothing says that they could not take
/// more. Tried once; a limit that is there because a lower one was seen to help stays.
fn widen_limit(seen: &Seen<'_>, tuning: &mut Tuning, queued: f64, words: Text) -> Option<Proposal> {
    let present = seen.integer(LIMIT, HOST)?;
    let is_binding = seen.level("in_flight", HOST)? >= BINDING * present as f64;
    let has_helped = |last: &Tried| last.value < last.from && last.effect == Effect::Better;
    if !is_binding
        || elsewhere(seen).next().is_none()
        || tuning.trials.last_step(LIMIT, HOST, present).is_some_and(has_helped)
    {
        return None;
    }
    let value = present.saturating_add((present / 2).max(1));
    let reason = words
        .words(" while ")
        .number(queued)
        .words(" requests queue for providers that answer in time: raise the limit from ");
    let reason = reason.integer(present).words(" to ").integer(value).done();
    tuning.ask(seen, Change { name: LIMIT, scope: HOST, value, reason, metric: TTFT, ratio: 0.7, confidence: 0.5 })
}

/// Takes back a limit that was lowered, makes requests wait, and made nothing better: it was not their number that took
/// the time, or failed them. And one that was raised for nothing. Where there is a managed engine, its slots say what
/// the limit is for, and the other steps keep it there.
pub fn take_back(seen: &Seen<'_>, tuning: &mut Tuning, engines: &[Engine<'_>]) -> Option<Proposal> {
    let present = seen.integer(LIMIT, HOST)?;
    let last = tuning.trials.last_step(LIMIT, HOST, present).filter(|_| engines.is_empty())?;
    let is_lowered = last.value < last.from;
    let is_binding = seen.level("queue_length", HOST).unwrap_or(0.0) >= QUEUE_THAT_BINDS
        || seen.level("rejected_rate", HOST).unwrap_or(0.0) >= REFUSED_THAT_COUNTS;
    let is_worthless = match last.effect {
        Effect::Better => false,
        Effect::Unknown => is_lowered && is_binding,
        Effect::Same | Effect::Worse => !is_lowered || is_binding,
    };
    if !is_worthless {
        return None;
    }
    tuning.go_back(seen, (LIMIT, HOST), TTFT, |present, value| {
        let text = Text::new("a limit of ").integer(present).words(" instead of ").integer(value);
        text.words(" made nothing better: back to ").integer(value).done()
    })
}

/// Goes on towards a bounded wait while nobody waits, where that was begun under load: what is not reached now changes
/// nothing now, and the next rush finds it in place instead of being over before the last step. Only where every
/// provider's capacity is known.
pub fn finish(seen: &Seen<'_>, tuning: &mut Tuning, engines: &[Engine<'_>], target_ms: f64) -> Option<Proposal> {
    // Nobody waits, so first tokens take what they take after admission.
    let first_token = seen.summary(TTFT, HOST, RECENT_MS).filter(|summary| summary.p95 <= QUIET * target_ms)?;
    let is_quiet = seen.level("queue_length", HOST).unwrap_or(0.0) < QUEUE_THAT_COUNTS
        && engines.iter().all(|engine| engine.waiting_inside < QUEUE_THAT_COUNTS);
    let was_begun = tuning.trials.was_lowered(&[LIMIT, QUEUE_WAIT], HOST);
    if engines.is_empty() || elsewhere(seen).next().is_some() || !is_quiet || !was_begun {
        return None;
    }
    let because = |what: &str, value: i64, present: i64| {
        let text = Text::new("waits were above a target of ").number(target_ms);
        let text = text.words(" ms not long ago, and nobody waits now: lower ").words(what).integer(present);
        text.words(" to ").integer(value).done()
    };
    let (ratio, confidence) = (1.0, 0.9);
    let present = seen.integer(LIMIT, HOST)?;
    let value = capacity(seen, engines);
    if value < present {
        let reason = because("the concurrency limit from ", value, present);
        return tuning.ask(seen, Change { name: LIMIT, scope: HOST, value, reason, metric: TTFT, ratio, confidence });
    }
    let present = seen.integer(QUEUE_WAIT, HOST)?;
    let value = goal(first_token.p50, target_ms);
    if value >= present - present / 20 {
        return None;
    }
    let reason = because("the longest wait from ", value, present);
    tuning.ask(seen, Change { name: QUEUE_WAIT, scope: HOST, value, reason, metric: TTFT, ratio, confidence })
}

/// Median of the wait for a first token after admission, in milliseconds.
fn unqueued_ms(seen: &Seen<'_>, wait: FirstToken) -> f64 {
    let queued = seen.summary(QUEUE_WAIT, HOST, RECENT_MS).map_or(0.0, |summary| summary.p50);
    (wait.p50_ms - queued).max(0.0)
}

/// The longest wait for admission that leaves the rest of the target for the answer's start.
fn wait_goal(seen: &Seen<'_>, wait: FirstToken, target_ms: f64) -> i64 {
    goal(unqueued_ms(seen, wait), target_ms)
}

/// A tenth of the target stays in reserve, as what comes after admission varies. At least a quarter may be waited.
fn goal(unqueued_ms: f64, target_ms: f64) -> i64 {
    // `clamp` would bring the whole formatter of floats along, for its panic.
    (0.9 * target_ms - unqueued_ms).max(target_ms / 4.0) as i64
}

#[cfg(test)]
mod tests;
