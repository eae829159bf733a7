//! `/api/analysis/compare/…`: models and strategies side by side. A comparison of what happened to be, not an experiment:
//! who served which request was not drawn by lot.

use std::sync::Arc;

use perfhost_strategy::decision::Decision;
use perfhost_strategy::observation::metric;
use perfhost_strategy::{Scope, Verdict};
use perfhost_telemetry::{DecisionQuery, StoreError};
use serde_json::{Value, json};

use super::aggregates::compared;
use super::blocking;
use super::query::Query;
use super::recorded::{self, DAY, LEAST_REQUESTS, Range, Recorded};
use super::reply::{Reply, Trouble};
use crate::caching::now_ms;
use crate::services::Services;

/// Decisions that are looked at: the newest.
const MOST_DECISIONS: usize = 1_000;

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
        let decisions = store.decisions(&DecisionQuery { limit: MOST_DECISIONS, ..DecisionQuery::default() })?;
        let in_range = decisions.iter().filter(|one| (range.from_ms..range.to_ms).contains(&one.at_ms));
        let best = best(&rows);
        Ok(json!({
            "from_ms": range.from_ms, "to_ms": range.to_ms, "strategies": rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>(),
            "best": best, "decisions": by_knob(in_range), "note": NOTE,
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

/// What became of the decisions about each knob, with the mean measured effect of those that were kept.
pub(crate) fn by_knob<'a>(decisions: impl Iterator<Item = &'a Decision>) -> Vec<Value> {
    let mut knobs: Vec<(&str, &Scope, Vec<&Decision>)> = Vec::new();
    for one in decisions {
        let (name, scope) = (one.proposal.name.as_str(), &one.proposal.scope);
        match knobs.iter_mut().find(|(known, at, _)| *known == name && *at == scope) {
            Some((.., list)) => list.push(one),
            None => knobs.push((name, scope, vec![one])),
        }
    }
    let row = |(name, scope, list): (&str, &Scope, Vec<&Decision>)| {
        let count = |verdict: Verdict| list.iter().filter(|one| one.verdict == verdict).count();
        let mut effects: Vec<(String, f64, u64)> = Vec::new();
        let kept = list.iter().filter(|one| matches!(one.verdict, Verdict::Applied | Verdict::Clamped));
        for measured in kept.filter_map(|one| one.measured.as_ref()).filter(|measured| measured.before > 0.0) {
            let ratio = measured.after / measured.before;
            match effects.iter_mut().find(|(metric, ..)| *metric == measured.metric) {
                Some((_, sum, times)) => (*sum, *times) = (*sum + ratio, *times + 1),
                None => effects.push((measured.metric.clone(), ratio, 1)),
            }
        }
        let effects: Vec<Value> = effects
            .into_iter()
            .map(|(metric, sum, times)| json!({ "metric": metric, "mean_ratio": sum / times as f64, "decisions": times }))
            .collect();
        json!({
            "knob": name, "scope": scope, "applied": count(Verdict::Applied), "clamped": count(Verdict::Clamped),
            "refused": count(Verdict::Refused), "rolled_back": count(Verdict::RolledBack), "effects": effects,
        })
    };
    knobs.into_iter().map(row).collect()
}
