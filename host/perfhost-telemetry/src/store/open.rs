//! Opening the file: settings, a check after an unclean end, and setting a damaged one aside.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{StoreError, schema};

/// How long one connection waits for another. Only checkpoints and backups by other programs ever hold it up.
const BUSY: Duration = Duration::from_secs(5);

/// Damaged files that are kept for whoever wants to look into them.
const KEPT_DAMAGED: usize = 3;

/// Beside the file while it is in use; still there at the next start after an unclean end.
const IN_USE_SUFFIX: &str = ".in-use";

const DAMAGED_INFIX: &str = ".corrupt-";

/// The writer's connection to an intact and up-to-date file.
pub(super) fn open(dir: &Path, path: &Path) -> Result<Connection, StoreError> {
    fs::create_dir_all(dir).map_err(|source| file_error("creating", dir, source))?;
    let in_use = beside(path, IN_USE_SUFFIX);
    let was_ended_uncleanly = in_use.exists();
    let opened = match prepare(path, was_ended_uncleanly) {
        Err(Failure::Damaged(cause)) => replace(path, &cause),
        other => other.map_err(|failure| failure.of(path)),
    };
    let connection = opened?;
    fs::write(&in_use, b"").map_err(|source| file_error("marking", &in_use, source))?;
    Ok(connection)
}

/// Sets a damaged file aside and makes a new one.
pub(super) fn replace(path: &Path, cause: &str) -> Result<Connection, StoreError> {
    let aside = set_aside(path)?;
    tracing::error!(%cause, file = %path.display(), kept_as = %aside.display(),
        "the database is damaged and set aside; history and learned state begin anew in a new one");
    prepare(path, false).map_err(|failure| failure.of(path))
}

/// Whether an error says that the file is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// What is damaged in the file, if anything. Reads all of it.
pub(super) fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(answer) => Ok((answer != "ok").then_some(answer)),
        Err(error) if is_damage(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Notes that the file was closed in order.
pub(super) fn mark_clean(path: &Path) {
    let in_use = beside(path, IN_USE_SUFFIX);
    if let Err(error) = fs::remove_file(&in_use) {
        tracing::debug!(%error, file = %in_use.display(), "the next start will check the database");
    }
}

/// A connection for reading.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -1_024)?;
    Ok(connection)
}

/// A connection that can change nothing, for a process that does not own the file. SQLite may still make or extend the
/// index of the write-ahead log beside it, as every reader does.
pub(super) fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

enum Failure {
    Damaged(String),
    Newer(i64),
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Failure::Damaged(error.to_string()) } else { Failure::Database(error) }
    }
}

impl Failure {
    fn of(self, path: &Path) -> StoreError {
        match self {
            Failure::Newer(found) => StoreError::NewerSchema { path: path.to_owned(), found, known: schema::VERSION },
            Failure::Database(source) => StoreError::Database { doing: "opening", what: "the database", source },
            Failure::Damaged(cause) => file_error("replacing", path, std::io::Error::other(cause)),
        }
    }
}

fn prepare(path: &Path, is_check_due: bool) -> Result<Connection, Failure> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    let found = schema::version(&connection)?;
    if found > schema::VERSION {
        return Err(Failure::Newer(found));
    }
    if found == 0 {
        // Lets retention give space back; can only be chosen while the file is empty.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With WAL this can lose the last commits when the machine fails, never when the process does, and never damages.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if is_check_due && let Some(cause) = damage(&connection)? {
        return Err(Failure::Damaged(cause));
    }
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Renames the file and what belongs to it; returns the new name.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let aside = beside(path, &format!("{DAMAGED_INFIX}{now_ms}"));
    fs::rename(path, &aside).map_err(|source| file_error("setting aside", path, source))?;
    for suffix in ["-wal", "-shm"] {
        let from = beside(path, suffix);
        if from.exists() {
            // A log that stayed would be taken for the new file's.
            fs::rename(&from, beside(&aside, suffix)).map_err(|source| file_error("setting aside", &from, source))?;
        }
    }
    forget_oldest(path);
    Ok(aside)
}

fn forget_oldest(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return };
    let prefix = format!("{}{DAMAGED_INFIX}", name.to_string_lossy());
    let Ok(entries) = fs::read_dir(dir) else { return };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    // The names end in times of equal length, so they sort by age.
    let mut damaged: Vec<String> =
        names.filter(|name| name.starts_with(&prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")).collect();
    damaged.sort_unstable();
    for old in damaged.iter().rev().skip(KEPT_DAMAGED) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(dir.join(format!("{old}{suffix}")));
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn file_error(doing: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { doing, path: path.to_owned(), source }
}
