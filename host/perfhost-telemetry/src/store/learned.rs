//! What strategies have learned: the bytes that each gave last, by name and plugin file, so that a later version, an
//! earlier one gone back to, and the next start each find what they can read.

use rusqlite::{Connection, params};

use super::writer::MOST_STATE_BYTES;
use super::{ReadResult, signed};

/// States that are kept of one strategy, each of another plugin file; the newest stay.
pub const MOST_STATES_OF_ONE: usize = 8;

/// States that are kept in all; the newest stay.
pub const MOST_STATES: usize = 256;

/// What one version of a strategy has learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedState {
    /// The strategy's name.
    pub strategy: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, in hexadecimal.
    pub digest: String,
    /// When it gave this, Unix time in milliseconds.
    pub at_ms: u64,
    /// What it gave.
    pub state: Vec<u8>,
}

pub(super) fn write(connection: &Connection, learned: &LearnedState) -> ReadResult<()> {
    let LearnedState { strategy, version, digest, at_ms, state } = learned;
    if state.len() > MOST_STATE_BYTES {
        tracing::warn!(strategy, bytes = state.len(), most = MOST_STATE_BYTES, "state is too large and is not kept");
        return Ok(());
    }
    connection.prepare_cached("INSERT OR REPLACE INTO learned VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        strategy,
        digest,
        version,
        signed(*at_ms),
        state
    ])?;
    connection
        .prepare_cached(
            "DELETE FROM learned WHERE strategy = ?1 AND digest NOT IN
             (SELECT digest FROM learned WHERE strategy = ?1 ORDER BY at_ms DESC, rowid DESC LIMIT ?2)",
        )?
        .execute(params![strategy, MOST_STATES_OF_ONE as i64])?;
    connection
        .prepare_cached(
            "DELETE FROM learned WHERE rowid NOT IN
             (SELECT rowid FROM learned ORDER BY at_ms DESC, rowid DESC LIMIT ?1)",
        )?
        .execute([MOST_STATES as i64])?;
    Ok(())
}

/// What is kept of one strategy, newest first.
pub(super) fn read(connection: &Connection, strategy: &str) -> ReadResult<Vec<LearnedState>> {
    let mut select = connection.prepare_cached(
        "SELECT version, digest, at_ms, state FROM learned WHERE strategy = ?1 ORDER BY at_ms DESC, rowid DESC",
    )?;
    let rows = select.query_map([strategy], |row| {
        Ok(LearnedState {
            strategy: strategy.to_owned(),
            version: row.get(0)?,
            digest: row.get(1)?,
            at_ms: row.get::<_, i64>(2)? as u64,
            state: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
