//! The one thread that writes. Takes what is queued in batches, one transaction each, and keeps house in between.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use perfhost_strategy::alert::AlertRecord;
use perfhost_strategy::decision::{CycleRecord, Decision, DecisionUpdate};
use perfhost_strategy::experiment::Batch;
use perfhost_strategy::generation::GenerationRecord;
use rusqlite::{Connection, params};

use super::learned::{self, LearnedState};
use super::live::SeriesNumbers;
use super::{
    ReadError, ReadResult, Retention, StoreError, alerts, cycles, decisions, experiments, generations, live, open,
    rollup,
};
use crate::window::Growth;

/// Largest value that is kept under one key.
pub const MOST_STATE_BYTES: usize = 16 << 20;

/// Keys of state at most.
pub const MOST_STATE_KEYS: usize = 1_024;

/// Commands in one transaction at most.
const BATCH: usize = 128;

/// How often windows are sealed and rolled up.
const BETWEEN_ROLL_UPS_MS: u64 = 10_000;

/// How often what is kept long enough is deleted.
const BETWEEN_CLEANINGS_MS: u64 = 3_600_000;

/// Prepared statements that are kept.
const STATEMENTS: usize = 32;

/// After the first, only every so many failures are logged.
const FAILURES_BETWEEN_LOGS: u64 = 60;

/// What the writer is asked for.
pub(super) enum Command {
    Grow {
        rows: Vec<Growth>,
        now_ms: u64,
    },
    Cycle(Box<CycleRecord>),
    Decide(Box<Decision>),
    Update(Box<DecisionUpdate>),
    Generation(Box<GenerationRecord>),
    Experiment {
        id: u64,
        record: String,
    },
    Batch {
        experiment: u64,
        batch: Box<Batch>,
    },
    Learned(Box<LearnedState>),
    Alert(Box<AlertRecord>),
    PutState {
        key: String,
        bytes: Vec<u8>,
    },
    /// A reader found damage: look whether it is so.
    Examine,
    /// Answered when all before it is committed.
    Flush(SyncSender<()>),
}

pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    retention: Retention,
    numbers: SeriesNumbers,
    failed_writes: Arc<AtomicU64>,
    replaced: Arc<AtomicU64>,
    rolled_up_ms: u64,
    cleaned_ms: u64,
}

impl Writer {
    /// Counts failed writes in `failed_writes`, and in `replaced` how often a damaged file was set aside.
    pub(super) fn new(
        path: PathBuf,
        connection: Connection,
        retention: Retention,
        failed_writes: Arc<AtomicU64>,
        replaced: Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let numbers = SeriesNumbers::load(&connection).map_err(|source| StoreError::Database {
            doing: "reading",
            what: "the series",
            source,
        })?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self { connection, path, retention, numbers, failed_writes, replaced, rolled_up_ms: 0, cleaned_ms: 0 })
    }

    /// Until all senders are gone.
    pub(super) fn run(mut self, receiver: &Receiver<Command>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Ok(first) = receiver.recv() {
            batch.push(first);
            batch.extend(receiver.try_iter().take(BATCH - 1));
            self.write(&batch);
            let now_ms = batch.iter().filter_map(Command::now_ms).max();
            if batch.iter().any(|command| matches!(command, Command::Examine)) {
                self.examine();
            }
            for command in batch.drain(..) {
                if let Command::Flush(done) = command {
                    // Nobody waits any more: nothing to tell.
                    let _ = done.send(());
                }
            }
            if let Some(now_ms) = now_ms {
                self.keep_house(now_ms);
            }
        }
        self.close();
    }

    /// One transaction for all; when that fails, one for each, so that one bad record costs no other.
    fn write(&mut self, batch: &[Command]) {
        match self.in_transaction(batch) {
            Ok(()) => return,
            Err(ReadError::Database(error)) if open::is_damage(&error) => self.replace(&error.to_string()),
            Err(_) => {}
        }
        for command in batch {
            if let Err(error) = self.in_transaction(std::slice::from_ref(command)) {
                self.count_failure(command.name(), &error);
            }
        }
    }

    fn in_transaction(&mut self, batch: &[Command]) -> ReadResult<()> {
        let transaction = self.connection.transaction()?;
        let result = batch.iter().try_for_each(|command| apply(&transaction, &mut self.numbers, command));
        let result = result.and_then(|()| Ok(transaction.commit()?));
        if result.is_err() {
            // Numbers given in a transaction that did not come about are not valid. Where the file cannot be read, what
            // failed first says why.
            self.numbers = SeriesNumbers::load(&self.connection).unwrap_or_default();
        }
        result
    }

    /// Sets a file that is damaged aside and goes on with a new one.
    fn examine(&mut self) {
        match open::damage(&self.connection) {
            Ok(None) => {}
            Ok(Some(cause)) => self.replace(&cause),
            Err(error) => tracing::error!(%error, "the store cannot be checked for damage"),
        }
    }

    fn replace(&mut self, cause: &str) {
        // Closed before the file moves. Without a file to go on with, every write fails and is counted.
        let Ok(nothing) = Connection::open_in_memory() else { return };
        drop(std::mem::replace(&mut self.connection, nothing));
        match open::replace(&self.path, cause) {
            Ok(connection) => {
                connection.set_prepared_statement_cache_capacity(STATEMENTS);
                self.connection = connection;
                self.numbers = SeriesNumbers::default();
                self.replaced.fetch_add(1, Ordering::Release);
            }
            Err(error) => tracing::error!(%error, "no new store could be started; history is not kept"),
        }
    }

    /// Seals, rolls up and forgets what is due. Times going backwards count as due.
    fn keep_house(&mut self, now_ms: u64) {
        if now_ms.wrapping_sub(self.rolled_up_ms) < BETWEEN_ROLL_UPS_MS {
            return;
        }
        self.rolled_up_ms = now_ms;
        let is_cleaning = now_ms.wrapping_sub(self.cleaned_ms) >= BETWEEN_CLEANINGS_MS;
        if let Err(error) = self.roll_up(now_ms, is_cleaning) {
            if open::is_damage(&error) {
                self.replace(&error.to_string());
            }
            self.count_failure("roll-up", &error.into());
        } else if is_cleaning {
            self.cleaned_ms = now_ms;
        }
    }

    fn roll_up(&mut self, now_ms: u64, is_cleaning: bool) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        live::seal(&transaction, now_ms)?;
        rollup::roll_up(&transaction, now_ms)?;
        if is_cleaning {
            rollup::forget(&transaction, &self.retention, now_ms)?;
        }
        let shed = rollup::shed(&transaction, &self.retention)?;
        transaction.commit()?;
        if shed > 0 {
            let most_bytes = self.retention.most_bytes();
            tracing::warn!(windows = shed, most_bytes, "history is larger than allowed; its oldest part is deleted");
        }
        if is_cleaning {
            self.numbers = SeriesNumbers::load(&self.connection)?;
        }
        rollup::shrink(&self.connection)
    }

    fn count_failure(&self, what: &'static str, error: &ReadError) {
        let failures = self.failed_writes.fetch_add(1, Ordering::Relaxed);
        if failures.is_multiple_of(FAILURES_BETWEEN_LOGS) {
            let (ReadError::Database(error), failures) = (error, failures + 1) else {
                tracing::error!(?error, what, "writing to the store failed");
                return;
            };
            tracing::error!(%error, what, failures, "writing to the store failed");
        }
    }

    fn close(self) {
        match self.connection.close() {
            Ok(()) => open::mark_clean(&self.path),
            Err((_, error)) => tracing::warn!(%error, "closing the store failed"),
        }
    }
}

