//! What outlives the process: history, the decision log, the history of generations, what strategies have learned, and
//! alerts, in one SQLite file.
//!
//! One thread writes, so that nobody waits for the disk; readers have connections of their own and never wait for the
//! writer. Written ahead (WAL) and in transactions, so a process killed at any moment leaves a whole file that lacks at
//! most what was not yet handed to the system: the last second. Which tiers history has is in [`tier`].

mod alerts;
mod cycles;
mod decisions;
mod error;
mod generations;
mod history;
mod learned;
mod live;
mod open;
mod read_only;
mod rollup;
mod schema;
pub mod tier;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use perfhost_strategy::alert::AlertRecord;
use perfhost_strategy::decision::{CycleRecord, Decision, DecisionUpdate};
use perfhost_strategy::generation::GenerationRecord;
use perfhost_strategy::replay::LoggedCycle;
use rusqlite::{Connection, OptionalExtension};

use crate::telemetry::Telemetry;
use writer::{Command, Writer};

pub use alerts::{AlertQuery, MOST_ALERTS};
pub use cycles::{CycleQuery, CycleSpan, MOST_CYCLE_BYTES, MOST_CYCLES, MOST_CYCLES_AT_ONCE};
pub use decisions::{DecisionQuery, MOST_DECISIONS, MOST_DECISIONS_AT_ONCE, NextIds};
pub use error::StoreError;
pub use generations::MOST_GENERATIONS;
pub use history::{HistoryPoint, HistoryQuery, MOST_POINTS};
pub use learned::{LearnedState, MOST_STATES, MOST_STATES_OF_ONE};
pub use live::MOST_SERIES;
pub use read_only::ReadOnlyStore;
pub use writer::{MOST_STATE_BYTES, MOST_STATE_KEYS};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "perfhost.db";

/// Commands that wait for the writer at most.
const QUEUE: usize = 1_024;

/// Connections kept for reading.
const IDLE_READERS: usize = 2;

/// The store; clones share one file and one writer. When the last clone is dropped, all that is queued is written.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// `None` only while closing.
    sender: Option<SyncSender<Command>>,
    writer: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
    /// The newest tick handed to the writer.
    persisted: Mutex<u64>,
    failed_writes: Arc<AtomicU64>,
}

