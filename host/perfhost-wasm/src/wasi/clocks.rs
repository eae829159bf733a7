//! `wasi:clocks` and `wasi:io/poll`: both clocks stand at the observation's `now_ms`. Waiting moves the instance's own
//! monotonic clock forward to the moment waited for, and takes no time.

use std::sync::atomic::Ordering;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource};

use crate::failure::HostRefusal;
use crate::guest::Guest;
use crate::wasi::Wasi;

/// Something to wait for. Its representation is the number of an entry in [`Clock::waits`], or 0 for what is ready.
pub(super) struct Pollable;

/// Timers that one instance may have made since it started; they are small and instances are replaced.
const MAX_WAITS: usize = 4_096;

#[derive(Default)]
pub(super) struct Clock {
    /// Nanoseconds that waiting has added.
    waited_ns: u64,
    /// Last answer: the clock never goes back.
    latest_ns: u64,
    /// Moments waited for, in monotonic nanoseconds.
    waits: Vec<u64>,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

impl Wasi {
    fn now_ms(&self) -> u64 {
        self.given.now_ms.load(Ordering::Relaxed)
    }

    fn monotonic_ns(&mut self) -> u64 {
        let now = self.now_ms().saturating_mul(1_000_000).saturating_add(self.clock.waited_ns);
        self.clock.latest_ns = self.clock.latest_ns.max(now);
        self.clock.latest_ns
    }

    fn wait_for(&mut self, moment_ns: u64) -> wasmtime::Result<Resource<Pollable>> {
        if self.clock.waits.len() >= MAX_WAITS {
            return Err(HostRefusal::Misuse("made more than 4,096 timers").into());
        }
        self.clock.waits.push(moment_ns);
        Ok(Resource::new_own(self.clock.waits.len() as u32))
    }

    fn moment_of(&self, pollable: &Resource<Pollable>) -> u64 {
        (pollable.rep() as usize).checked_sub(1).and_then(|at| self.clock.waits.get(at)).copied().unwrap_or(0)
    }

    fn advance_to(&mut self, moment_ns: u64) {
        let now = self.monotonic_ns();
        self.clock.waited_ns = self.clock.waited_ns.saturating_add(moment_ns.saturating_sub(now));
    }
}

/// A pollable that is ready.
pub(super) fn ready() -> Resource<Pollable> {
    Resource::new_own(0)
}

pub(super) fn is_answered(into: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<bool> {
    type Store<'a> = StoreContextMut<'a, Guest>;
    match (interface, name) {
        ("wasi:clocks/monotonic-clock", "now") => {
            into.func_wrap(name, |mut store: Store<'_>, (): ()| Ok((store.data_mut().wasi.monotonic_ns(),)))?;
        }
        ("wasi:clocks/monotonic-clock", "resolution") => into.func_wrap(name, |_, (): ()| Ok((1_000_000_u64,)))?,
        ("wasi:clocks/monotonic-clock", "subscribe-instant") => {
            into.func_wrap(name, |mut store: Store<'_>, (moment,): (u64,)| {
                Ok((store.data_mut().wasi.wait_for(moment)?,))
            })?;
        }
        ("wasi:clocks/monotonic-clock", "subscribe-duration") => {
            into.func_wrap(name, |mut store: Store<'_>, (duration,): (u64,)| {
                let wasi = &mut store.data_mut().wasi;
                let moment = wasi.monotonic_ns().saturating_add(duration);
                Ok((wasi.wait_for(moment)?,))
            })?;
        }
        ("wasi:clocks/wall-clock", "now") => into.func_wrap(name, |store: Store<'_>, (): ()| {
            let now_ms = store.data().wasi.now_ms();
            Ok((Datetime { seconds: now_ms / 1_000, nanoseconds: (now_ms % 1_000) as u32 * 1_000_000 },))
        })?,
        ("wasi:clocks/wall-clock", "resolution") => {
            into.func_wrap(name, |_, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1_000_000 },)))?;
        }
        ("wasi:io/poll", "[method]pollable.ready") => {
            into.func_wrap(name, |mut store: Store<'_>, (pollable,): (Resource<Pollable>,)| {
                let wasi = &mut store.data_mut().wasi;
                Ok((wasi.moment_of(&pollable) <= wasi.monotonic_ns(),))
            })?;
        }
        ("wasi:io/poll", "[method]pollable.block") => {
            into.func_wrap(name, |mut store: Store<'_>, (pollable,): (Resource<Pollable>,)| {
                let wasi = &mut store.data_mut().wasi;
                let moment = wasi.moment_of(&pollable);
                wasi.advance_to(moment);
                Ok(())
            })?;
        }
        ("wasi:io/poll", "poll") => {
            into.func_wrap(name, |mut store: Store<'_>, (pollables,): (Vec<Resource<Pollable>>,)| {
                let wasi = &mut store.data_mut().wasi;
                let Some(first) = pollables.iter().map(|pollable| wasi.moment_of(pollable)).min() else {
                    return Err(HostRefusal::Misuse("polled an empty list").into());
                };
                wasi.advance_to(first);
                let now = wasi.monotonic_ns();
                let is_ready = |at: &u32| wasi.moment_of(&pollables[*at as usize]) <= now;
                Ok(((0..pollables.len() as u32).filter(is_ready).collect::<Vec<u32>>(),))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
