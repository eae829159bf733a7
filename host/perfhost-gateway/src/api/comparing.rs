//! `/api/analysis/compare/…`: models and strategies side by side. A comparison of what happened to be, not an experiment:
//! who served which request was not drawn by lot.

use std::sync::Arc;

use perfhost_strategy::decision::Decision;
use perfhost_strategy::observation::metric;
use perfhost_strategy::{Scope, Verdict};
use perfhost_telemetry::StoreError;
use serde_json::{Value, json};

use super::aggregates::compared;
use super::blocking;
use super::query::Query;
use super::recorded::{self, DAY, LEAST_REQUESTS, Range, Recorded};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::services::Services;

const NOTE: &str =
    "Not an experiment: requests were not assigned at random. `perfhost ab` compares with a stated error.";

pub(crate) async fn models(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), DAY)?;
    let store = services.store.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let mut rows = Vec::new();
        for (scope, provider, model) in recorded::models(&store)? {
            let mut row = compared(&Recorded::new(&store, range.at(&scope)))?;
            (row["provider"], row["model"]) = (json!(provider), json!(model));
            rows.push((scope.as_str().to_owned(), row));
        }
        let best = best(&rows);
        let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        Ok(json!({ "from_ms": range.from_ms, "to_ms": range.to_ms, "models": rows, "best": best, "note": NOTE }))
    });
    Ok(Reply::json(&found.await??))
}

pub(crate) async fn optimizations(services: &Arc<Services>, query: &Query) -> Result<Reply, Trouble> {
    let range = Range::of(query, now_ms(), DAY)?;
    let store = services.store.clone();
    let found = blocking(move || -> Result<Value, StoreError> {
        let mut rows = Vec::new();
        for (scope, strategy) in recorded::strategies(&store)? {
            let mut row = compared(&Recorded::new(&store, range.at(&scope)))?;
            row["strategy"] = json!(strategy);
            rows.push((strategy, row));
        }
        let (decisions, is_whole) = by_knob(&Recorded::new(&store, range.clone()))?;
        let best = best(&rows);
        Ok(json!({
            "from_ms": range.from_ms, "to_ms": range.to_ms, "strategies": rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>(),
            "best": best, "decisions": decisions.iter().map(TurnedKnob::row).collect::<Vec<_>>(),
            "has_all_decisions": is_whole, "note": NOTE,
        }))
    });
    Ok(Reply::json(&found.await??))
}

/// The name with the best figure, for each figure that at least two have measured well enough.
fn best(rows: &[(String, Value)]) -> Value {
    let mut best = json!({});
    for (figure, field, is_less_better) in [
        (metric::RESPONSE_TIME, "p95", true),
        (metric::TIME_TO_FIRST_TOKEN, "p95", true),
        (metric::TIME_PER_OUTPUT_TOKEN, "mean", true),
        (metric::ERROR_RATE, "mean", true),
    ] {
        let measured =
            rows.iter().filter(|(_, row)| row[figure]["count"].as_u64().is_some_and(|count| count >= LEAST_REQUESTS));
        let mut values: Vec<(&str, f64)> =
            measured.filter_map(|(name, row)| Some((name.as_str(), row[figure][field].as_f64()?))).collect();
        values.sort_by(|a, b| if is_less_better { a.1.total_cmp(&b.1) } else { b.1.total_cmp(&a.1) });
        if let [(name, value), (_, next), ..] = values.as_slice() {
            best[figure] = json!({ "name": name, "value": value, "next": next, "of": field });
        }
    }
    best
}

/// What became of the decisions about one knob, and by how much each metric changed after those that were kept.
#[derive(Debug)]
pub(crate) struct TurnedKnob {
    pub(crate) name: String,
    scope: Scope,
    verdicts: [u64; VERDICTS.len()],
    /// Metric, sum of the ratios after to before, decisions.
    effects: Vec<(String, f64, u64)>,
}

/// In the order of their counts.
pub(crate) const VERDICTS: [(&str, Verdict); 4] = [
    ("applied", Verdict::Applied),
    ("clamped", Verdict::Clamped),
    ("refused", Verdict::Refused),
    ("rolled_back", Verdict::RolledBack),
];

/// The decisions of a range by knob, the one decided on last first; and whether all of the range's are still kept.
pub(crate) fn by_knob(recorded: &Recorded<'_>) -> Result<(Vec<TurnedKnob>, bool), StoreError> {
    let mut knobs: Vec<TurnedKnob> = Vec::new();
    let is_whole = recorded.each_decision(|one| {
        let (name, scope) = (&one.proposal.name, &one.proposal.scope);
        match knobs.iter_mut().find(|knob| knob.name == *name && knob.scope == *scope) {
            Some(knob) => knob.add(one),
            None => {
                let (name, scope) = (name.clone(), scope.clone());
                let mut knob = TurnedKnob { name, scope, verdicts: [0; VERDICTS.len()], effects: Vec::new() };
                knob.add(one);
                knobs.push(knob);
            }
        }
    })?;
    Ok((knobs, is_whole))
}

impl TurnedKnob {
    fn add(&mut self, one: &Decision) {
        if let Some(at) = VERDICTS.iter().position(|(_, verdict)| *verdict == one.verdict) {
            self.verdicts[at] += 1;
        }
        let is_kept = matches!(one.verdict, Verdict::Applied | Verdict::Clamped);
        if let Some(measured) = one.measured.as_ref().filter(|measured| is_kept && measured.before > 0.0) {
            let ratio = measured.after / measured.before;
            match self.effects.iter_mut().find(|(metric, ..)| *metric == measured.metric) {
                Some((_, sum, times)) => (*sum, *times) = (*sum + ratio, *times + 1),
                None => self.effects.push((measured.metric.clone(), ratio, 1)),
            }
        }
    }

    /// How many decisions had each of [`VERDICTS`].
    pub(crate) fn counts(&self) -> [u64; VERDICTS.len()] {
        self.verdicts
    }

    /// Each metric that was measured, its mean ratio of after to before, and over how many decisions.
    pub(crate) fn effects(&self) -> impl Iterator<Item = (&str, f64, u64)> {
        self.effects.iter().map(|(metric, sum, times)| (metric.as_str(), sum / *times as f64, *times))
    }

    fn row(&self) -> Value {
        let effect = |(metric, mean_ratio, decisions): (&str, f64, u64)| json!({ "metric": metric, "mean_ratio": mean_ratio, "decisions": decisions });
        let mut row = json!({
            "knob": self.name, "scope": self.scope, "effects": self.effects().map(effect).collect::<Vec<_>>(),
        });
        for ((name, _), count) in VERDICTS.iter().zip(self.verdicts) {
            row[*name] = json!(count);
        }
        row
    }
}
