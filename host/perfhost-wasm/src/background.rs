//! Where strategies are loaded while requests are served: on threads of their own, of low priority.
//!
//! Compiling keeps every core busy for up to seconds. At the workers' own priority a request would wait behind it for its
//! turn; like this it takes the time that requests leave.

use std::thread;

/// Guest code runs here too, and needs the stack that [`crate::Limits::stack_bytes`] allows, and some to spare.
const STACK_BYTES: usize = 8 << 20;

/// Nice enough to get out of the way: a tenth of what a worker gets where both want the same core. At 19 it would be a
/// seventieth, and a Python guest could take an hour to compile on a machine that requests keep busy.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work`, and what it spreads over several threads, at a low priority, and waits for it.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(thread::available_parallelism().map_or(1, usize::from))
        .stack_size(STACK_BYTES)
        .thread_name(|number| format!("perfhost-load-{number}"))
        .start_handler(|_| lower_priority())
        .build();
    match threads {
        Ok(threads) => threads.install(work),
        Err(error) => {
            tracing::warn!(%error, "no threads for loading; it is done at the usual priority");
            work()
        }
    }
}

/// On Linux a priority is each thread's own; elsewhere it is the process's, and is left alone.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the priority of a loading thread stays as it is");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rayon::prelude::*;
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn work_and_what_it_spreads_runs_at_a_low_priority_and_the_caller_keeps_its_own() {
        let before = getpriority_process(None).unwrap();
        let inside: Vec<i32> = run(|| (0..64).into_par_iter().map(|_| getpriority_process(None).unwrap()).collect());
        assert_eq!(inside, [NICENESS; 64]);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
