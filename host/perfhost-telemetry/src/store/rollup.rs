//! Roll-ups, retention and compaction. A tier's window is made, whole, from the finer tier's, and made again when that changes, so
//! doing it twice changes nothing; window and watermark are committed together.

use rusqlite::{Connection, OptionalExtension, params};

use super::live::{merge_stored, sealed_until};
use super::tier::{TIERS, floor};
use super::{Retention, signed};
use crate::sketch::DDSketch;

/// Pages given back to the file system in one go: 8 MiB, so that nothing waits long behind it.
const VACUUM_PAGES: u32 = 2_048;

/// Makes every coarser window whose time is over and that is not made yet.
pub(super) fn roll_up(connection: &Connection, now_ms: u64) -> rusqlite::Result<()> {
    let mut complete_until = sealed_until(now_ms);
    for (number, tier) in TIERS.iter().enumerate().skip(1) {
        let until = floor(complete_until, tier.length_ms);
        let from = watermark(connection, number)?.unwrap_or(0);
        if from < until {
            make(connection, number, from, until)?;
            connection
                .prepare_cached("INSERT OR REPLACE INTO watermarks VALUES (?1, ?2)")?
                .execute([number as i64, signed(until)])?;
        }
        complete_until = from.max(until);
    }
    Ok(())
}

/// Up to when a tier holds everything that the finer one had.
pub(super) fn watermark(connection: &Connection, number: usize) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT until_ms FROM watermarks WHERE tier = ?1")?
        .query_row([number as i64], |row| row.get::<_, i64>(0))
        .optional()
        .map(|found| found.map(|until| until as u64))
}

/// Deletes what is kept long enough, tier by tier, but nothing that the next tier does not have yet.
pub(super) fn forget(connection: &Connection, retention: &Retention, now_ms: u64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT id FROM series")?;
    let series: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut delete =
        connection.prepare_cached("DELETE FROM windows WHERE tier = ?1 AND series = ?2 AND start_ms < ?3")?;
    for (number, kept_ms) in retention.kept_ms.iter().enumerate() {
        let before = deletable(connection, number, now_ms.saturating_sub(*kept_ms))?;
        for id in &series {
            delete.execute([number as i64, *id, signed(before)])?;
        }
    }
    connection.execute(
        "DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.series = series.id)
         AND NOT EXISTS (SELECT 1 FROM windows WHERE tier = 0 AND windows.series = series.id)
         AND NOT EXISTS (SELECT 1 FROM windows WHERE tier = 1 AND windows.series = series.id)
         AND NOT EXISTS (SELECT 1 FROM windows WHERE tier = 2 AND windows.series = series.id)
         AND NOT EXISTS (SELECT 1 FROM windows WHERE tier = 3 AND windows.series = series.id)
         AND NOT EXISTS (SELECT 1 FROM windows WHERE tier = 4 AND windows.series = series.id)",
        [],
    )?;
    Ok(())
}

/// The latest moment up to `before` that a tier can be deleted to: whole windows of the next tier, so that one made again
/// is never made of a part, and nothing that the next tier does not have yet.
fn deletable(connection: &Connection, number: usize, before: u64) -> rusqlite::Result<u64> {
    let Some(next) = TIERS.get(number + 1) else { return Ok(before) };
    Ok(floor(before, next.length_ms).min(watermark(connection, number + 1)?.unwrap_or(0)))
}

/// Deletes the older half of the finest tier that has anything to delete, and so on, until the file needs no more than
/// the allowed bytes. Returns the number of deleted windows.
pub(super) fn shed(connection: &Connection, retention: &Retention) -> rusqlite::Result<usize> {
    let mut deleted = 0;
    for (number, tier) in TIERS.iter().enumerate() {
        while used_bytes(connection)? > retention.most_bytes() {
            let (oldest, newest): (Option<i64>, Option<i64>) = connection.query_row(
                "SELECT min(start_ms), max(start_ms) FROM windows WHERE tier = ?1",
                [number as i64],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let (Some(oldest), Some(newest)) = (oldest, newest) else { break };
            // Past the middle, so that a tier with one window left is emptied too.
            let middle = oldest as u64 + (newest as u64).abs_diff(oldest as u64) / 2 + tier.length_ms;
            let before = deletable(connection, number, middle)?;
            let gone = connection.execute(
                "DELETE FROM windows WHERE tier = ?1 AND start_ms < ?2",
                params![number as i64, signed(before)],
            )?;
            if gone == 0 {
                break;
            }
            deleted += gone;
        }
    }
    Ok(deleted)
}

/// Bytes of the file that hold something.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    Ok((pages * number("PRAGMA page_size")?) as u64)
}

/// Gives some of the space that deleting freed back to the file system, if there is any. Not inside a transaction.
pub(super) fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free == 0 {
        return Ok(());
    }
    // It gives a row for every page, and goes on only as long as rows are asked for.
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Makes a tier's windows from `from` to `until`.
fn make(connection: &Connection, number: usize, from: u64, until: u64) -> rusqlite::Result<()> {
    // CROSS JOIN fixes the order: one short range of the index for each series, not the whole tier.
    let mut select = connection.prepare_cached(
        "SELECT series.id, windows.start_ms, windows.sketch FROM series CROSS JOIN windows
         ON windows.tier = ?1 AND windows.series = series.id AND windows.start_ms >= ?2 AND windows.start_ms < ?3
         ORDER BY series.id, windows.start_ms",
    )?;
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO windows VALUES (?1, ?2, ?3, ?4)")?;
    let mut write = |series: i64, start_ms: u64, sketch: &DDSketch| {
        put.execute(params![number as i64, series, signed(start_ms), sketch.encode()])
    };
    let mut open: Option<(i64, u64)> = None;
    let mut sketch = DDSketch::new();
    let mut rows = select.query([number as i64 - 1, signed(from), signed(until)])?;
    while let Some(row) = rows.next()? {
        let series: i64 = row.get(0)?;
        let start_ms = floor(row.get::<_, i64>(1)? as u64, TIERS[number].length_ms);
        if open != Some((series, start_ms)) {
            if let Some((series, start_ms)) = open {
                write(series, start_ms, &sketch)?;
                sketch.clear();
            }
            open = Some((series, start_ms));
        }
        merge_stored(&mut sketch, row.get_ref(2)?.as_blob()?);
    }
    if let Some((series, start_ms)) = open {
        write(series, start_ms, &sketch)?;
    }
    Ok(())
}
