//! The decision log: decisions, and what was learned of them. Records are kept as JSON, because they are read as a whole
//! and their form grows with the contract; only what is searched for has a column. The cycles are in `cycles`.

use perfhost_strategy::decision::{Decision, DecisionUpdate};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::{ReadResult, signed};

/// Newest decisions that are kept.
pub const MOST_DECISIONS: u64 = 100_000;

/// Decisions that one query gives at most.
pub const MOST_DECISIONS_AT_ONCE: usize = 1_000;

/// Old rows are deleted after this many new ones.
const BETWEEN_CLEANINGS: u64 = 64;

/// Which decisions to read, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionQuery {
    /// How many at most; 0 for as many as are given at once, [`MOST_DECISIONS_AT_ONCE`].
    pub limit: usize,
    /// Only those with a smaller number: the next page.
    pub before_id: Option<u64>,
    /// Only of this strategy: `name`, or `name@version`.
    pub strategy: Option<String>,
    /// Only of this knob.
    pub knob: Option<String>,
}

/// The numbers that come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextIds {
    /// For [`CycleRecord::id`].
    pub cycle: u64,
    /// For [`Decision::id`].
    pub decision: u64,
}

pub(super) fn write(connection: &Connection, decision: &Decision) -> ReadResult<()> {
    let record = serde_json::to_string(decision)?;
    connection.prepare_cached("INSERT OR REPLACE INTO decisions VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        signed(decision.id),
        signed(decision.cycle),
        decision.strategy,
        decision.proposal.name,
        record
    ])?;
    if decision.id.is_multiple_of(BETWEEN_CLEANINGS) {
        connection
            .execute("DELETE FROM decisions WHERE id <= ?1", [signed(decision.id.saturating_sub(MOST_DECISIONS))])?;
    }
    Ok(())
}

pub(super) fn update(connection: &Connection, update: &DecisionUpdate) -> ReadResult<()> {
    let id = signed(update.id);
    let found: Option<String> = connection
        .prepare_cached("SELECT record FROM decisions WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    if let Some(record) = found {
        let mut decision: Decision = serde_json::from_str(&record)?;
        decision.update(update);
        connection
            .prepare_cached("UPDATE decisions SET record = ?2 WHERE id = ?1")?
            .execute(params![id, serde_json::to_string(&decision)?])?;
    }
    Ok(())
}

pub(super) fn read(connection: &Connection, query: &DecisionQuery) -> ReadResult<Vec<Decision>> {
    let limit = if query.limit == 0 { MOST_DECISIONS_AT_ONCE } else { query.limit.min(MOST_DECISIONS_AT_ONCE) };
    let before = query.before_id.map_or(i64::MAX, signed);
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    let mut select = connection.prepare_cached(
        "SELECT record FROM decisions WHERE id < ?1
         AND (?2 IS NULL OR strategy = ?2 OR substr(strategy, 1, length(?2) + 1) = ?2 || '@')
         AND (?3 IS NULL OR knob = ?3)
         ORDER BY id DESC LIMIT ?4",
    )?;
    let rows = select.query_map(params![before, text(&query.strategy), text(&query.knob), limit as i64], |row| {
        row.get::<_, String>(0)
    })?;
    rows.map(|record| Ok(serde_json::from_str(&record?)?)).collect()
}

/// The decisions made in the cycles of a range, in their order.
pub(super) fn of_cycles(connection: &Connection, range: (u64, u64)) -> ReadResult<Vec<Decision>> {
    let mut select =
        connection.prepare_cached("SELECT record FROM decisions WHERE cycle >= ?1 AND cycle <= ?2 ORDER BY id")?;
    let rows = select.query_map([signed(range.0), signed(range.1)], |row| row.get::<_, String>(0))?;
    rows.map(|record| Ok(serde_json::from_str(&record?)?)).collect()
}

pub(super) fn next_ids(connection: &Connection) -> ReadResult<NextIds> {
    let newest = |question: &str| connection.query_row(question, [], |row| row.get::<_, i64>(0));
    let cycle =
        newest("SELECT max(ifnull((SELECT max(id) FROM cycles), 0), ifnull((SELECT max(cycle) FROM decisions), 0))")?;
    let decision = newest("SELECT ifnull(max(id), 0) FROM decisions")?;
    Ok(NextIds { cycle: cycle as u64 + 1, decision: decision as u64 + 1 })
}
