//! Keys, tokens and browsers, on the wire.

use http::Method;
use perfhost_gateway::AccessPolicy;

use crate::support::{FakeProvider, Host, chat_answer};

const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn with_a_key_the_models_need_it_and_it_stays_here() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let access = AccessPolicy { api_key: Some("sesame".to_owned()), ..AccessPolicy::default() };
    let host = Host::before(provider.address).access(access).start();
    let client = host.client();
    for headers in [&[][..], &[("authorization", "Bearer wrong")]] {
        let answer = client.send(Method::POST, CHAT, headers, ASK).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "invalid_api_key"));
        assert_eq!(client.send(Method::GET, "/v1/models", headers, "").await.status, 401);
    }
    assert_eq!(provider.calls(), 0);
    let right = [("authorization", "Bearer sesame"), ("host", "anything.example")];
    assert_eq!(client.send(Method::POST, CHAT, &right, ASK).await.status, 200);
    assert!(!provider.head(0).contains("sesame"), "the key was sent upstream");
    // The host's own API has no token here, and asks for a loopback name instead.
    assert_eq!(client.get("/api/knobs").await.status, 200);
}

#[tokio::test]
async fn with_a_token_the_hosts_api_needs_it() {
    let access = AccessPolicy { admin_token: Some("sesame".to_owned()), ..AccessPolicy::default() };
    let host = Host::empty().access(access).start();
    for path in ["/api/knobs", "/metrics", "/api/nothing"] {
        assert_eq!(host.client().get(path).await.status, 401, "{path}");
    }
    assert_eq!(host.client().get("/health").await.status, 200);
    let right = [("authorization", "Bearer sesame")];
    assert_eq!(host.client().send(Method::GET, "/api/knobs", &right, "").await.status, 200);
}

#[tokio::test]
async fn names_that_only_resolve_to_this_machine_are_refused() {
    let host = Host::empty().start();
    let foreign = [("host", "evil.example:8900")];
    for (method, path) in [(Method::GET, "/api/knobs"), (Method::GET, "/v1/models"), (Method::POST, CHAT)] {
        assert_eq!(host.client().send(method, path, &foreign, ASK).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn other_peoples_pages_cannot_change_anything() {
    let host = Host::empty().start();
    let load = async |headers: &[(&str, &str)]| {
        let answer = host.client().send(Method::POST, "/api/strategies", headers, r#"{"name":"aggressive"}"#).await;
        (answer.status.as_u16(), answer.code())
    };
    assert_eq!(load(&[("content-type", "text/plain")]).await, (415, "content_type".to_owned()));
    assert_eq!(load(&[("origin", "https://evil.example")]).await, (403, "foreign_origin".to_owned()));
    assert!(host.control.loads.lock().unwrap().is_empty());
    assert_eq!(load(&[]).await.0, 200);
}
