//! Experiments: each with one record, which is replaced as it goes on, and the batches of events that came after that.
//!
//! A batch is kept under its source and sequence, so one that is written again after a restart is there once; the record
//! that holds what a batch told is written together with the batch's end, in one transaction. So whoever reads record and
//! batches has every event once, whenever the process was killed.

use perfhost_strategy::experiment::Batch;
use rusqlite::{Connection, OptionalExtension, params};

use super::{ReadResult, signed};

/// Newest experiments that are kept.
pub const MOST_EXPERIMENTS: u64 = 500;

/// Batches that are kept beside one record; a record is due long before.
pub const MOST_BATCHES: u64 = 10_000;

/// One experiment as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredExperiment {
    /// Its number.
    pub id: u64,
    /// Its record, JSON in a form of the host's own.
    pub record: String,
    /// What came after the record, in order.
    pub batches: Vec<Batch>,
}

/// Replaces the record, which holds what all batches so far have told.
pub(super) fn write(connection: &Connection, id: u64, record: &str) -> ReadResult<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO experiments VALUES (?1, ?2)")?
        .execute(params![signed(id), record])?;
    connection.prepare_cached("DELETE FROM experiment_batches WHERE experiment = ?1")?.execute([signed(id)])?;
    connection
        .prepare_cached("DELETE FROM experiments WHERE id <= ?1")?
        .execute([signed(id.saturating_sub(MOST_EXPERIMENTS))])?;
    Ok(())
}

/// Keeps a batch; one of the same source and sequence is the same.
pub(super) fn add_batch(connection: &Connection, id: u64, batch: &Batch) -> ReadResult<()> {
    let text = serde_json::to_string(batch)?;
    // Sources are random numbers: all their bits count.
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO experiment_batches SELECT ?1, ?2, ?3, ?4
             WHERE (SELECT count(*) FROM experiment_batches WHERE experiment = ?1) < ?5",
        )?
        .execute(params![signed(id), batch.source as i64, signed(batch.sequence), text, signed(MOST_BATCHES)])?;
    Ok(())
}

/// One experiment.
pub(super) fn read(connection: &Connection, id: u64) -> ReadResult<Option<StoredExperiment>> {
    let record = connection
        .prepare_cached("SELECT record FROM experiments WHERE id = ?1")?
        .query_row([signed(id)], |row| row.get::<_, String>(0))
        .optional()?;
    let Some(record) = record else { return Ok(None) };
    let mut select =
        connection.prepare_cached("SELECT batch FROM experiment_batches WHERE experiment = ?1 ORDER BY rowid")?;
    let rows = select.query_map([signed(id)], |row| row.get::<_, String>(0))?;
    let batches = rows.map(|batch| Ok(serde_json::from_str(&batch?)?)).collect::<ReadResult<_>>()?;
    Ok(Some(StoredExperiment { id, record, batches }))
}

/// Numbers, newest first.
pub(super) fn numbers(connection: &Connection, limit: usize) -> ReadResult<Vec<u64>> {
    let mut select = connection.prepare_cached("SELECT id FROM experiments ORDER BY id DESC LIMIT ?1")?;
    let rows = select.query_map([limit as i64], |row| row.get::<_, i64>(0))?;
    rows.map(|id| Ok(id?.max(0) as u64)).collect()
}