impl Command {
    fn now_ms(&self) -> Option<u64> {
        match self {
            Command::Grow { now_ms, .. } => Some(*now_ms),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Command::Grow { .. } => "history",
            Command::Cycle(_) => "cycle",
            Command::Decide(_) => "decision",
            Command::Update(_) => "decision update",
            Command::Generation(_) => "generation",
            Command::Experiment { .. } => "experiment",
            Command::Batch { .. } => "batch of an experiment",
            Command::Learned(_) => "learned state",
            Command::Alert(_) => "alert",
            Command::PutState { .. } => "state",
            Command::Examine => "check",
            Command::Flush(_) => "flush",
        }
    }
}

fn apply(connection: &Connection, numbers: &mut SeriesNumbers, command: &Command) -> ReadResult<()> {
    match command {
        Command::Grow { rows, .. } => Ok(live::grow(connection, numbers, rows)?),
        Command::Cycle(cycle) => cycles::write(connection, cycle, cycles::MOST_CYCLE_BYTES),
        Command::Decide(decision) => decisions::write(connection, decision),
        Command::Update(update) => decisions::update(connection, update),
        Command::Generation(generation) => generations::write(connection, generation),
        Command::Experiment { id, record } => experiments::write(connection, *id, record),
        Command::Batch { experiment, batch } => experiments::add_batch(connection, *experiment, batch),
        Command::Learned(learned) => learned::write(connection, learned),
        Command::Alert(alert) => alerts::write(connection, alert),
        Command::PutState { key, bytes } => put_state(connection, key, bytes),
        Command::Examine | Command::Flush(_) => Ok(()),
    }
}

fn put_state(connection: &Connection, key: &str, bytes: &[u8]) -> ReadResult<()> {
    if bytes.len() > MOST_STATE_BYTES {
        tracing::warn!(key, bytes = bytes.len(), most = MOST_STATE_BYTES, "state is too large and is not kept");
        return Ok(());
    }
    let changed = connection
        .prepare_cached(
            "INSERT INTO state SELECT ?1, ?2
             WHERE (SELECT count(*) FROM state) < ?3 OR EXISTS (SELECT 1 FROM state WHERE key = ?1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![key, bytes, MOST_STATE_KEYS as i64])?;
    if changed == 0 {
        tracing::warn!(key, most = MOST_STATE_KEYS, "there are too many keys of state; this one is not kept");
    }
    Ok(())
}
