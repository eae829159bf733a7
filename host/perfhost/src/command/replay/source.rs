//! Where a replay reads its cycles: the store of a data folder, or a running host.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use perfhost_strategy::replay::LoggedCycle;
use perfhost_telemetry::{CycleQuery, CycleSpan, ReadOnlyStore};
use perfhost_wasm::{History, NoHistory};
use serde_json::Value;

use crate::cli::{ClientFlags, Output, ReplayFlags};
use crate::command::client::Client;
use crate::config::raw::Raw;
use crate::config::{self, Sources};
use crate::service::history::StoredHistory;

/// Cycles read at once.
const PAGE: u64 = 20;

/// A decision log that can be read.
pub(super) enum Source {
    Folder { path: PathBuf, store: Arc<ReadOnlyStore> },
    Host { url: String, client: Client },
}

/// The source that the flags name.
pub(super) fn open(flags: &ReplayFlags) -> Result<Source> {
    if let Some(url) = &flags.host {
        let client = ClientFlags { host: url.clone(), token: flags.token.clone(), output: Output::Json };
        return Ok(Source::Host { url: url.clone(), client: Client::new(&client) });
    }
    folder(flags.data_dir.clone())
}

/// The store in a data folder; without one, in the folder that serving uses.
fn folder(data_dir: Option<PathBuf>) -> Result<Source> {
    let sources = Sources {
        environment: std::env::vars().collect(),
        flags: Raw { data_dir, ..Raw::default() },
        ..Sources::default()
    };
    let path = config::load(&sources)?.data_dir;
    let store = ReadOnlyStore::open(&path).with_context(|| {
        format!("no decision log can be read in {}; name its folder with --data-dir", path.display())
    })?;
    Ok(Source::Folder { path, store: Arc::new(store) })
}

impl Source {
    /// What it is, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Source::Folder { path, .. } => path.display().to_string(),
            Source::Host { url, .. } => url.clone(),
        }
    }

    /// Which cycles a question means.
    pub(super) fn span(&self, query: &CycleQuery) -> Result<Option<CycleSpan>> {
        match self {
            Source::Folder { store, .. } => Ok(store.span(query)?),
            Source::Host { client, .. } => {
                let given = [("from", query.from_ms), ("to", query.to_ms), ("last", query.last)];
                let given = given.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}")));
                let mut answer = client.get(&format!("/api/decisions/span?{}", given.collect::<Vec<_>>().join("&")))?;
                serde_json::from_value(answer["span"].take()).context("reading which cycles the host has")
            }
        }
    }

    /// The next cycles from `from_id` to `to_id`, in order.
    pub(super) fn cycles(&self, from_id: u64, to_id: u64) -> Result<Vec<LoggedCycle>> {
        match self {
            Source::Folder { store, .. } => Ok(store.cycles(from_id, to_id, PAGE)?),
            Source::Host { client, .. } => {
                let mut answer: Value = client.get(&format!("/api/decisions/cycles?from_id={from_id}&limit={PAGE}"))?;
                let mut cycles: Vec<LoggedCycle> =
                    serde_json::from_value(answer["cycles"].take()).context("reading the host's cycles")?;
                cycles.retain(|logged| logged.record.id <= to_id);
                Ok(cycles)
            }
        }
    }

    /// History for what the log holds no answer to: the store's, and none from a running host.
    pub(super) fn history(&self) -> Arc<dyn History> {
        match self {
            Source::Folder { store, .. } => Arc::new(StoredHistory::of_log(store.clone())),
            Source::Host { .. } => Arc::new(NoHistory),
        }
    }
}
