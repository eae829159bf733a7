//! What the tests are written with: a host on a free port, scripted providers, a client, strategies in Rust.

pub(crate) mod client;
pub(crate) mod gate;
pub(crate) mod host;
pub(crate) mod provider;
pub(crate) mod strategy;

pub(crate) use client::{Client, Response};
pub(crate) use gate::Gate;
pub(crate) use host::Host;
pub(crate) use provider::{Call, FakeProvider};
pub(crate) use strategy::Double;

/// A chat request whose answer is expected to be the same again, so that it may be cached.
pub(crate) fn fixed_chat(question: &str) -> String {
    format!(r#"{{"model":"m","temperature":0,"messages":[{{"role":"user","content":"{question}"}}]}}"#)
}

/// The same, as a stream.
pub(crate) fn fixed_chat_stream(question: &str) -> String {
    format!(r#"{{"model":"m","temperature":0,"stream":true,"messages":[{{"role":"user","content":"{question}"}}]}}"#)
}

/// A whole chat answer as a provider sends it.
pub(crate) fn chat_answer(text: &str) -> String {
    format!(
        concat!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":"#,
            r#"[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"#,
            r#""usage":{{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}}}"#
        ),
        text
    )
}

/// One event of a streamed chat answer.
pub(crate) fn chat_event(text: &str) -> String {
    format!(
        concat!(
            r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","#,
            r#""choices":[{{"index":0,"delta":{{"content":"{}"}},"finish_reason":null}}]}}"#,
            "\n\n"
        ),
        text
    )
}

/// The last events of a streamed chat answer.
pub(crate) fn chat_end() -> &'static str {
    concat!(
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","#,
        r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "\n\ndata: [DONE]\n\n"
    )
}

/// Waits until `is_so`, which others bring about. Fails the test after ten seconds.
pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("this did not come about: {what}");
}
