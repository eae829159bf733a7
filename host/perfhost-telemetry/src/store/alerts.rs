//! The history of alerts: one record an alert, from when it fired. Records are kept as JSON, like the decision log's.

use perfhost_strategy::alert::AlertRecord;
use rusqlite::{Connection, params};

use super::{ReadResult, signed};

/// Newest alerts that are kept.
pub const MOST_ALERTS: u64 = 10_000;

/// Which alerts to read, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertQuery {
    /// How many at most; 0 for all that are kept.
    pub limit: usize,
    /// Only those with a smaller number: the next page.
    pub before_id: Option<u64>,
    /// Only of this rule.
    pub rule: Option<String>,
    /// Only those that fired since then, Unix time in milliseconds.
    pub since_ms: Option<u64>,
    /// Only those that were not resolved.
    pub is_firing: bool,
}

/// Writes a record, in the place of an earlier one of the same number.
pub(super) fn write(connection: &Connection, alert: &AlertRecord) -> ReadResult<()> {
    let record = serde_json::to_string(alert)?;
    connection.prepare_cached("INSERT OR REPLACE INTO alerts VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        signed(alert.id),
        alert.rule,
        signed(alert.fired_ms),
        alert.is_firing(),
        record
    ])?;
    connection
        .prepare_cached("DELETE FROM alerts WHERE id <= ?1")?
        .execute([signed(alert.id.saturating_sub(MOST_ALERTS))])?;
    Ok(())
}

pub(super) fn read(connection: &Connection, query: &AlertQuery) -> ReadResult<Vec<AlertRecord>> {
    let limit = if query.limit == 0 { MOST_ALERTS } else { query.limit as u64 };
    let mut select = connection.prepare_cached(
        "SELECT record FROM alerts WHERE id < ?1 AND (?2 IS NULL OR rule = ?2) AND fired_ms >= ?3
         AND (NOT ?4 OR is_firing) ORDER BY id DESC LIMIT ?5",
    )?;
    let rows = select.query_map(
        params![
            query.before_id.map_or(i64::MAX, signed),
            query.rule,
            query.since_ms.map_or(0, signed),
            query.is_firing,
            signed(limit)
        ],
        |row| row.get::<_, String>(0),
    )?;
    rows.map(|record| Ok(serde_json::from_str(&record?)?)).collect()
}

/// The number that the next alert should have.
pub(super) fn next_id(connection: &Connection) -> ReadResult<u64> {
    let newest: i64 = connection.query_row("SELECT ifnull(max(id), 0) FROM alerts", [], |row| row.get(0))?;
    Ok(newest as u64 + 1)
}
