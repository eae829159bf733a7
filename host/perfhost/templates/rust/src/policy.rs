//! What this strategy decides. Plain Rust: `cargo test` runs it on this machine, without WebAssembly.
//!
//! Tuning: an engine gets more slots while requests wait inside it, until a raise was rolled back.
//! Planning: the least loaded candidate first.

use std::collections::BTreeMap;

use crate::control::{Outcome, Verdict};
use crate::perfhost::strategy::types::{Bounds, Effect, Knob, Observation, Proposal, Value};
use crate::route::Candidate;

/// What a user may set, as in `perfhost --param waiting_min=2`: name, unit, default, meaning.
pub const PARAMETERS: [(&str, &str, f64, &str); 2] = [
    (
        "waiting_min",
        "count",
        1.0,
        "requests waiting in an engine, on average, that call for more slots",
    ),
    ("settle_s", "s", 20.0, "time after a change before the next one"),
];

const STATE_HEADER: &str = "version 1";

/// What one instance was given and has learned.
pub struct Policy {
    waiting_min: f64,
    settle_s: f64,
    knobs: Vec<Knob>,
    /// Scope to the number of slots that was rolled back there: not asked for again.
    ceilings: BTreeMap<String, i64>,
    changed_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        let [waiting_min, settle_s] = PARAMETERS.map(|(_, _, default, _)| default);
        Self { waiting_min, settle_s, knobs: Vec::new(), ceilings: BTreeMap::new(), changed_ms: 0 }
    }
}

impl Policy {
    /// Takes the user's parameters and the knobs on offer. The error says what is allowed.
    pub fn configure(
        &mut self,
        given: &[(String, String)],
        knobs: Vec<Knob>,
    ) -> Result<(), String> {
        let mut values = PARAMETERS.map(|(_, _, default, _)| default);
        for (name, text) in given {
            let at = PARAMETERS.iter().position(|(known, ..)| known == name).ok_or_else(|| {
                format!(
                    "`{name}` is unknown; there are {}",
                    PARAMETERS.map(|(known, ..)| known).join(", ")
                )
            })?;
            let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
            values[at] =
                value.ok_or_else(|| format!("`{name}` is {text}; it takes a number from 0"))?;
        }
        [self.waiting_min, self.settle_s] = values;
        self.knobs = knobs;
        Ok(())
    }

    /// At most one change: more slots for the first engine in which requests wait.
    pub fn propose(&mut self, seen: &Observation) -> Option<Proposal> {
        if (seen.now_ms.saturating_sub(self.changed_ms) as f64) < self.settle_s * 1000.0 {
            return None;
        }
        let proposal = self.knobs.iter().find_map(|knob| self.more_slots(knob, seen))?;
        self.changed_ms = seen.now_ms;
        Some(proposal)
    }

    fn more_slots(&self, knob: &Knob, seen: &Observation) -> Option<Proposal> {
        let (Bounds::IntegerRange((_, most)), "engine_slots") = (&knob.bounds, knob.name.as_str())
        else {
            return None;
        };
        let slots = integer(seen, "engine_slots", &knob.scope)?;
        let waiting = level(seen, "engine_requests_deferred", &knob.scope)?;
        let most = self.ceilings.get(&knob.scope).map_or(*most, |ceiling| (ceiling - 1).min(*most));
        let wanted = (slots + (slots / 2).max(1)).min(most);
        (waiting >= self.waiting_min && wanted > slots).then(|| Proposal {
            name: knob.name.clone(),
            scope: knob.scope.clone(),
            value: Value::Integer(wanted),
            reason: format!("{waiting:.1} requests wait for one of {slots} slots: try {wanted}"),
            expected: Some(Effect { metric: "tokens_per_second".into(), ratio: 1.1 }),
            confidence: 0.5,
        })
    }

    /// Remembers what the host took back.
    pub fn learn(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            if let (Verdict::RolledBack, "engine_slots", Value::Integer(slots)) =
                (outcome.verdict, outcome.name.as_str(), &outcome.proposed)
            {
                self.ceilings.insert(outcome.scope.clone(), *slots);
            }
        }
    }

    /// What must outlive this instance.
    pub fn save(&self) -> String {
        if self.ceilings.is_empty() {
            return String::new();
        }
        let lines = self.ceilings.iter().map(|(scope, slots)| format!("\n{slots} {scope}"));
        STATE_HEADER.to_owned() + &lines.collect::<String>()
    }

    /// Takes what [`Self::save`] gave, perhaps in an earlier version of this file. The error says why it cannot.
    pub fn restore(&mut self, text: &str) -> Result<(), String> {
        let mut lines = text.lines();
        if !matches!(lines.next(), None | Some(STATE_HEADER)) {
            return Err(format!("state of another form; this strategy reads {STATE_HEADER}"));
        }
        let line = |line: &str| {
            let (slots, scope) = line.split_once(' ')?;
            Some((scope.to_owned(), slots.parse().ok()?))
        };
        let ceilings: Option<BTreeMap<String, i64>> = lines.map(line).collect();
        self.ceilings = ceilings.ok_or("state with a line that is not `slots scope`")?;
        Ok(())
    }
}

/// The order in which to try the candidates of one request. Called for every request: keep it short.
pub fn order(candidates: &[Candidate]) -> Vec<u32> {
    let is_any_on = candidates.iter().any(|one| one.weight > 0.0);
    let load = |at: &u32| {
        let one = &candidates[*at as usize];
        (one.in_flight + one.queued + 1) as f32 / one.weight.max(0.01)
    };
    let mut order: Vec<u32> = (0..candidates.len() as u32)
        .filter(|at| !is_any_on || candidates[*at as usize].weight > 0.0)
        .collect();
    order.sort_by(|one, other| load(one).total_cmp(&load(other)));
    order
}

/// The mean of a metric over the shortest window in which it was measured.
fn level(seen: &Observation, name: &str, scope: &str) -> Option<f64> {
    let of_name = seen
        .metrics
        .iter()
        .filter(|one| one.name == name && one.scope == scope && one.summary.count > 0);
    of_name.min_by_key(|one| one.window_ms).map(|one| one.summary.mean)
}

/// The present value of a knob that takes whole numbers.
fn integer(seen: &Observation, name: &str, scope: &str) -> Option<i64> {
    match seen.settings.iter().find(|one| one.name == name && one.scope == scope)?.value {
        Value::Integer(value) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
