//! The watch over providers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use perfhost_upstream::{ApiKey, Endpoint, Fleet, Health, Provider, ProviderConfig, ProviderKind, health, tls_config};
use tokio::sync::oneshot;

use crate::server::Server;
use crate::until;

/// Short, so that tests are quick; nothing depends on how short.
const INTERVAL: Duration = Duration::from_millis(20);

struct Watched {
    server: Server,
    fleet: Arc<Fleet>,
    provider: Arc<Provider>,
    is_failing: Arc<AtomicBool>,
    stop: oneshot::Sender<()>,
    watch: tokio::task::JoinHandle<()>,
}

impl Watched {
    /// A server that lists the model `m`, or fails when told to, and a watch over it.
    async fn start(kind: ProviderKind, is_managed: bool) -> Self {
        let is_failing = Arc::new(AtomicBool::new(false));
        let server = Server::start({
            let is_failing = is_failing.clone();
            move |mut accepted| {
                let is_failing = is_failing.clone();
                async move {
                    accepted.request().await;
                    if is_failing.load(Ordering::SeqCst) {
                        accepted.write("HTTP/1.1 503 Loading\r\ncontent-length: 0\r\n\r\n").await;
                    } else {
                        accepted.answer(r#"{"data":[{"id":"m"}]}"#).await;
                    }
                    accepted.closed().await;
                }
            }
        })
        .await;
        let fleet = Fleet::new();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let watch = tokio::spawn(health::watch(fleet.clone(), tls_config().expect("tls"), INTERVAL, shutdown));
        let provider = fleet.add(ProviderConfig {
            name: "local".to_owned(),
            kind,
            endpoint: Endpoint::parse(&server.url).expect("endpoint"),
            key: ApiKey::new("secret"),
            is_managed,
        });
        Self { server, fleet, provider, is_failing, stop, watch }
    }
}

#[tokio::test]
async fn models_are_listed_and_health_follows_the_probes() {
    let watched = Watched::start(ProviderKind::Vllm, false).await;
    until("models are known", || *watched.provider.models() == ["m"]).await;
    assert_eq!(watched.fleet.view().load().names.models, ["", "m"]);
    let seen = watched.server.seen().remove(0);
    assert!(seen.head.starts_with("GET /v1/models HTTP/1.1"), "{}", seen.head);
    assert_eq!(seen.header("authorization"), Some("Bearer secret"));

    watched.is_failing.store(true, Ordering::SeqCst);
    until("it is down", || watched.provider.health() == Health::Down).await;
    watched.is_failing.store(false, Ordering::SeqCst);
    until("it is up again", || watched.provider.health() == Health::Up).await;

    watched.stop.send(()).expect("running");
    watched.watch.await.expect("the watch ends");
}

#[tokio::test]
async fn llama_cpp_is_asked_for_its_health() {
    let watched = Watched::start(ProviderKind::LlamaCpp, false).await;
    until("models are known", || *watched.provider.models() == ["m"]).await;
    assert!(watched.server.seen()[0].head.starts_with("GET /health HTTP/1.1"));
}

#[tokio::test]
async fn a_managed_engine_is_probed_and_its_models_are_left_alone() {
    let watched = Watched::start(ProviderKind::LlamaCpp, true).await;
    watched.provider.set_models(vec!["own".to_owned()]);
    watched.provider.set_health(Health::Down);
    until("it is up", || watched.provider.health() == Health::Up).await;
    assert_eq!(*watched.provider.models(), ["own"]);
    assert!(watched.server.seen().iter().all(|seen| seen.head.starts_with("GET /health ")));
}
