//! The history of generations: which strategies were in service, from when to when, why, and what came of it. Records
//! are kept as JSON, like the decision log's.

use perfhost_strategy::generation::GenerationRecord;
use rusqlite::{Connection, params};

use super::{ReadResult, signed};

/// Newest generations that are kept.
pub const MOST_GENERATIONS: u64 = 1_000;

/// Writes a record, in the place of an earlier one of the same number.
pub(super) fn write(connection: &Connection, generation: &GenerationRecord) -> ReadResult<()> {
    let record = serde_json::to_string(generation)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO generations VALUES (?1, ?2)")?
        .execute(params![signed(generation.number), record])?;
    connection
        .prepare_cached("DELETE FROM generations WHERE number <= ?1")?
        .execute([signed(generation.number.saturating_sub(MOST_GENERATIONS))])?;
    Ok(())
}

/// Generations with a number below `before`, newest first.
pub(super) fn read(connection: &Connection, limit: usize, before: Option<u64>) -> ReadResult<Vec<GenerationRecord>> {
    let mut select =
        connection.prepare_cached("SELECT record FROM generations WHERE number < ?1 ORDER BY number DESC LIMIT ?2")?;
    let rows =
        select.query_map(params![before.map_or(i64::MAX, signed), limit as i64], |row| row.get::<_, String>(0))?;
    rows.map(|record| Ok(serde_json::from_str(&record?)?)).collect()
}
