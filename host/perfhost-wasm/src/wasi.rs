//! WASI 0.2 with nothing granted: what the run-time libraries of Python, JavaScript and Rust need to start, and traps for
//! the rest.
//!
//! No files, arguments, environment, network or clock: time and randomness come from the last observation, standard
//! output goes to the strategy's log. Every function that is not answered here traps, and the trap names it. The imports
//! of a component are looked up by interface without regard to the patch version, so any 0.2.x is served.

mod clocks;
mod random;
mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};

use crate::failure::HostRefusal;
use crate::guest::Guest;
use crate::host::log::Log;

/// WASI packages that are answered; others are refused when a strategy is loaded.
pub(crate) const PACKAGES: &[&str] =
    &["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:random", "wasi:sockets"];

/// Time and seed as one strategy's last observation gave them.
#[derive(Debug, Default)]
pub(crate) struct Given {
    now_ms: AtomicU64,
    seed: AtomicU64,
}

impl Given {
    pub(crate) fn set(&self, now_ms: u64, seed: u64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
        self.seed.store(seed, Ordering::Relaxed);
    }
}

/// One instance's WASI state.
pub(crate) struct Wasi {
    given: Arc<Given>,
    clock: clocks::Clock,
    random: random::Random,
    output: streams::Output,
    error: streams::Output,
}

impl Wasi {
    pub(crate) fn new(given: Arc<Given>) -> Self {
        let random = random::Random::new(given.seed.load(Ordering::Relaxed));
        Self {
            given,
            clock: clocks::Clock::default(),
            random,
            output: streams::Output::default(),
            error: streams::Output::default(),
        }
    }

    /// Starts the random numbers afresh from the seed of the present observation.
    pub(crate) fn reseed(&mut self) {
        self.random = random::Random::new(self.given.seed.load(Ordering::Relaxed));
    }

    /// Writes what is left of lines without an end, after a call.
    pub(crate) fn flush(&mut self, log: &Log) {
        self.output.flush(log, streams::OUTPUT_LEVEL);
        self.error.flush(log, streams::ERROR_LEVEL);
    }
}

struct Descriptor;
struct TerminalInput;
struct TerminalOutput;

/// Answers one imported instance, whose type is `instance`.
pub(crate) fn link(
    linker: &mut Linker<Guest>,
    engine: &wasmtime::Engine,
    import: &str,
    instance: &ComponentInstance,
) -> wasmtime::Result<()> {
    let interface = import.split('@').next().unwrap_or(import);
    let mut into = linker.instance(import)?;
    for (at, (name, item)) in instance.exports(engine).enumerate() {
        match item.ty {
            ComponentItem::Resource(_) => into.resource(name, resource_type(name), |_, _| Ok(()))?,
            ComponentItem::ComponentFunc(_) => {
                if !is_answered(&mut into, interface, name)? {
                    refuse(&mut into, format!("{import}#{name}"), name)?;
                }
            }
            ComponentItem::Type(_) => {}
            _ => wasmtime::bail!("import {import} has an item {name} (number {at}) that is neither function nor type"),
        }
    }
    Ok(())
}

/// Resources are told apart by name: WASI's names are unique, and interfaces that share one refer to the same.
fn resource_type(name: &str) -> ResourceType {
    match name {
        "pollable" => ResourceType::host::<clocks::Pollable>(),
        "error" => ResourceType::host::<streams::IoError>(),
        "input-stream" => ResourceType::host::<streams::InputStream>(),
        "output-stream" => ResourceType::host::<streams::OutputStream>(),
        "terminal-input" => ResourceType::host::<TerminalInput>(),
        "terminal-output" => ResourceType::host::<TerminalOutput>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        // `wasi:http/types` has two more names for its fields.
        "headers" | "trailers" => resource_type("fields"),
        other => {
            let hash =
                other.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
            ResourceType::host_dynamic(hash)
        }
    }
}

fn refuse(into: &mut LinkerInstance<'_, Guest>, import: String, name: &str) -> wasmtime::Result<()> {
    into.func_new(name, move |_, _, _, _| Err(HostRefusal::NotGranted(import.clone()).into()))
}

/// Defines `name` of `interface` when it is one of those that are answered.
fn is_answered(into: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("wasi:cli/environment", "get-environment") => {
            into.func_wrap(name, |_, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
        }
        ("wasi:cli/environment", "get-arguments") => into.func_wrap(name, |_, (): ()| Ok((Vec::<String>::new(),)))?,
        ("wasi:cli/environment", "initial-cwd") => into.func_wrap(name, |_, (): ()| Ok((None::<String>,)))?,
        ("wasi:cli/exit", "exit") => {
            into.func_wrap(name, |_, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
                Err(HostRefusal::Exit(u8::from(status.is_err())).into())
            })?
        }
        ("wasi:cli/exit", "exit-with-code") => into
            .func_wrap(name, |_, (status,): (u8,)| -> wasmtime::Result<()> { Err(HostRefusal::Exit(status).into()) })?,
        ("wasi:cli/terminal-stdin", "get-terminal-stdin") => {
            into.func_wrap(name, |_, (): ()| Ok((None::<Resource<TerminalInput>>,)))?;
        }
        ("wasi:cli/terminal-stdout", "get-terminal-stdout") | ("wasi:cli/terminal-stderr", "get-terminal-stderr") => {
            into.func_wrap(name, |_, (): ()| Ok((None::<Resource<TerminalOutput>>,)))?;
        }
        ("wasi:filesystem/preopens", "get-directories") => {
            into.func_wrap(name, |_, (): ()| Ok((Vec::<(Resource<Descriptor>, String)>::new(),)))?;
        }
        ("wasi:cli/stdin" | "wasi:cli/stdout" | "wasi:cli/stderr" | "wasi:io/streams" | "wasi:io/error", _) => {
            return streams::is_answered(into, interface, name);
        }
        ("wasi:io/poll" | "wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock", _) => {
            return clocks::is_answered(into, interface, name);
        }
        ("wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed", _) => {
            return random::is_answered(into, interface, name);
        }
        _ => return Ok(false),
    }
    Ok(true)
}
