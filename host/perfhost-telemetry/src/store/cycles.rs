//! The cycles of the decision loop: every call of a strategy's `propose` with all that its answer follows from.
//!
//! Records are JSON, deflated: an observation repeats the same names in every cycle, and shrinks to a tenth. All cycles
//! are kept, also those in which nothing was proposed, because a replay needs them; the oldest go by number and by size.

use std::collections::HashMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use perfhost_strategy::Verdict;
use perfhost_strategy::decision::{CycleRecord, CycleSummary, Validations};
use perfhost_strategy::replay::LoggedCycle;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{ReadError, ReadResult, decisions, signed};

/// Newest cycles that are kept: 14 hours at the default interval.
pub const MOST_CYCLES: u64 = 10_000;

/// Bytes of all cycles together, as they are stored; beyond it the oldest go first.
pub const MOST_CYCLE_BYTES: u64 = 256 << 20;

/// Cycles that one question gives at most.
pub const MOST_CYCLES_AT_ONCE: u64 = 100;

/// Cycles in short that one question gives at most; as many as there are cycles are kept.
pub const MOST_SUMMARIES_AT_ONCE: usize = 1_000;

/// Old rows are deleted after this many new ones.
const BETWEEN_CLEANINGS: u64 = 64;

/// Largest record that is read back. Bounded answers of a strategy and of history come nowhere near it.
const MOST_RECORD_BYTES: u64 = 64 << 20;

/// Which cycles are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CycleQuery {
    /// None before this, Unix time in milliseconds.
    pub from_ms: Option<u64>,
    /// None after this, Unix time in milliseconds.
    pub to_ms: Option<u64>,
    /// Of these only so many, the newest.
    pub last: Option<u64>,
}

/// Which cycles are wanted in short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CycleListQuery {
    /// So many at most, the newest, and never more than [`MOST_SUMMARIES_AT_ONCE`].
    pub limit: usize,
    /// Only those with a smaller number.
    pub before_id: Option<u64>,
    /// Only of this strategy, as `name` or `name@version`.
    pub strategy: Option<String>,
}

/// Numbers of cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CycleSpan {
    /// The cycle to start a replay at: the last one not after `first` in which a strategy's life begins, else the oldest.
    pub start: u64,
    /// The first that is wanted.
    pub first: u64,
    /// The last that is wanted.
    pub last: u64,
}

pub(super) fn write(connection: &Connection, cycle: &CycleRecord, most_bytes: u64) -> ReadResult<()> {
    let record = deflated(&serde_json::to_vec(cycle)?)?;
    connection.prepare_cached("INSERT OR REPLACE INTO cycles VALUES (?1, ?2, ?3)")?.execute(params![
        signed(cycle.id),
        signed(cycle.at_ms),
        record
    ])?;
    let summary = cycle.summary();
    connection.prepare_cached("INSERT OR REPLACE INTO cycle_summaries VALUES (?1, ?2, ?3)")?.execute(params![
        signed(summary.id),
        summary.strategy,
        serde_json::to_string(&summary)?
    ])?;
    if cycle.id.is_multiple_of(BETWEEN_CLEANINGS) {
        let gone = signed(cycle.id.saturating_sub(MOST_CYCLES));
        connection.execute("DELETE FROM cycles WHERE id <= ?1", [gone])?;
        connection.execute("DELETE FROM cycle_summaries WHERE id <= ?1", [gone])?;
        connection.execute(
            "DELETE FROM cycles WHERE id <= (SELECT max(id) FROM
               (SELECT id, sum(length(record)) OVER (ORDER BY id DESC) AS newer FROM cycles) WHERE newer > ?1)",
            [signed(most_bytes)],
        )?;
    }
    Ok(())
}

pub(super) fn read(connection: &Connection, id: u64) -> ReadResult<Option<CycleRecord>> {
    let found = connection
        .prepare_cached("SELECT record FROM cycles WHERE id = ?1")?
        .query_row([signed(id)], |row| Ok(record(row)))
        .optional()?;
    found.transpose()
}

