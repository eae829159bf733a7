//! The limit: when it falls, when it grows, and what it is compared with.
//!
//! A gradient in the manner of Netflix's concurrency-limits: the ratio of the best time to first token to the present
//! one says how far the limit is too high. Time to first token, not the whole answer, because the length of an answer
//! says nothing about load.

use crate::perfhost::strategy::types::{Bounds, Effect, Knob, Observation, Proposal, Summary, Value};

/// What a user may set: name, unit, default, meaning.
pub const PARAMETERS: [(&str, &str, f64, &str); 2] = [
    ("tolerance", "ratio", 2.0, "times the best time to first token that is still good"),
    ("settle_s", "s", 15.0, "time after a change before the next one"),
];

const LIMIT: &str = "concurrency_limit";
/// Answers that a window must hold before it is believed.
const ANSWERS_MIN: u64 = 5;
/// In this time the best time doubles unless it is seen again: a machine that became slower is not throttled for ever.
const FORGETTING_MS: f64 = 6.0 * 3_600_000.0;
/// The guard lets one change halve or double the limit.
const STEP: f64 = 2.0;
/// Share of the limit in use from which it holds requests back.
const REACHED: f64 = 0.8;

/// What one instance was given and has learned.
pub struct Policy {
    tolerance: f64,
    settle_s: f64,
    bounds: Option<(i64, i64)>,
    /// The best time to first token behind the limit, in milliseconds.
    best_ms: Option<f64>,
    changed_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        let [tolerance, settle_s] = PARAMETERS.map(|(_, _, default, _)| default);
        Self { tolerance, settle_s, bounds: None, best_ms: None, changed_ms: 0 }
    }
}

impl Policy {
    /// Takes the user's parameters and the bounds of the limit. The error says what is allowed.
    pub fn configure(&mut self, given: &[(String, String)], knobs: &[Knob]) -> Result<(), String> {
        let mut values = PARAMETERS.map(|(_, _, default, _)| default);
        for (name, text) in given {
            let at = PARAMETERS.iter().position(|(known, ..)| known == name).ok_or_else(|| {
                format!("`{name}` is unknown; there are {}", PARAMETERS.map(|(known, ..)| known).join(", "))
            })?;
            let least = if name == "tolerance" { 1.0 } else { 0.0 };
            let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= least);
            values[at] = value.ok_or_else(|| format!("`{name}` is {text}; it takes a number from {least}"))?;
        }
        [self.tolerance, self.settle_s] = values;
        self.bounds = knobs.iter().find(|knob| knob.name == LIMIT).and_then(|knob| match knob.bounds {
            Bounds::IntegerRange(range) => Some(range),
            _ => None,
        });
        Ok(())
    }

    /// At most one change of the limit.
    pub fn propose(&mut self, seen: &Observation) -> Option<Proposal> {
        let (least, most) = self.bounds?;
        let limit = limit_of(seen)?;
        let start_ms = start_behind_the_limit_ms(seen)?;
        let drift = (f64::from(seen.interval_ms) / FORGETTING_MS).exp2();
        let best_ms = self.best_ms.map_or(start_ms, |best_ms| start_ms.min(best_ms * drift));
        self.best_ms = Some(best_ms);
        if (seen.now_ms.saturating_sub(self.changed_ms) as f64) < self.settle_s * 1000.0 {
            return None;
        }
        let in_flight = window(seen, "in_flight").map_or(0.0, |summary| summary.mean);
        let waiting = window(seen, "queue_length").map_or(0.0, |summary| summary.mean);
        let gradient = self.tolerance * best_ms / start_ms;
        let wanted = if gradient < 1.0 {
            // What is in use counts: a limit far above it holds nothing back. Shrinks, but to no less than half at once.
            let used = in_flight.min(limit as f64);
            (used * gradient).max(limit as f64 / STEP).ceil() as i64
        } else if waiting >= 1.0 && in_flight >= REACHED * limit as f64 {
            limit + (limit as f64).sqrt().ceil() as i64
        } else {
            return None;
        };
        let wanted = wanted.clamp(least, most);
        if wanted == limit {
            return None;
        }
        self.changed_ms = seen.now_ms;
        Some(proposal(limit, wanted, start_ms, best_ms, waiting))
    }

    /// What must outlive this instance: the best time.
    pub fn save(&self) -> Vec<u8> {
        self.best_ms.map_or(Vec::new(), |best_ms| format!("best_ms {best_ms:.3}").into_bytes())
    }

    /// Takes what [`Self::save`] gave. The error says why it cannot.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(state).map_err(|error| error.to_string())?;
        let number = text.strip_prefix("best_ms ").and_then(|number| number.parse().ok());
        if number.is_none() && !text.is_empty() {
            return Err("state of another form; this strategy reads `best_ms NUMBER`".to_owned());
        }
        self.best_ms = number.filter(|best_ms: &f64| best_ms.is_finite() && *best_ms > 0.0);
        Ok(())
    }
}

fn proposal(limit: i64, wanted: i64, start_ms: f64, best_ms: f64, waiting: f64) -> Proposal {
    let (reason, metric, ratio) = if wanted < limit {
        let reason = format!(
            "providers take {start_ms:.0} ms to the first token, {:.1} times their best of {best_ms:.0} ms: limit {limit} to {wanted}",
            start_ms / best_ms
        );
        (reason, "upstream_time_ms", best_ms / start_ms)
    } else {
        let reason = format!(
            "{waiting:.1} requests wait while providers take {start_ms:.0} ms to the first token (best {best_ms:.0}): limit {limit} to {wanted}"
        );
        (reason, "queue_wait_ms", limit as f64 / wanted as f64)
    };
    Proposal {
        name: LIMIT.into(),
        scope: String::new(),
        value: Value::Integer(wanted),
        reason,
        expected: Some(Effect { metric: metric.into(), ratio }),
        confidence: 0.6,
    }
}

/// Time to first token less the wait for admission, in milliseconds: what the providers themselves take. Means, because
/// only means may be subtracted.
fn start_behind_the_limit_ms(seen: &Observation) -> Option<f64> {
    let whole = window(seen, "time_to_first_token_ms").filter(|summary| summary.count >= ANSWERS_MIN)?;
    let waited = window(seen, "queue_wait_ms").map_or(0.0, |summary| summary.mean);
    Some((whole.mean - waited).max(1.0)).filter(|start_ms| start_ms.is_finite())
}

/// A metric of the whole host over the shortest window in which it was measured.
fn window<'a>(seen: &'a Observation, name: &str) -> Option<&'a Summary> {
    let of_name = seen.metrics.iter().filter(|one| one.name == name && one.scope.is_empty() && one.summary.count > 0);
    of_name.min_by_key(|one| one.window_ms).map(|one| &one.summary)
}

fn limit_of(seen: &Observation) -> Option<i64> {
    match seen.settings.iter().find(|one| one.name == LIMIT && one.scope.is_empty())?.value {
        Value::Integer(limit) => Some(limit),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
