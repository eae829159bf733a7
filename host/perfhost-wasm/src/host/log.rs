//! The contract's `log` interface, and the bounded log of one strategy that it and standard output write to.
//!
//! A line goes to two places: the host's own log (target `perfhost::strategy`) and a ring of recent lines that
//! `plugin inspect` shows. A strategy that writes too fast loses lines, and the log says how many.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use wasmtime::component::Linker;

use crate::bindings::perfhost::strategy::log as contract;
use crate::guest::Guest;
use crate::limits::Limits;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// Standard output counts as this.
    Info,
    /// Standard error counts as this.
    Warn,
    /// Something failed.
    Error,
}

/// One line that a strategy wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The line, cut off at the limit.
    pub text: String,
}

/// The log of one strategy, shared by its instances.
pub(crate) struct Log {
    /// How the host's log names the strategy.
    plugin: String,
    lines_kept: usize,
    lines_per_second: u32,
    line_bytes: usize,
    state: Mutex<State>,
}

struct State {
    lines: VecDeque<LogLine>,
    second_began: Option<Instant>,
    written_this_second: u32,
    dropped: u64,
}

impl Log {
    pub(crate) fn new(plugin: &str, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            plugin: plugin.to_owned(),
            lines_kept: limits.log_lines,
            lines_per_second: limits.log_lines_per_second,
            line_bytes: limits.max_log_line_bytes,
            state: Mutex::new(State { lines: VecDeque::new(), second_began: None, written_this_second: 0, dropped: 0 }),
        })
    }

    /// A log that keeps nothing and tells nobody: for a strategy that is not granted one.
    pub(crate) fn deaf(limits: &Limits) -> Arc<Self> {
        Self::new("", &Limits { log_lines_per_second: 0, ..limits.clone() })
    }

    /// Longest line in bytes.
    pub(crate) fn line_bytes(&self) -> usize {
        self.line_bytes
    }

    /// Writes one line.
    pub(crate) fn write(&self, level: LogLevel, text: &str) {
        self.write_at(Instant::now(), level, text);
    }

    fn write_at(&self, now: Instant, level: LogLevel, text: &str) {
        let text = cut(text, self.line_bytes);
        let dropped = {
            let mut state = self.state.lock();
            let is_new_second =
                state.second_began.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1));
            if is_new_second {
                state.second_began = Some(now);
                state.written_this_second = 0;
            }
            if state.written_this_second >= self.lines_per_second {
                state.dropped += 1;
                return;
            }
            state.written_this_second += 1;
            if state.lines.len() >= self.lines_kept {
                state.lines.pop_front();
            }
            state.lines.push_back(LogLine { level, text: text.to_owned() });
            std::mem::take(&mut state.dropped)
        };
        let plugin = self.plugin.as_str();
        if dropped > 0 {
            tracing::warn!(target: "perfhost::strategy", plugin, dropped, "log lines dropped: written too fast");
        }
        match level {
            LogLevel::Debug => tracing::debug!(target: "perfhost::strategy", plugin, "{text}"),
            LogLevel::Info => tracing::info!(target: "perfhost::strategy", plugin, "{text}"),
            LogLevel::Warn => tracing::warn!(target: "perfhost::strategy", plugin, "{text}"),
            LogLevel::Error => tracing::error!(target: "perfhost::strategy", plugin, "{text}"),
        }
    }

    /// The lines kept, oldest first.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.state.lock().lines.iter().cloned().collect()
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

impl contract::Host for Guest {
    fn write(&mut self, level: contract::Level, message: String) {
        let level = match level {
            contract::Level::Debug => LogLevel::Debug,
            contract::Level::Info => LogLevel::Info,
            contract::Level::Warn => LogLevel::Warn,
            contract::Level::Error => LogLevel::Error,
        };
        self.log.write(level, &message);
    }
}

/// Answers the interface.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    contract::add_to_linker::<_, wasmtime::component::HasSelf<_>>(linker, |guest| guest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_loses_lines_and_the_ring_keeps_the_newest() {
        let limits = Limits { log_lines: 2, log_lines_per_second: 3, max_log_line_bytes: 4, ..Limits::default() };
        let log = Log::new("flood.wasm", &limits);
        let start = Instant::now();
        for line in ["1", "2", "3", "4"] {
            log.write_at(start, LogLevel::Info, line);
        }
        let texts = |log: &Log| log.lines().into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(&log), ["2", "3"], "the fourth in one second is dropped");
        log.write_at(start + Duration::from_secs(1), LogLevel::Info, "fünf");
        assert_eq!(texts(&log), ["3", "fün"], "cut at a whole character");
    }
}
