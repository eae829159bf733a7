//! The live feed: one publisher, many readers. Once a second, while anybody reads, it says how the host stands; every
//! reader gets the same bytes. Owns the text of an event and what happens to readers that fall behind; how an event
//! reaches a client is `api::stream`'s and `api::websocket`'s business.
//!
//! Nothing here waits for a reader: events lie in one ring that all readers share, the oldest gives way to the newest,
//! and a reader that missed some is told how many.

use std::sync::Arc;
use std::time::Duration;

use perfhost_telemetry::DecisionQuery;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::MissedTickBehavior;

use crate::api;
use crate::caching::now_ms;
use crate::services::Services;
use crate::shutdown::{Shutdown, Stage};

/// Readers at once; further ones are refused.
pub(crate) const MOST_READERS: usize = 256;

/// Events that wait for the slowest reader.
const MOST_WAITING: usize = 8;

/// Time between two events, and the window of the measurements in them: that of `/api/metrics/current`.
const EVERY: Duration = Duration::from_secs(1);
const WINDOW: (&str, Duration) = ("60s", Duration::from_secs(60));

/// Where readers come in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Feed {
    source: broadcast::WeakSender<Arc<str>>,
    places: Arc<Semaphore>,
}

/// The one that writes. When it goes, every reader is told that the feed is over.
pub(crate) struct Publisher {
    sender: broadcast::Sender<Arc<str>>,
    services: Arc<Services>,
    sequence: u64,
}

/// One reader's place in the feed.
pub(crate) struct Reader {
    events: broadcast::Receiver<Arc<str>>,
    _place: OwnedSemaphorePermit,
}

/// What a reader is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// How the host stands; a JSON object.
    Metrics(Arc<str>),
    /// So many events came while it was busy, and are gone.
    Dropped(u64),
    /// The host shuts down.
    End,
}

/// Both ends.
pub(crate) fn feed(services: Arc<Services>) -> (Publisher, Feed) {
    let (sender, _) = broadcast::channel(MOST_WAITING);
    let feed = Feed { source: sender.downgrade(), places: Arc::new(Semaphore::new(MOST_READERS)) };
    (Publisher { sender, services, sequence: 0 }, feed)
}

impl Feed {
    /// A place for one more reader, who sees what is published from now on; `None` when all are taken or the feed is over.
    pub(crate) fn subscribe(&self) -> Option<Reader> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some(Reader { events: self.source.upgrade()?.subscribe(), _place: place })
    }
}

impl Reader {
    /// The next thing to tell. Nothing is lost when this is dropped half way.
    pub(crate) async fn next(&mut self) -> Told {
        match self.events.recv().await {
            Ok(event) => Told::Metrics(event),
            Err(RecvError::Lagged(missed)) => Told::Dropped(missed),
            Err(RecvError::Closed) => Told::End,
        }
    }
}

impl Told {
    /// The name of the event.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Told::Metrics(_) => "metrics",
            Told::Dropped(_) => "dropped",
            Told::End => "end",
        }
    }

    /// What it says, as one line of JSON that holds its name as well.
    pub(crate) fn text(&self) -> Arc<str> {
        match self {
            Told::Metrics(text) => text.clone(),
            Told::Dropped(missed) => json!({ "event": self.name(), "missed": missed }).to_string().into(),
            Told::End => json!({ "event": self.name(), "reason": "the host shuts down" }).to_string().into(),
        }
    }
}

impl Publisher {
    /// Publishes until draining begins. While nobody reads, nothing is gathered.
    pub(crate) async fn run(mut self, mut shutdown: Shutdown) {
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.reached(Stage::Draining) => return,
                _ = clock.tick() => {}
            }
            if self.sender.receiver_count() == 0 {
                continue;
            }
            self.sequence += 1;
            let (services, sequence) = (self.services.clone(), self.sequence);
            match tokio::task::spawn_blocking(move || gather(&services, sequence).to_string()).await {
                // An error means that the last reader has just left.
                Ok(event) => drop(self.sender.send(event.into())),
                Err(error) => tracing::warn!(%error, "an event of the live feed could not be gathered"),
            }
        }
    }
}

/// How the host stands: measurements of the host and of each provider, and what the API says of the present. Models are
/// left out, so that an event stays small however many there are; `/api/metrics/current` has them.
fn gather(services: &Services, sequence: u64) -> Value {
    let metrics: Vec<_> =
        services.telemetry.window(WINDOW.1).into_iter().filter(|metric| !metric.scope.as_str().contains('/')).collect();
    let outcomes = services.telemetry.outcomes();
    let newest = services.store.decisions(&DecisionQuery { limit: 1, ..DecisionQuery::default() });
    json!({
        "event": "metrics",
        "sequence": sequence,
        "at_ms": now_ms(),
        "window": WINDOW.0,
        "metrics": metrics,
        "outcomes": outcomes.iter().map(|(outcome, count)| json!({ "outcome": outcome.cause(), "count": count })).collect::<Vec<_>>(),
        "status": api::status(services),
        "resources": services.control.resources(),
        "newest_decision": newest.ok().and_then(|found| found.first().map(|decision| decision.id)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> (broadcast::Sender<Arc<str>>, Feed) {
        let (sender, _) = broadcast::channel(MOST_WAITING);
        let feed = Feed { source: sender.downgrade(), places: Arc::new(Semaphore::new(2)) };
        (sender, feed)
    }

    #[tokio::test]
    async fn a_reader_that_falls_behind_is_told_how_much_it_missed_and_goes_on_with_the_newest() {
        let (sender, feed) = channel();
        let (mut slow, mut quick) = (feed.subscribe().unwrap(), feed.subscribe().unwrap());
        let sent = MOST_WAITING as u64 + 3;
        for number in 0..sent {
            sender.send(number.to_string().into()).unwrap();
            assert_eq!(quick.next().await, Told::Metrics(number.to_string().into()));
        }
        assert_eq!(slow.next().await, Told::Dropped(3));
        for number in 3..sent {
            assert_eq!(slow.next().await, Told::Metrics(number.to_string().into()));
        }
        drop(sender);
        assert_eq!((slow.next().await, quick.next().await), (Told::End, Told::End));
    }

    #[tokio::test]
    async fn places_are_limited_and_given_back() {
        let (sender, feed) = channel();
        let first = feed.subscribe().unwrap();
        let _second = feed.subscribe().unwrap();
        assert!(feed.subscribe().is_none());
        drop(first);
        assert!(feed.subscribe().is_some());
        drop(sender);
        assert!(feed.subscribe().is_none(), "the feed is over");
    }
}
