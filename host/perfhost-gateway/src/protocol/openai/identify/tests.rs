//! Tests of [`super::identify`].

use super::*;

const CHAT: &str = r#"{"model":"gemma","messages":[{"role":"user","content":"hi there"}],"temperature":0}"#;

fn chat(body: &str) -> Asked {
    identify(Operation::Chat, body.as_bytes(), b"").unwrap()
}

fn refused(body: &str) -> ProtocolError {
    identify(Operation::Chat, body.as_bytes(), b"").unwrap_err()
}

/// A chat body with more fields.
fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","messages":[],{fields}}}"#)
}

#[test]
fn an_ordinary_request_is_read() {
    let body = r#"{"model":"gemma \u0022x\u0022","messages":[],"stream":true,"stream_options":{"include_usage":true,"more":[]},
        "max_tokens":7,"max_completion_tokens":9,"user":"ann","service_tier":"flex","seed":3}"#;
    let asked = chat(body);
    assert_eq!(asked.model, "gemma \"x\"");
    assert!(asked.is_streaming && asked.wants_usage && asked.is_deterministic);
    assert_eq!((asked.max_tokens, asked.prompt_bytes as usize, asked.priority), (9, body.len(), -1));
    assert_ne!(asked.session, 0);
    let plain = chat(r#"{"model":"m"}"#);
    assert!(!plain.is_streaming && !plain.wants_usage && !plain.is_deterministic);
    assert_eq!((plain.max_tokens, plain.session, plain.priority), (0, 0, 0));
}

