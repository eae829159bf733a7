//! What the cache did and saved.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use crate::entry::Entry;

/// Counts since the start, and what is held now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Bytes that entries may weigh together; 0 when the cache is off.
    pub capacity_bytes: u64,
    /// What the entries weigh, book-keeping included.
    pub bytes: u64,
    /// Entries held.
    pub entries: u64,
    /// Lookups that found an entry: calls saved.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
    /// Entries offered to the store.
    pub inserts: u64,
    /// Entries that made room for others, or that were not admitted because the ones they would replace are asked for
    /// more often.
    pub evictions: u64,
    /// Entries whose time to live passed.
    pub expirations: u64,
    /// Prompt tokens of the answers that hits gave.
    pub prompt_tokens_saved: u64,
    /// Output tokens of the answers that hits gave.
    pub output_tokens_saved: u64,
    /// Time that making the answers took which hits gave, in milliseconds.
    pub time_saved_ms: u64,
    /// The savings by model, most hits first.
    pub models: Vec<ModelSavings>,
}

/// What hits on one model's answers saved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ModelSavings {
    /// Model as requests name it; `other` for all beyond the first 256.
    pub model: String,
    /// Calls saved.
    pub hits: u64,
    /// Prompt tokens saved.
    pub prompt_tokens: u64,
    /// Output tokens saved.
    pub output_tokens: u64,
    /// Time saved, in milliseconds.
    pub time_ms: u64,
}

/// Models that are counted apart.
const MAX_MODELS: usize = 256;

/// Longest name, in bytes, of a model that is counted apart: names come from requests.
const MAX_MODEL_BYTES: usize = 256;

/// The model that all others are counted under.
const OTHER: &str = "other";

/// Savings of one model, counted without a lock.
#[derive(Debug, Default)]
pub(crate) struct Savings {
    hits: AtomicU64,
    prompt_tokens: AtomicU64,
    output_tokens: AtomicU64,
    time_us: AtomicU64,
}

impl Savings {
    /// Counts one hit on `entry`.
    pub(crate) fn add(&self, entry: &Entry) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.prompt_tokens.fetch_add(entry.prompt_tokens.into(), Ordering::Relaxed);
        self.output_tokens.fetch_add(entry.output_tokens.into(), Ordering::Relaxed);
        let took_us = u64::try_from(entry.took.as_micros()).unwrap_or(u64::MAX);
        self.time_us.fetch_add(took_us, Ordering::Relaxed);
    }
}

/// Every model's savings. Looked up once for each entry that is stored, not for each hit.
#[derive(Debug, Default)]
pub(crate) struct SavingsByModel(Mutex<HashMap<Arc<str>, Arc<Savings>>>);

impl SavingsByModel {
    pub(crate) fn of(&self, model: &Arc<str>) -> Arc<Savings> {
        let mut models = self.0.lock();
        if let Some(found) = models.get(model) {
            return found.clone();
        }
        let name =
            if models.len() < MAX_MODELS && model.len() <= MAX_MODEL_BYTES { model.clone() } else { Arc::from(OTHER) };
        models.entry(name).or_default().clone()
    }

    /// The part of the statistics that is about savings; the rest is zero.
    pub(crate) fn total(&self) -> CacheStats {
        let models = self.0.lock();
        let mut total = CacheStats::default();
        for (model, savings) in models.iter() {
            let of_model = ModelSavings {
                model: model.to_string(),
                hits: savings.hits.load(Ordering::Relaxed),
                prompt_tokens: savings.prompt_tokens.load(Ordering::Relaxed),
                output_tokens: savings.output_tokens.load(Ordering::Relaxed),
                time_ms: savings.time_us.load(Ordering::Relaxed) / 1_000,
            };
            total.hits += of_model.hits;
            total.prompt_tokens_saved += of_model.prompt_tokens;
            total.output_tokens_saved += of_model.output_tokens;
            total.time_saved_ms += of_model.time_ms;
            total.models.push(of_model);
        }
        total.models.sort_by(|a, b| (b.hits, &a.model).cmp(&(a.hits, &b.model)));
        total
    }
}
