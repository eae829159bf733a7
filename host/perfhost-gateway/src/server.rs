//! The listener, the worker threads, and how they stop.
//!
//! The calling thread accepts and hands each connection to the worker with the fewest; a connection stays with its
//! worker. Each worker is a thread with a runtime of its own, so nothing on the path of a request crosses threads.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};

use crate::api::CLOSING;
use crate::connection::{Connections, SWEEP_EVERY};
use crate::feed::{Feed, feed};
use crate::services::Services;
use crate::shutdown::{Shutdown, Stage};
use crate::worker::Worker;

/// How often new settings are looked for on behalf of requests that wait and answers that are kept.
const SETTINGS_EVERY: Duration = Duration::from_millis(250);

/// Pause after a failed accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` says so, then returns once all connections have ended or were cut off (at
/// [`Stage::Stopped`], or [`crate::Limits::drain`] after draining began). Blocks the calling thread.
///
/// # Errors
/// When the listener cannot be used, a thread or runtime cannot be made, or a worker thread died.
pub fn run(listener: TcpListener, services: Arc<Services>, workers: usize, shutdown: Shutdown) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let acceptor = runtime()?;
    let (publisher, feed) = feed(services.clone());
    let mut crew = Vec::new();
    let workers = workers.max(1);
    for number in 0..workers {
        crew.push(Hand::hire(number, workers, services.clone(), feed.clone(), shutdown.clone())?);
    }
    acceptor.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::join!(accept(listener, &services, &crew, shutdown.clone()), publisher.run(shutdown));
        io::Result::Ok(())
    })?;
    // The listener is closed; dropping the senders tells workers that no more connections come.
    let threads: Vec<_> = crew.into_iter().map(|hand| hand.thread).collect();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a worker thread panicked"))?;
    }
    Ok(())
}

/// A connection on its way to a worker, with its place among all connections.
struct Accepted {
    stream: std::net::TcpStream,
    place: OwnedSemaphorePermit,
}

/// The acceptor's view of one worker.
struct Hand {
    connections: mpsc::UnboundedSender<Accepted>,
    open: Arc<AtomicUsize>,
    thread: thread::JoinHandle<()>,
}

impl Hand {
    fn hire(
        number: usize,
        workers: usize,
        services: Arc<Services>,
        feed: Feed,
        shutdown: Shutdown,
    ) -> io::Result<Self> {
        // Bounded by the places among all connections.
        let (connections, arriving) = mpsc::unbounded_channel();
        let open = Arc::new(AtomicUsize::new(0));
        let runtime = runtime()?;
        let counter = open.clone();
        let thread = thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            let local = LocalSet::new();
            local.block_on(
                &runtime,
                work(Worker::new(services, workers, feed, shutdown.clone()), arriving, counter, shutdown),
            );
        })?;
        Ok(Self { connections, open, thread })
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn accept(listener: tokio::net::TcpListener, services: &Services, crew: &[Hand], mut shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(services.limits.connections));
    let mut settings_check = tokio::time::interval(SETTINGS_EVERY);
    let mut settings_version = 0;
    let mut turn = 0;
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = shutdown.reached(Stage::Draining) => return,
            _ = settings_check.tick() => {
                follow_settings(services, &mut settings_version);
                continue;
            }
            next = next => next,
        };
        let stream = accepted.and_then(|(stream, _)| stream.into_std());
        let (Ok(stream), Ok(place)) = (stream.inspect_err(|error| tracing::warn!(%error, "accept failed")), place)
        else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        turn += 1;
        // Fewest connections first; among equals, in turn.
        let chosen = (0..crew.len())
            .map(|offset| &crew[(turn + offset) % crew.len()])
            .min_by_key(|hand| hand.open.load(Ordering::Relaxed));
        if let Some(hand) = chosen {
            hand.open.fetch_add(1, Ordering::Relaxed);
            if hand.connections.send(Accepted { stream, place }).is_err() {
                // Its thread is gone; never choose it again. `run` reports it at the end.
                tracing::error!("a worker thread is gone; a connection was closed");
                hand.open.store(usize::MAX / 2, Ordering::Relaxed);
            }
        }
    }
}

/// Requests look at the settings themselves; this is for those that wait and for the cache.
fn follow_settings(services: &Services, version: &mut u64) {
    let now = services.settings.version();
    if now != *version {
        *version = now;
        let settings = services.settings.load();
        services.admission.apply(&settings);
        services.cache.set_capacity(settings.cache_capacity_bytes);
    }
}

async fn work(
    worker: Worker,
    mut arriving: mpsc::UnboundedReceiver<Accepted>,
    open: Arc<AtomicUsize>,
    mut shutdown: Shutdown,
) {
    let worker = Rc::new(worker);
    let connections = Rc::new(Connections::default());
    let mut tasks = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            accepted = arriving.recv() => {
                let Some(Accepted { stream, place }) = accepted else { break };
                let (worker, connections, open) = (worker.clone(), connections.clone(), open.clone());
                tasks.spawn_local(async move {
                    match tokio::net::TcpStream::from_std(stream) {
                        Ok(stream) => connections.serve(stream, |request, busy| Box::pin(worker.clone().handle(request, busy))).await,
                        Err(error) => tracing::warn!(%error, "a client connection could not be registered"),
                    }
                    open.fetch_sub(1, Ordering::Relaxed);
                    drop(place);
                });
            }
            Some(_) = tasks.join_next() => {}
            _ = sweep.tick() => {
                connections.sweep(worker.services().limits.idle);
                worker.trim();
            }
            () = shutdown.reached(Stage::Draining) => break,
        }
    }
    connections.drain();
    let drained = async {
        while tasks.join_next().await.is_some() {}
        worker.finish_background().await;
    };
    // Those who only watch have been told that it is over; one that does not read it must not hold up the end.
    let watched = async {
        tokio::time::sleep(CLOSING).await;
        connections.cut_watchers();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = drained => {}
        () = watched => {}
        () = shutdown.reached(Stage::Stopped) => {}
        () = tokio::time::sleep(worker.services().limits.drain) => tracing::warn!("answers still under way were cut off"),
    }
    worker.stop();
    tasks.shutdown().await;
}
