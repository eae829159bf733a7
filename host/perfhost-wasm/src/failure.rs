//! Turns what wasmtime reports about a failed call into a [`StrategyError`].

use std::time::Duration;

use perfhost_strategy::StrategyError;
use thiserror::Error;
use wasmtime::{Trap, WasmBacktrace};

/// Frames of a guest's backtrace that a message carries.
const FRAMES: usize = 12;
/// wasmtime's type for this is private; its words are checked by a test with a guest that answers too much.
const TOO_MUCH_DATA: &str = "fuel allocated for hostcalls has been exhausted";

/// Reasons for which host functions end a guest's call.
#[derive(Debug, Error)]
pub(crate) enum HostRefusal {
    #[error("{0} is not granted to strategies")]
    NotGranted(String),
    #[error("the guest ended itself with exit status {0}")]
    Exit(u8),
    #[error("{0}")]
    Misuse(&'static str),
}

/// What is known about the call that failed.
pub(crate) struct Circumstances {
    pub(crate) call: &'static str,
    pub(crate) limit: Duration,
    /// Bytes of memory that the guest was refused during the call.
    pub(crate) refused_bytes: Option<u64>,
    pub(crate) memory_limit_bytes: u64,
    pub(crate) output_limit_bytes: u64,
}

/// The failure that `error` stands for.
pub(crate) fn classify(error: &wasmtime::Error, circumstances: &Circumstances) -> StrategyError {
    let call = circumstances.call;
    if let Some(refusal) = error.downcast_ref::<HostRefusal>() {
        return match refusal {
            HostRefusal::NotGranted(import) => StrategyError::NotGranted { call, import: import.clone() },
            HostRefusal::Exit(_) | HostRefusal::Misuse(_) => {
                StrategyError::Trap { call, message: format!("{refusal}{}", backtrace(error)) }
            }
        };
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::Interrupt) {
        let limit_ms = u64::try_from(circumstances.limit.as_millis()).unwrap_or(u64::MAX);
        return StrategyError::Timeout { call, limit_ms };
    }
    // A guest that is refused memory usually gives up with `unreachable`: the refusal is the cause worth naming.
    if let Some(asked_bytes) = circumstances.refused_bytes {
        return StrategyError::OutOfMemory { call, asked_bytes, limit_bytes: circumstances.memory_limit_bytes };
    }
    if let Some(trap) = trap {
        return StrategyError::Trap { call, message: format!("{trap}{}", backtrace(error)) };
    }
    let root = error.root_cause().to_string();
    if root.contains(TOO_MUCH_DATA) {
        let limit = circumstances.output_limit_bytes;
        return StrategyError::OutputTooLarge { call, what: "bytes (at least)", size: limit.saturating_add(1), limit };
    }
    StrategyError::InvalidAnswer { call, message: root }
}

/// Names of the guest's functions from the innermost outwards, as ` in a ← b ← c`; empty when there are none.
fn backtrace(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let names: Vec<String> = backtrace
        .frames()
        .iter()
        .take(FRAMES)
        .map(|frame| match frame.func_name() {
            Some(name) => demangle(name),
            None => format!("function {}", frame.func_index()),
        })
        .collect();
    match (names.is_empty(), backtrace.frames().len() > FRAMES) {
        (true, _) => String::new(),
        (false, true) => format!(" in {} ← …", names.join(" ← ")),
        (false, false) => format!(" in {}", names.join(" ← ")),
    }
}

/// Rust's symbol names without their hash; other languages' names as they are.
fn demangle(name: &str) -> String {
    let demangled = rustc_demangle::demangle(name);
    format!("{demangled:#}")
}