#[test]
fn null_counts_as_absent() {
    let asked =
        chat(&with(r#""stream":null,"stream_options":null,"max_tokens":null,"n":null,"seed":null,"user":null"#));
    assert!(!asked.is_streaming && !asked.is_deterministic);
    assert_eq!((asked.max_tokens, asked.session), (0, 0));
    assert_eq!(refused(r#"{"model":null}"#), ProtocolError::Missing { field: "model" });
}

#[test]
fn what_makes_an_answer_deterministic() {
    for fields in [
        r#""temperature":0"#,
        r#""temperature":0.0"#,
        r#""temperature":0,"n":1"#,
        r#""seed":0"#,
        r#""seed":4,"temperature":1"#,
    ] {
        assert!(chat(&with(fields)).is_deterministic, "{fields}");
    }
    let not = [
        r#""temperature":0.1"#,
        r#""temperature":"0""#,
        r#""temperature":0,"n":2"#,
        r#""temperature":0,"best_of":2"#,
        r#""seed":-1"#,
        r#""seed":4294967295"#,
        r#""seed":1.5"#,
        r#""temperature":0,"web_search_options":{}"#,
        r#""top_p":1"#,
    ];
    for fields in not {
        assert!(!chat(&with(fields)).is_deterministic, "{fields}");
    }
    assert!(identify(Operation::Embedding, br#"{"model":"m","input":"x"}"#, b"").unwrap().is_deterministic);
}

#[test]
fn the_key_is_the_same_for_what_does_not_change_the_answer() {
    let key = chat(CHAT).key;
    let same = [
        r#"{"temperature":0,"messages":[{"role":"user","content":"hi there"}],"model":"gemma"}"#,
        "{ \"model\" : \"gemma\",\n \"messages\": [ { \"role\": \"user\",\t\"content\": \"hi there\" } ], \"temperature\": 0 }\n",
        r#"{"model":"gemma","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi there"}],"temperature":0}"#,
        r#"{"mod\u0065l":"gemma","messages":[{"role":"user","content":"hi there"}],"temperature":0}"#,
    ];
    for body in same {
        assert_eq!(chat(body).key, key, "{body}");
    }
}

#[test]
fn the_key_changes_with_everything_that_changes_the_answer() {
    let mut keys = vec![
        chat(CHAT).key,
        identify(Operation::Completion, CHAT.as_bytes(), b"").unwrap().key,
        identify(Operation::Chat, CHAT.as_bytes(), b"tenant").unwrap().key,
        identify(Operation::Chat, CHAT.as_bytes(), b"tenant2").unwrap().key,
    ];
    let changed = [
        CHAT.replace("gemma", "gemmb"),
        CHAT.replace("hi there", "hithere"),
        CHAT.replace("hi there", "hi  there"),
        CHAT.replace("user", "system"),
        CHAT.replace("\"temperature\":0", "\"temperature\":0.5"),
        CHAT.replace("}]", "}],\"tools\":[{\"type\":\"function\"}]"),
        CHAT.replace("}]", "}],\"response_format\":{\"type\":\"json_object\"}"),
        CHAT.replace("}]", "}],\"user\":\"ann\""),
        CHAT.replace("}]", "}],\"user\":\"bob\""),
        CHAT.replace("}]", "}],\"unknown\":1"),
        CHAT.replace("}]", "}],\"unknown\":null"),
        CHAT.replace("}]", "},{\"role\":\"assistant\",\"content\":\"\"}]"),
    ];
    keys.extend(changed.iter().map(|body| chat(body).key));
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[at + 1..].contains(key), "{at}");
    }
}

#[test]
fn sessions_are_told_apart_by_the_best_field_and_the_tenant() {
    let by_user = chat(&with(r#""user":"ann""#)).session;
    let by_session = chat(&with(r#""user":"ann","session_id":"s1""#)).session;
    assert_ne!(by_user, by_session);
    assert_eq!(by_session, chat(&with(r#""user":"bob","session_id":"s1""#)).session);
    let elsewhere = identify(Operation::Chat, with(r#""user":"ann""#).as_bytes(), b"t").unwrap().session;
    assert_ne!(by_user, elsewhere);
}

#[test]
fn a_refusal_names_the_field_and_what_to_do() {
    assert_eq!(refused(r#"{"messages":[]}"#), ProtocolError::Missing { field: "model" });
    assert_eq!(refused(r#"{"model":""}"#), ProtocolError::Missing { field: "model" });
    assert_eq!(refused(r#"{"model":7}"#).to_string(), "`model` has to be a string; found a number");
    assert_eq!(refused(&with(r#""stream":"yes""#)).to_string(), "`stream` has to be true or false; found a string");
    assert_eq!(refused(&with(r#""stream":"yes""#)).param(), Some("stream"));
    assert_eq!(refused(&with(r#""model":"x""#)).to_string(), "`model` is given twice in the request body; leave one");
    assert_eq!(refused("[1]"), ProtocolError::NotAnObject { found: "a list" });
    assert_eq!(refused(" 12 "), ProtocolError::NotAnObject { found: "a number" });
    let broken = refused("{\"model\":\"m\",\n\"messages\":[}").to_string();
    assert!(
        broken.starts_with("the request body is not JSON: ") && broken.ends_with("at line 2 column 13"),
        "{broken}"
    );
    for body in ["", "{", "{\"model\":\"m\"} x", "nonsense", "{'model':1}", "{\"model\":\"\\ud800\"}"] {
        assert!(identify(Operation::Chat, body.as_bytes(), b"").is_err(), "{body}");
    }
    let wrong_bytes = identify(Operation::Chat, b"{\"model\":\"\xff\"}", b"").unwrap_err();
    assert_eq!(wrong_bytes, ProtocolError::NotUtf8 { at: 10 });
}

#[test]
fn deep_and_wide_bodies_are_read_without_harm() {
    let deep = with(&format!("\"x\":{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(chat(&deep).model, "m");
    let wide: Vec<String> = (0..20_000).map(|at| format!("\"f{at}\":0")).collect();
    assert_eq!(chat(&with(&wide.join(","))).model, "m");
}

#[test]
fn an_embedding_is_never_streamed() {
    let body = br#"{"model":"m","input":"x","stream":true,"stream_options":{"include_usage":true}}"#;
    let asked = identify(Operation::Embedding, body, b"").unwrap();
    assert!(!asked.is_streaming && !asked.wants_usage);
}
