//! One channel's thread: a bounded queue, attempts with growing waits in between, and a count of what came of them.
//!
//! Whoever posts never waits: what does not fit in the queue is dropped, counted and logged.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use perfhost_strategy::alert::{Listener, Occasion};
use serde::Serialize;
use tracing::{debug, warn};

use super::channel::{self, Board, Channel, DeliveryError, kind_name};
use super::wording::Notice;
use crate::config::alerts::ChannelConfig;
use crate::service::now_ms;

/// Notices that wait for one channel at most.
const QUEUE: usize = 64;
/// Attempts at one notice: with the waits between them, about four minutes.
const MOST_ATTEMPTS: u32 = 9;
/// Wait after the first failed attempt; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a channel is handed.
enum Post {
    Notice(Box<Notice>),
    Board(Arc<Board>),
}

/// How a channel does.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Deliveries {
    /// Notices that arrived.
    pub delivered: u64,
    /// Notices that were given up.
    pub failed: u64,
    /// Attempts that were repeated.
    pub retried: u64,
    /// Notices that did not fit in the queue.
    pub dropped: u64,
    /// Why the last attempt failed, and nothing arrived since.
    pub last_error: Option<String>,
    /// When something last arrived, Unix time in milliseconds.
    pub last_delivered_ms: Option<u64>,
}

/// One channel with its thread.
pub(super) struct Postman {
    config: ChannelConfig,
    sender: SyncSender<Post>,
    /// Dropped to end the waits between attempts.
    ending: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    counts: Arc<Mutex<Deliveries>>,
}

impl Postman {
    /// Starts the channel's thread; the channel itself connects there.
    pub(super) fn start(config: ChannelConfig, host: &str) -> Self {
        let (sender, receiver) = sync_channel(QUEUE);
        let (ending, is_ending) = sync_channel(0);
        let counts = Arc::new(Mutex::new(Deliveries::default()));
        let round = Round { receiver, is_ending, counts: counts.clone(), name: config.name.clone() };
        let (named, host) = (config.clone(), host.to_owned());
        let thread = std::thread::Builder::new()
            .name(format!("perfhost-alert-{}", config.name))
            .spawn(move || round.run(&named, &host))
            .map_err(|error| warn!(channel = config.name, %error, "the channel has no thread; it says nothing"))
            .ok();
        Self { config, sender, ending: Some(ending), thread, counts }
    }

    /// What it was made of.
    pub(super) fn config(&self) -> &ChannelConfig {
        &self.config
    }

    /// As the alerts know it.
    pub(super) fn listener(config: &ChannelConfig) -> Listener {
        Listener { name: config.name.clone(), least: config.least }
    }

    /// Posts a notice, if this channel is meant.
    pub(super) fn post(&self, notice: &Notice) {
        if notice.announcement.channels.contains(&self.config.name) {
            self.push(Post::Notice(Box::new(notice.clone())));
        }
    }

    /// Posts which rules fire.
    pub(super) fn show(&self, board: &Arc<Board>) {
        self.push(Post::Board(board.clone()));
    }

    fn push(&self, post: Post) {
        let is_notice = matches!(post, Post::Notice(_));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.sender.try_send(post)
            && is_notice
        {
            self.counts.lock().dropped += 1;
            warn!(channel = self.config.name, "the channel is behind; an alert was not told there");
        }
    }

    /// How it does, for the API.
    pub(super) fn describe(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.config.name, "kind": kind_name(&self.config.kind), "severity": self.config.least,
            "deliveries": *self.counts.lock(),
        })
    }
}

impl Drop for Postman {
    /// What is queued has one more attempt each; nobody waits for further ones.
    fn drop(&mut self) {
        self.ending = None;
        let (closed, _) = sync_channel(0);
        self.sender = closed;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// The thread's own things.
struct Round {
    receiver: Receiver<Post>,
    is_ending: Receiver<()>,
    counts: Arc<Mutex<Deliveries>>,
    name: String,
}

impl Round {
    fn run(self, config: &ChannelConfig, host: &str) {
        let mut channel = match channel::open(config, host) {
            Ok(channel) => channel,
            Err(error) => {
                warn!(channel = self.name, %error, "the channel cannot be used");
                self.counts.lock().last_error = Some(error.to_string());
                return;
            }
        };
        while let Ok(post) = self.receiver.recv() {
            match post {
                Post::Notice(notice) => {
                    if !self.deliver(channel.as_mut(), &notice) && self.is_over_within(Duration::ZERO) {
                        // A receiver that is away must not hold up the host's end once for each notice.
                        return;
                    }
                }
                Post::Board(board) => channel.show(&board),
            }
        }
    }

    /// Whether it arrived.
    fn deliver(&self, channel: &mut dyn Channel, notice: &Notice) -> bool {
        let mut wait = FIRST_WAIT;
        for attempt in 1..=MOST_ATTEMPTS {
            let error = match channel.send(notice) {
                Ok(()) => {
                    let mut counts = self.counts.lock();
                    counts.delivered += 1;
                    (counts.last_error, counts.last_delivered_ms) = (None, Some(now_ms()));
                    return true;
                }
                Err(error) => error,
            };
            self.counts.lock().last_error = Some(error.to_string());
            let is_last = attempt == MOST_ATTEMPTS || matches!(error, DeliveryError::Permanent(_));
            if is_last || self.is_over_within(wait) {
                let occasion: Occasion = notice.announcement.occasion;
                self.counts.lock().failed += 1;
                warn!(channel = self.name, attempt, %error, occasion = occasion.name(), "an alert could not be told");
                return false;
            }
            debug!(channel = self.name, attempt, %error, "telling an alert failed; trying again");
            self.counts.lock().retried += 1;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        false
    }

    /// Waits, unless the host ends.
    fn is_over_within(&self, wait: Duration) -> bool {
        !matches!(self.is_ending.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
    }
}