/// Cycles in short, newest first, with what became of their proposals.
pub(super) fn summaries(connection: &Connection, query: &CycleListQuery) -> ReadResult<Vec<CycleSummary>> {
    let mut select = connection.prepare_cached(
        "SELECT record FROM cycle_summaries WHERE id < ?1 AND (?2 IS NULL OR strategy = ?2 OR substr(strategy, 1, length(?2) + 1) = ?2 || '@')
         ORDER BY id DESC LIMIT ?3",
    )?;
    let before = query.before_id.map_or(i64::MAX, signed);
    let limit = query.limit.min(MOST_SUMMARIES_AT_ONCE) as i64;
    let rows = select.query_map(params![before, query.strategy, limit], |row| row.get::<_, String>(0))?;
    let mut all: Vec<CycleSummary> =
        rows.map(|record| Ok(serde_json::from_str(&record?)?)).collect::<ReadResult<_>>()?;
    let (Some(newest), Some(oldest)) = (all.first(), all.last()) else { return Ok(all) };
    let mut verdicts = connection.prepare_cached(
        "SELECT cycle, json_extract(record, '$.verdict') FROM decisions WHERE cycle >= ?1 AND cycle <= ?2",
    )?;
    let rows = verdicts.query_map([signed(oldest.id), signed(newest.id)], |row| {
        Ok((row.get::<_, i64>(0)? as u64, row.get::<_, String>(1)?))
    })?;
    let mut counted: HashMap<u64, Validations> = HashMap::new();
    for row in rows {
        let (cycle, verdict) = row?;
        let verdict: Verdict = serde_json::from_value(serde_json::Value::String(verdict))?;
        counted.entry(cycle).or_default().count(verdict);
    }
    for summary in &mut all {
        summary.validations = counted.remove(&summary.id).unwrap_or_default();
    }
    Ok(all)
}

/// The first `limit` cycles from `from_id` to `to_id`, in order, with their decisions.
pub(super) fn logged(connection: &Connection, from_id: u64, to_id: u64, limit: u64) -> ReadResult<Vec<LoggedCycle>> {
    let mut select =
        connection.prepare_cached("SELECT record FROM cycles WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT ?3")?;
    let rows = select
        .query_map([signed(from_id), signed(to_id), signed(limit.min(MOST_CYCLES_AT_ONCE))], |row| Ok(record(row)))?;
    let records: Vec<CycleRecord> = rows.map(|record| record?).collect::<ReadResult<_>>()?;
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(Vec::new()) };
    let mut decisions = decisions::of_cycles(connection, (first.id, last.id))?;
    let logged = records.into_iter().map(|record| {
        let (mine, others) = decisions.drain(..).partition(|decision| decision.cycle == record.id);
        decisions = others;
        LoggedCycle { record, decisions: mine }
    });
    Ok(logged.collect())
}

