//! A store opened to be read and nothing else, also while a host writes to it.
//!
//! Opening it creates, repairs, migrates, renames and locks nothing, so it is safe beside a running host, whose data
//! folder it may be. What the host writes meanwhile is seen from the next question on.

use std::cmp::Ordering;
use std::path::Path;

use parking_lot::Mutex;
use perfhost_strategy::replay::LoggedCycle;
use rusqlite::Connection;

use super::cycles::{self, CycleQuery, CycleSpan};
use super::history::{self, History, HistoryQuery};
use super::{FILE_NAME, ReadError, ReadResult, StoreError, open, schema};

/// The log and the history of a data folder, to be read.
pub struct ReadOnlyStore {
    connection: Mutex<Connection>,
}

impl ReadOnlyStore {
    /// Opens the store in `dir`.
    ///
    /// Errors: there is none, it cannot be read, or another version of perfhost has written it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        if !path.is_file() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(StoreError::File { doing: "reading", path, source });
        }
        let failed = |source| StoreError::Database { doing: "opening", what: "the database", source };
        let connection = open::read_only(&path).map_err(failed)?;
        let found = schema::version(&connection).map_err(failed)?;
        let known = schema::VERSION;
        match found.cmp(&known) {
            Ordering::Less => Err(StoreError::OlderSchema { path, found, known }),
            Ordering::Greater => Err(StoreError::NewerSchema { path, found, known }),
            Ordering::Equal => Ok(Self { connection: Mutex::new(connection) }),
        }
    }

    /// Which cycles a question means, and where to start a replay of them; `None` when there are none.
    pub fn span(&self, query: &CycleQuery) -> Result<Option<CycleSpan>, StoreError> {
        self.read("cycles", |connection| cycles::span(connection, query))
    }

    /// The first `limit` cycles from one number to another, in order, with their decisions; at most
    /// [`MOST_CYCLES_AT_ONCE`](super::MOST_CYCLES_AT_ONCE).
    pub fn cycles(&self, from_id: u64, to_id: u64, limit: u64) -> Result<Vec<LoggedCycle>, StoreError> {
        self.read("cycles", |connection| cycles::logged(connection, from_id, to_id, limit))
    }

    /// As [`Store::history`](super::Store::history).
    pub fn history(&self, query: &HistoryQuery) -> Result<History, StoreError> {
        query.check()?;
        self.read("history", |connection| history::read(connection, query))
    }

    fn read<T>(&self, what: &'static str, work: impl FnOnce(&Connection) -> ReadResult<T>) -> Result<T, StoreError> {
        let failed = |source| StoreError::Database { doing: "reading", what, source };
        let mut connection = self.connection.lock();
        let transaction = connection.transaction().map_err(failed)?;
        work(&transaction).map_err(|error| match error {
            ReadError::Database(source) => failed(source),
            ReadError::Record(source) => StoreError::Record { what, source },
        })
    }
}
