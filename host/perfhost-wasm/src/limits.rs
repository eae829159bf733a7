//! What a strategy may use: file size, memory, stack, time, output and log. One place, with the defaults.

mod key;

use std::time::Duration;

pub use key::{KEYS, LimitKey};
use serde::Serialize;

/// Limits for every strategy of one [`crate::Runtime`]. The defaults are meant for production.
///
/// Times are processor time of the calling thread: a machine that is busy with other things costs a strategy nothing.
/// A call that runs on is ended when it has used between one and one and a half times its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest plugin file. Default 64 MiB: a Python guest with its interpreter is about 20 MiB.
    pub max_file_bytes: u64,
    /// Linear memory of one instance, all its memories together. Default 64 MiB.
    pub memory_bytes: u64,
    /// Elements in one instance's tables, all together. Default 100,000.
    pub table_elements: u64,
    /// Stack of one call. Default 512 KiB; it is taken from the calling thread, whose own stack must be larger.
    pub stack_bytes: usize,
    /// Longest plan call. Default 5 ms. This is the hard limit that ends a runaway call; the budget of microseconds that
    /// a healthy strategy keeps to is a knob (`plan_budget_us`) and watched by the caller.
    pub plan_timeout: Duration,
    /// Longest call of any other kind, and longest start of an instance in service. Default 250 ms.
    pub call_timeout: Duration,
    /// Longest of each step in which guest code runs while a strategy is loaded. Default 10 s.
    pub load_timeout: Duration,
    /// Bytes that one answer, or the arguments of one call to the host, may carry in all. Default 4 MiB.
    pub max_output_bytes: usize,
    /// Proposals in one answer. Default 64.
    pub max_proposals: usize,
    /// Candidates in one plan's order. Default 1,024.
    pub max_order: usize,
    /// Advice in one answer. Default 256.
    pub max_advice: usize,
    /// Bytes in any one text of an answer. Default 4 KiB.
    pub max_text_bytes: usize,
    /// Items in any one list of a description. Default 256.
    pub max_description_items: usize,
    /// Bytes of saved state. Default 1 MiB.
    pub max_state_bytes: usize,
    /// Idle planning instances kept for one strategy. Default 64. Where more requests are planned at the same moment, the
    /// host's own plan serves the others.
    pub warm_max: usize,
    /// Plan calls after which an instance is replaced. Default 100,000. Its successor is made beside it, so no request
    /// waits for that.
    pub retire_after_calls: u64,
    /// A planning instance is replaced once its memory has grown by more than this since it was made ready, or by half
    /// of what it had left if that is less. Default 4 MiB. With four times as much it is not used again. A control
    /// instance is replaced once it has used three quarters of what it had left; its successor gets what it saved.
    pub retire_after_growth_bytes: u64,
    /// Log lines kept for one strategy. Default 256.
    pub log_lines: usize,
    /// Log lines that one strategy may write per second; more are counted and dropped. Default 50.
    pub log_lines_per_second: u32,
    /// Bytes of one log line; the rest is cut off. Default 4 KiB.
    pub max_log_line_bytes: usize,
    /// Bytes of compiled code kept on disk, for all strategies together. Default 512 MiB.
    pub cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 << 20,
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            stack_bytes: 512 << 10,
            plan_timeout: Duration::from_millis(5),
            call_timeout: Duration::from_millis(250),
            load_timeout: Duration::from_secs(10),
            max_output_bytes: 4 << 20,
            max_proposals: 64,
            max_order: 1_024,
            max_advice: 256,
            max_text_bytes: 4 << 10,
            max_description_items: 256,
            max_state_bytes: 1 << 20,
            warm_max: 64,
            retire_after_calls: 100_000,
            retire_after_growth_bytes: 4 << 20,
            log_lines: 256,
            log_lines_per_second: 50,
            max_log_line_bytes: 4 << 10,
            cache_bytes: 512 << 20,
        }
    }
}

/// One limit, for people and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LimitInForce {
    /// Its name, as configuration writes it: that of a [`LimitKey`].
    pub name: &'static str,
    /// How much is allowed.
    pub value: u64,
    /// In `bytes`, `ms` or `count`.
    pub unit: &'static str,
}

impl Limits {
    /// Every limit by name.
    pub fn in_force(&self) -> Vec<LimitInForce> {
        KEYS.iter().map(|key| LimitInForce { name: key.name, value: key.get(self), unit: key.unit() }).collect()
    }
}