/// Which cycles a question means; `None` when there are none.
pub(super) fn span(connection: &Connection, query: &CycleQuery) -> ReadResult<Option<CycleSpan>> {
    let ends: (Option<i64>, Option<i64>) = connection
        .prepare_cached(
            "SELECT min(id), max(id) FROM
               (SELECT id FROM cycles WHERE at_ms >= ?1 AND at_ms <= ?2 ORDER BY id DESC LIMIT ?3)",
        )?
        .query_row(
            [
                signed(query.from_ms.unwrap_or(0)),
                signed(query.to_ms.unwrap_or(u64::MAX)),
                signed(query.last.unwrap_or(u64::MAX)),
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    let (Some(first), Some(last)) = ends else { return Ok(None) };
    Ok(Some(CycleSpan { start: beginning(connection, first)? as u64, first: first as u64, last: last as u64 }))
}

/// The last cycle up to `id` in which a strategy's life begins; the oldest where the log holds none.
fn beginning(connection: &Connection, id: i64) -> ReadResult<i64> {
    let mut select = connection.prepare_cached("SELECT id, record FROM cycles WHERE id <= ?1 ORDER BY id DESC")?;
    let mut rows = select.query([id])?;
    let mut oldest = id;
    while let Some(row) = rows.next()? {
        oldest = row.get(0)?;
        if record_of(row.get_ref(1)?)?.told.has_beginning() {
            break;
        }
    }
    Ok(oldest)
}

fn record(row: &Row<'_>) -> ReadResult<CycleRecord> {
    record_of(row.get_ref(0)?)
}

/// A record as it is stored now, or as plain JSON, as it was at first.
fn record_of(value: ValueRef<'_>) -> ReadResult<CycleRecord> {
    match value {
        ValueRef::Blob(bytes) => {
            let mut json = Vec::new();
            DeflateDecoder::new(bytes).take(MOST_RECORD_BYTES).read_to_end(&mut json).map_err(serde_json::Error::io)?;
            Ok(serde_json::from_slice(&json)?)
        }
        other => Ok(serde_json::from_slice(other.as_bytes().map_err(|error| ReadError::Database(error.into()))?)?),
    }
}

fn deflated(bytes: &[u8]) -> ReadResult<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map_err(|error| serde_json::Error::io(error).into())
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use perfhost_strategy::journal::{Call, Told};

    fn log() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        connection
    }

    fn cycle(id: u64, calls: &[Call]) -> CycleRecord {
        let told = Told { calls: calls.to_vec(), ..Told::default() };
        CycleRecord { id, at_ms: 1_000 * id, told, ..CycleRecord::default() }
    }

    #[test]
    fn a_replay_starts_where_a_life_begins_and_else_at_the_oldest_cycle() {
        let connection = log();
        for id in 1..=30 {
            let calls: &[Call] = if id == 10 || id == 20 { &[Call::Loaded] } else { &[] };
            write(&connection, &cycle(id, calls), MOST_CYCLE_BYTES).unwrap();
        }
        let span = |query| span(&connection, &query).unwrap();
        let all = CycleQuery::default();
        assert_eq!(span(all), Some(CycleSpan { start: 1, first: 1, last: 30 }));
        assert_eq!(span(CycleQuery { last: Some(3), ..all }), Some(CycleSpan { start: 20, first: 28, last: 30 }));
        let middle = CycleQuery { from_ms: Some(12_000), to_ms: Some(19_500), last: None };
        assert_eq!(span(middle), Some(CycleSpan { start: 10, first: 12, last: 19 }));
        assert_eq!(span(CycleQuery { from_ms: Some(99_000), ..all }), None);
        assert_eq!(logged(&connection, 12, 19, 99).unwrap().len(), 8);
        assert_eq!(logged(&connection, 31, 99, 99).unwrap(), []);
    }

    #[test]
    fn the_oldest_go_when_all_together_are_too_large() {
        let connection = log();
        for id in 1..=BETWEEN_CLEANINGS {
            write(&connection, &cycle(id, &[]), 0).unwrap();
        }
        let size: i64 = connection.query_row("SELECT count(*) FROM cycles", [], |row| row.get(0)).unwrap();
        assert_eq!(size, 0, "a limit of nothing keeps nothing");
        let one = deflated(&serde_json::to_vec(&cycle(100, &[])).unwrap()).unwrap().len() as u64;
        for id in 65..=2 * BETWEEN_CLEANINGS {
            write(&connection, &cycle(id, &[]), 10 * one).unwrap();
        }
        let left: i64 = connection.query_row("SELECT count(*) FROM cycles", [], |row| row.get(0)).unwrap();
        assert!((8..=10).contains(&left), "{left} cycles are left");
    }

    #[test]
    fn records_of_the_first_form_are_read_too() {
        let connection = log();
        let text = serde_json::to_string(&cycle(7, &[])).unwrap();
        connection.execute("INSERT INTO cycles VALUES (7, 7000, ?1)", [text]).unwrap();
        assert_eq!(read(&connection, 7).unwrap(), Some(cycle(7, &[])));
        connection.execute("INSERT INTO cycles VALUES (8, 8000, ?1)", [[1_u8, 2, 3]]).unwrap();
        assert!(read(&connection, 8).is_err());
    }
}
