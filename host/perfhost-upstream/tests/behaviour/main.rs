//! How the client behaves towards real sockets: reuse, streaming, cancelling, closing, TLS, health.

// The lint's exception for tests covers test functions only; here everything is one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod exchange;
mod health;
mod http2;
mod places;
mod pool;
mod server;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use perfhost_strategy::Settings;
use perfhost_strategy::settings::ProviderSettings;
use perfhost_upstream::{
    ApiKey, Client, Endpoint, Fleet, Provider, ProviderConfig, ProviderKind, UpstreamBody, UpstreamError, tls_config,
};

/// A client, and a provider behind an endpoint.
struct Rig {
    client: Client,
    fleet: Arc<Fleet>,
    provider: Arc<Provider>,
    settings: ProviderSettings,
}

impl Rig {
    fn new(url: &str) -> Self {
        Self::with_key(url, None)
    }

    fn with_key(url: &str, key: Option<&str>) -> Self {
        let fleet = Fleet::new();
        let provider = fleet.add(ProviderConfig {
            name: "local".to_owned(),
            kind: ProviderKind::OpenAiCompatible,
            endpoint: Endpoint::parse(url).expect("endpoint"),
            key: key.and_then(ApiKey::new),
            is_managed: false,
        });
        let client = Client::new(tls_config().expect("tls"));
        Self { client, fleet, provider, settings: Settings::default().provider("local") }
    }

    async fn send(&self, request: http::Request<Bytes>) -> Result<perfhost_upstream::Sent, UpstreamError> {
        self.client.send(&self.provider, &self.settings, request).await
    }

    /// Sends and reads to the end. Whether the connection was reused, and the body.
    async fn fetch(&self) -> Result<(bool, Vec<u8>), UpstreamError> {
        let sent = self.send(post("/v1/chat/completions", "{}")).await?;
        let mut body = sent.response.into_body();
        let mut whole = Vec::new();
        while let Some(chunk) = chunk(&mut body).await {
            whole.extend_from_slice(&chunk?);
        }
        Ok((sent.is_reused, whole))
    }

    fn idle(&self) -> usize {
        self.client.idle(&self.provider)
    }
}

fn post(path: &str, body: &'static str) -> http::Request<Bytes> {
    http::Request::post(path).body(Bytes::from_static(body.as_bytes())).expect("request")
}

async fn chunk(body: &mut UpstreamBody) -> Option<Result<Bytes, UpstreamError>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Waits for something that other tasks or threads bring about; gives up after ten seconds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