impl Store {
    /// Opens or creates `perfhost.db` in `dir`, which is created if need be. A file that is no intact database is renamed
    /// to `perfhost.db.corrupt-<Unix ms>` with a warning in the log, and a new one is started. The caller sees to it that
    /// no other process uses the directory.
    ///
    /// Errors: the directory or file cannot be written, or a newer perfhost has written it.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        let path = dir.join(FILE_NAME);
        let connection = open::open(dir, &path)?;
        let failed_writes = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(connection, failed_writes.clone())?;
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("perfhost-store".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(|source| StoreError::File { doing: "starting the writer of", path: path.clone(), source })?;
        let inner = Inner {
            path,
            sender: Some(sender),
            writer: Some(thread),
            readers: Mutex::default(),
            persisted: Mutex::default(),
            failed_writes,
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Hands what was gathered since the last call to the writer; to be called once a second, after
    /// [`Telemetry::tick`], with the same time and always the same telemetry. Never waits: when the writer is behind, the
    /// next call hands over what this one could not, up to the two minutes that telemetry keeps.
    pub fn persist(&self, telemetry: &Telemetry, now_ms: u64) {
        let mut persisted = self.inner.persisted.lock();
        let (newest, rows) = telemetry.growth(*persisted, tier::RAW.length_ms);
        let Some(sender) = &self.inner.sender else { return };
        match sender.try_send(Command::Grow { rows, now_ms }) {
            Ok(()) => *persisted = newest,
            Err(TrySendError::Full(_)) => tracing::debug!("the store is behind; this second is written with the next"),
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// The distribution of one metric in steps. Sees what was written by the time of the call; [`Self::flush`] first to
    /// see everything.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryPoint>, StoreError> {
        query.check()?;
        self.read("history", |connection| history::read(connection, query))
    }

    /// Records one cycle. Waits when the writer is far behind, so not for the hot path; none is dropped. The last
    /// [`MOST_CYCLES`] are kept, in at most [`MOST_CYCLE_BYTES`].
    pub fn record_cycle(&self, cycle: CycleRecord) {
        self.send(Command::Cycle(Box::new(cycle)));
    }

    /// Records one decision, as [`Self::record_cycle`]. The last [`MOST_DECISIONS`] are kept.
    pub fn record_decision(&self, decision: Decision) {
        self.send(Command::Decide(Box::new(decision)));
    }

    /// Takes over what was learned of an earlier decision. One that is not kept any more is ignored.
    pub fn update_decision(&self, update: DecisionUpdate) {
        self.send(Command::Update(Box::new(update)));
    }

    /// Decisions, newest first.
    pub fn decisions(&self, query: &DecisionQuery) -> Result<Vec<Decision>, StoreError> {
        self.read("decisions", |connection| decisions::read(connection, query))
    }

    /// One cycle; `None` when it never was or is not kept any more.
    pub fn cycle(&self, id: u64) -> Result<Option<CycleRecord>, StoreError> {
        self.read("cycle", |connection| cycles::read(connection, id))
    }

    /// Which cycles a question means, and where to start a replay of them; `None` when there are none.
    pub fn cycle_span(&self, query: &CycleQuery) -> Result<Option<CycleSpan>, StoreError> {
        self.read("cycles", |connection| cycles::span(connection, query))
    }

    /// The first `limit` cycles from one number to another, in order, with their decisions; at most
    /// [`MOST_CYCLES_AT_ONCE`].
    pub fn cycles(&self, from_id: u64, to_id: u64, limit: u64) -> Result<Vec<LoggedCycle>, StoreError> {
        self.read("cycles", |connection| cycles::logged(connection, from_id, to_id, limit))
    }

    /// The numbers that the next cycle and the next decision should have; flushes first.
    pub fn next_ids(&self) -> Result<NextIds, StoreError> {
        self.flush();
        self.read("next numbers", decisions::next_ids)
    }

    /// Records a generation, or what is new of one: a record of the same number is replaced. The newest
    /// [`MOST_GENERATIONS`] are kept.
    pub fn record_generation(&self, generation: GenerationRecord) {
        self.send(Command::Generation(Box::new(generation)));
    }

    /// Generations, newest first, at most `limit`; with `before`, only those with a smaller number. Flushes first.
    pub fn generations(&self, limit: usize, before: Option<u64>) -> Result<Vec<GenerationRecord>, StoreError> {
        self.flush();
        self.read("generations", |connection| generations::read(connection, limit, before))
    }

    /// Keeps what a strategy has learned, in the place of what the same file gave before. State larger than
    /// [`MOST_STATE_BYTES`] is refused with a warning in the log.
    pub fn keep_learned(&self, learned: LearnedState) {
        self.send(Command::Learned(Box::new(learned)));
    }

    /// What strategies of this name have learned, newest first; flushes first.
    pub fn learned(&self, strategy: &str) -> Result<Vec<LearnedState>, StoreError> {
        self.flush();
        self.read("learned state", |connection| learned::read(connection, strategy))
    }

    /// Records an alert, or what is new of one: a record of the same number is replaced. The newest [`MOST_ALERTS`] are kept.
    pub fn record_alert(&self, alert: AlertRecord) {
        self.send(Command::Alert(Box::new(alert)));
    }

    /// Alerts, newest first; flushes first.
    pub fn alerts(&self, query: &AlertQuery) -> Result<Vec<AlertRecord>, StoreError> {
        self.flush();
        self.read("alerts", |connection| alerts::read(connection, query))
    }

    /// The number that the next alert should have; flushes first.
    pub fn next_alert(&self) -> Result<u64, StoreError> {
        self.flush();
        self.read("next alert", alerts::next_id)
    }

    /// Sets a value that outlives the process, such as tuned settings. A value larger than
    /// [`MOST_STATE_BYTES`], or a new key past [`MOST_STATE_KEYS`], is refused with a warning in the log.
    pub fn put_state(&self, key: &str, bytes: &[u8]) {
        self.send(Command::PutState { key: key.to_owned(), bytes: bytes.to_vec() });
    }

    /// The value last set for `key`; flushes first.
    pub fn state(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.flush();
        self.read("state", |connection| {
            let found = connection.query_row("SELECT value FROM state WHERE key = ?1", [key], |row| row.get(0));
            Ok(found.optional()?)
        })
    }

    /// Waits until everything queued before is committed.
    pub fn flush(&self) {
        let (done, is_done) = sync_channel(1);
        self.send(Command::Flush(done));
        // An error means that the writer has ended, and with it all waiting.
        let _ = is_done.recv();
    }

    /// Commands that could not be written, since the start. Each is logged.
    pub fn failed_writes(&self) -> u64 {
        self.inner.failed_writes.load(Ordering::Relaxed)
    }

    fn send(&self, command: Command) {
        let is_sent = self.inner.sender.as_ref().is_some_and(|sender| sender.send(command).is_ok());
        if !is_sent {
            self.inner.failed_writes.fetch_add(1, Ordering::Relaxed);
            tracing::error!("the store's writer has ended; a record is lost");
        }
    }

    /// Runs `work` in one read transaction, so that it sees one state of the file.
    fn read<T>(&self, what: &'static str, work: impl FnOnce(&Connection) -> ReadResult<T>) -> Result<T, StoreError> {
        let failed = |source| StoreError::Database { doing: "reading", what, source };
        let kept = self.inner.readers.lock().pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => open::reader(&self.inner.path).map_err(failed)?,
        };
        let transaction = connection.transaction().map_err(failed)?;
        let answer = work(&transaction).map_err(|error| match error {
            ReadError::Database(source) => failed(source),
            ReadError::Record(source) => StoreError::Record { what, source },
        })?;
        drop(transaction);
        let mut readers = self.inner.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        Ok(answer)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sender = None;
        // Readers go first, so that the writer is the last and may fold the log into the file.
        self.readers.get_mut().clear();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

/// How reading fails before it is known what was read.
#[derive(Debug)]
enum ReadError {
    Database(rusqlite::Error),
    Record(serde_json::Error),
}

type ReadResult<T> = Result<T, ReadError>;

/// A number as SQLite keeps it. Times and identities are far from the end of the range.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        ReadError::Database(error)
    }
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        ReadError::Record(error)
    }
}
