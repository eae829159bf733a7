//! The thread that makes planning instances in the place of those that are due or failed, so that no request does.
//!
//! It runs at the usual priority: it is asleep but for some tens of microseconds (a Python guest: a millisecond) in
//! thousands of plans, and at a low one a busy machine would keep it from its work until instances run out.

use std::sync::Weak;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::strategy::WasmStrategy;

/// Stack besides what guest code may use: for the calls that lead to it.
const OWN_STACK_BYTES: usize = 1 << 20;

/// Handle of the thread; it ends when this is dropped. Each strategy asks once and then not again before its turn, so
/// there are never more requests waiting than strategies.
pub(crate) struct Keeper {
    requests: Sender<Weak<WasmStrategy>>,
}

impl Keeper {
    pub(crate) fn start(stack_bytes: usize) -> std::io::Result<Self> {
        let (requests, received) = mpsc::channel();
        thread::Builder::new()
            .name("perfhost-keeper".to_owned())
            .stack_size(stack_bytes + OWN_STACK_BYTES)
            .spawn(move || run(&received))?;
        Ok(Self { requests })
    }

    /// Asks for a strategy's pool to be looked after.
    pub(crate) fn ask(&self, strategy: Weak<WasmStrategy>) {
        // Fails only without the thread, which lives as long as this.
        let _ = self.requests.send(strategy);
    }
}

fn run(requests: &Receiver<Weak<WasmStrategy>>) {
    for strategy in requests {
        if let Some(strategy) = strategy.upgrade() {
            strategy.look_after_pool();
        }
    }
}
