//! The tables, and how older files are brought up to date.
//!
//! A migration that was released never changes; the file's version (`user_version`) is the number of migrations done.

use rusqlite::Connection;

/// Migrations in order.
const MIGRATIONS: &[&str] = &[
    "
    -- Names of what history holds, so that windows are small.
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        metric TEXT NOT NULL,
        scope TEXT NOT NULL,
        UNIQUE (metric, scope)
    );
    -- Raw windows that still grow. Apart from `windows` because they are rewritten every second, and side by side here
    -- they fill a few pages, there one each.
    CREATE TABLE live (
        start_ms INTEGER NOT NULL,
        series INTEGER NOT NULL,
        sketch BLOB NOT NULL,
        PRIMARY KEY (start_ms, series)
    ) WITHOUT ROWID;
    -- Complete windows of every tier.
    CREATE TABLE windows (
        tier INTEGER NOT NULL,
        series INTEGER NOT NULL,
        start_ms INTEGER NOT NULL,
        sketch BLOB NOT NULL,
        PRIMARY KEY (tier, series, start_ms)
    ) WITHOUT ROWID;
    -- Up to when a tier holds everything that the finer one had.
    CREATE TABLE watermarks (tier INTEGER PRIMARY KEY, until_ms INTEGER NOT NULL);
    CREATE TABLE cycles (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, record TEXT NOT NULL);
    CREATE TABLE decisions (
        id INTEGER PRIMARY KEY,
        cycle INTEGER NOT NULL,
        strategy TEXT NOT NULL,
        knob TEXT NOT NULL,
        record TEXT NOT NULL
    );
    CREATE INDEX decisions_by_cycle ON decisions (cycle);
    CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
",
    "
    CREATE TABLE generations (number INTEGER PRIMARY KEY, record TEXT NOT NULL);
    -- What each version of a strategy has learned.
    CREATE TABLE learned (
        strategy TEXT NOT NULL,
        digest TEXT NOT NULL,
        version TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        state BLOB NOT NULL,
        UNIQUE (strategy, digest)
    );
    -- Its earlier place.
    INSERT INTO learned SELECT substr(key, 10), '', '', 0, value FROM state WHERE key LIKE 'strategy/%';
    DELETE FROM state WHERE key LIKE 'strategy/%';
",
    "
    CREATE TABLE experiments (id INTEGER PRIMARY KEY, record TEXT NOT NULL);
    -- What came after an experiment's record was written, in order.
    CREATE TABLE experiment_batches (
        experiment INTEGER NOT NULL,
        source INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        batch TEXT NOT NULL,
        UNIQUE (experiment, source, sequence)
    );
 ",
    "
    CREATE TABLE alerts (
        id INTEGER PRIMARY KEY,
        rule TEXT NOT NULL,
        fired_ms INTEGER NOT NULL,
        is_firing INTEGER NOT NULL,
        record TEXT NOT NULL
    );
",
    "
    -- Cycles in short, so that a list of them need not read whole observations.
    CREATE TABLE cycle_summaries (id INTEGER PRIMARY KEY, strategy TEXT NOT NULL, record TEXT NOT NULL);
",
];

/// The version of an up-to-date file.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// The file's version; 0 for a new one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the file up to date, each step whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let done = usize::try_from(version(connection)?).unwrap_or(0);
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
