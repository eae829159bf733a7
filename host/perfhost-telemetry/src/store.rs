//! What outlives the process: history, the decision log, the history of generations, what strategies have learned, and
//! experiments and alerts, in one SQLite file.
//!
//! One thread writes, so that nobody waits for the disk; readers have connections of their own and never wait for the
//! writer. Written ahead (WAL) and in transactions, so a process killed at any moment leaves a whole file that lacks at
//! most what was not yet handed to the system: the last second. Which tiers history has is in [`tier`], how long they are
//! kept in [`Retention`]. A file that turns out to be damaged, at the start or while it is used, is set aside, and a new one
//! is begun.

mod alerts;
mod cycles;
mod decisions;
mod error;
mod experiments;
mod generations;
mod history;
mod learned;
mod live;
mod open;
mod read_only;
mod retention;
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
use perfhost_strategy::Scope;
use perfhost_strategy::alert::AlertRecord;
use perfhost_strategy::decision::{CycleRecord, CycleSummary, Decision, DecisionUpdate};
use perfhost_strategy::experiment::Batch;
use perfhost_strategy::generation::GenerationRecord;
use perfhost_strategy::replay::LoggedCycle;
use rusqlite::{Connection, OptionalExtension};

use crate::sketch::DDSketch;
use crate::telemetry::Telemetry;
use writer::{Command, Writer};

pub use alerts::{AlertQuery, MOST_ALERTS};
pub use cycles::{
    CycleListQuery, CycleQuery, CycleSpan, MOST_CYCLE_BYTES, MOST_CYCLES, MOST_CYCLES_AT_ONCE, MOST_SUMMARIES_AT_ONCE,
};
pub use decisions::{DecisionQuery, MOST_DECISIONS, MOST_DECISIONS_AT_ONCE, NextIds};
pub use error::StoreError;
pub use experiments::{MOST_BATCHES, MOST_EXPERIMENTS, StoredExperiment};
pub use generations::MOST_GENERATIONS;
pub use history::{History, HistoryPoint, HistoryQuery, MOST_POINTS};
pub use learned::{LearnedState, MOST_STATES, MOST_STATES_OF_ONE};
pub use live::MOST_SERIES;
pub use read_only::ReadOnlyStore;
pub use retention::{Retention, RetentionError};
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
    readers: Mutex<Vec<Reader>>,
    /// The newest tick handed to the writer.
    persisted: Mutex<u64>,
    failed_writes: Arc<AtomicU64>,
    replaced: Arc<AtomicU64>,
}

/// A connection for reading, and how many files had been set aside when it was opened.
struct Reader {
    connection: Connection,
    replaced: u64,
}

impl Store {
    /// As [`Self::open_with`], with the usual retention.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        Self::open_with(dir, Retention::default())
    }

    /// Opens or creates `perfhost.db` in `dir`, which is created if need be. A file that is no intact database is renamed
    /// to `perfhost.db.corrupt-<Unix ms>` with an error in the log, and a new one is started; so is one that turns out to
    /// be damaged later. The caller sees to it that no other process uses the directory.
    ///
    /// Errors: the directory or file cannot be written, or a newer perfhost has written it.
    pub fn open_with(dir: &Path, retention: Retention) -> Result<Store, StoreError> {
        let path = dir.join(FILE_NAME);
        let connection = open::open(dir, &path)?;
        let failed_writes = Arc::new(AtomicU64::new(0));
        let replaced = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(path.clone(), connection, retention, failed_writes.clone(), replaced.clone())?;
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
            replaced,
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
    pub fn history(&self, query: &HistoryQuery) -> Result<History, StoreError> {
        query.check()?;
        self.read("history", |connection| history::read(connection, query))
    }

    /// The distribution of one metric over the whole of a question's range; empty where nothing was measured. It begins with
    /// the window that holds the range's beginning; the step says of which tier that is.
    pub fn distribution(&self, query: &HistoryQuery) -> Result<DDSketch, StoreError> {
        query.check()?;
        self.read("history", |connection| history::merged(connection, query))
    }

    /// Every scope that history holds something of; strategies behind [`crate::window::STRATEGY_SCOPE_PREFIX`].
    pub fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        self.read("scopes", history::scopes)
    }

    /// How many measurements of the query's range lie between each two `bounds` (which rise), below the first and above the
    /// last; see [`crate::sketch::DDSketch::counts_between`]. The range begins and ends as that of [`Self::distribution`] does.
    pub fn histogram(&self, query: &HistoryQuery, bounds: &[f64]) -> Result<Vec<u64>, StoreError> {
        Ok(self.distribution(query)?.counts_between(bounds))
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

    /// Cycles in short, newest first, with what became of their proposals by now. Cycles of versions before this table are
    /// not in it.
    pub fn cycle_summaries(&self, query: &CycleListQuery) -> Result<Vec<CycleSummary>, StoreError> {
        self.read("cycles", |connection| cycles::summaries(connection, query))
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

    /// Keeps an experiment's record, in the place of the one before and of all batches so far: it holds what they told.
    /// The newest [`MOST_EXPERIMENTS`] are kept.
    pub fn record_experiment(&self, id: u64, record: String) {
        self.send(Command::Experiment { id, record });
    }

    /// Keeps a batch that came after the experiment's record. The same batch again changes nothing; past
    /// [`MOST_BATCHES`] none is taken until the next record.
    pub fn record_batch(&self, experiment: u64, batch: Batch) {
        self.send(Command::Batch { experiment, batch: Box::new(batch) });
    }

    /// One experiment; flushes first.
    pub fn experiment(&self, id: u64) -> Result<Option<StoredExperiment>, StoreError> {
        self.flush();
        self.read("experiment", |connection| experiments::read(connection, id))
    }

    /// Numbers of experiments, newest first, at most `limit`; flushes first.
    pub fn experiments(&self, limit: usize) -> Result<Vec<u64>, StoreError> {
        self.flush();
        self.read("experiments", |connection| experiments::numbers(connection, limit))
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

    /// Damaged files that were set aside since the start. Each is logged.
    pub fn replaced_files(&self) -> u64 {
        self.inner.replaced.load(Ordering::Acquire)
    }

    /// Runs `work` in one read transaction, so that it sees one state of the file. Damage that it finds is looked into by
    /// the writer.
    fn read<T>(&self, what: &'static str, work: impl FnOnce(&Connection) -> ReadResult<T>) -> Result<T, StoreError> {
        let failed = |source| {
            if open::is_damage(&source) {
                self.send(Command::Examine);
            }
            StoreError::Database { doing: "reading", what, source }
        };
        let replaced = self.replaced_files();
        let kept = self.inner.readers.lock().pop().filter(|reader| reader.replaced == replaced);
        let mut connection = match kept {
            Some(reader) => reader.connection,
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
            readers.push(Reader { connection, replaced });
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
