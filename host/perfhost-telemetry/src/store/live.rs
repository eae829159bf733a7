//! Writing the newest windows: what grew this second is merged into what the file has, and windows that can grow no more
//! move to the finest tier.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::signed;
use super::tier::{RAW, TIERS, floor};
use crate::sketch::DDSketch;
use crate::window::Growth;

/// Series of history at most; what further ones grow by is not stored. Room for all metrics of [`crate::window::MAX_PLACES`].
pub const MOST_SERIES: usize = 36_000;

/// A tick belongs to the window that it began in and comes when it ends, about a second later.
const GRACE_MS: u64 = 2_000;

/// Numbers of the series in the file, by scope and metric.
#[derive(Default)]
pub(super) struct SeriesNumbers {
    by_scope: HashMap<String, HashMap<String, i64>>,
    count: usize,
}

impl SeriesNumbers {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut numbers = Self::default();
        let mut statement = connection.prepare("SELECT id, metric, scope FROM series")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            numbers.by_scope.entry(row.get(2)?).or_default().insert(row.get(1)?, row.get(0)?);
            numbers.count += 1;
        }
        Ok(numbers)
    }

    fn number(&mut self, connection: &Connection, metric: &str, scope: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(known) = self.by_scope.get(scope).and_then(|metrics| metrics.get(metric)) {
            return Ok(Some(*known));
        }
        if self.count >= MOST_SERIES {
            return Ok(None);
        }
        let id = connection
            .prepare_cached("INSERT INTO series (metric, scope) VALUES (?1, ?2) RETURNING id")?
            .query_row([metric, scope], |row| row.get(0))?;
        self.by_scope.entry(scope.to_owned()).or_default().insert(metric.to_owned(), id);
        self.count += 1;
        Ok(Some(id))
    }
}

/// Merges what grew into the live windows.
pub(super) fn grow(connection: &Connection, numbers: &mut SeriesNumbers, rows: &[Growth]) -> rusqlite::Result<()> {
    let mut find = connection.prepare_cached("SELECT sketch FROM live WHERE start_ms = ?1 AND series = ?2")?;
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO live VALUES (?1, ?2, ?3)")?;
    for row in rows {
        let Some(series) = numbers.number(connection, row.metric, &row.scope)? else { continue };
        let start_ms = signed(row.start_ms);
        let known: Option<Vec<u8>> = find.query_row([start_ms, series], |row| row.get(0)).optional()?;
        let bytes = match known {
            None => row.sketch.encode(),
            Some(known) => {
                let mut sketch = row.sketch.clone();
                merge_stored(&mut sketch, &known);
                sketch.encode()
            }
        };
        put.execute(params![start_ms, series, bytes])?;
    }
    Ok(())
}

/// Moves live windows that are over to the finest tier. One that comes late, or again after the clock was set back,
/// is merged with what is there, and the coarser tiers will be made again from its beginning on.
pub(super) fn seal(connection: &Connection, now_ms: u64) -> rusqlite::Result<()> {
    let over = signed(now_ms.saturating_sub(RAW.length_ms + GRACE_MS));
    let not_yet = signed(now_ms.saturating_add(RAW.length_ms));
    let mut select =
        connection.prepare_cached("SELECT start_ms, series, sketch FROM live WHERE start_ms <= ?1 OR start_ms > ?2")?;
    let mut find =
        connection.prepare_cached("SELECT sketch FROM windows WHERE tier = 0 AND series = ?1 AND start_ms = ?2")?;
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO windows VALUES (0, ?1, ?2, ?3)")?;
    let mut earliest: Option<i64> = None;
    let mut rows = select.query([over, not_yet])?;
    while let Some(row) = rows.next()? {
        let (start_ms, series): (i64, i64) = (row.get(0)?, row.get(1)?);
        let grown: Vec<u8> = row.get(2)?;
        let known: Option<Vec<u8>> = find.query_row([series, start_ms], |row| row.get(0)).optional()?;
        let bytes = match known {
            None => grown,
            Some(known) => {
                let mut sketch = DDSketch::new();
                merge_stored(&mut sketch, &known);
                merge_stored(&mut sketch, &grown);
                sketch.encode()
            }
        };
        put.execute(params![series, start_ms, bytes])?;
        earliest = Some(earliest.map_or(start_ms, |earliest| earliest.min(start_ms)));
    }
    drop(rows);
    if let Some(earliest) = earliest {
        connection
            .prepare_cached("DELETE FROM live WHERE start_ms <= ?1 OR start_ms > ?2")?
            .execute([over, not_yet])?;
        let mut lower =
            connection.prepare_cached("UPDATE watermarks SET until_ms = min(until_ms, ?2) WHERE tier = ?1")?;
        for (number, tier) in TIERS.iter().enumerate().skip(1) {
            lower.execute([number as i64, signed(floor(earliest as u64, tier.length_ms))])?;
        }
    }
    Ok(())
}

/// When everything before it is in the finest tier.
pub(super) fn sealed_until(now_ms: u64) -> u64 {
    floor(now_ms.saturating_sub(GRACE_MS), RAW.length_ms)
}

/// Merges a sketch from the file. One that is damaged is left out, with a warning: the rest of history is worth more.
pub(super) fn merge_stored(sketch: &mut DDSketch, bytes: &[u8]) {
    if let Err(error) = sketch.merge_encoded(bytes) {
        tracing::warn!(%error, "a window of history is left out");
    }
}
