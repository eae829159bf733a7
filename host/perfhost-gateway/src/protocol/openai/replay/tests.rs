//! Tests of [`super::replay`] in all directions.

use std::time::Duration;

use perfhost_cache::Origin;

use super::*;

const CHAT_STREAM: &str = concat!(
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"system_fingerprint\":\"b1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"xx\"}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"system_fingerprint\":\"b1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\u{fc}\u{df} \"},\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":-0.1}]},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":8,\"model\":\"m\",\"system_fingerprint\":\"b1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"dich \u{1F600}\"},\"logprobs\":{\"content\":[{\"token\":\"b\",\"logprob\":-0.2}]},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":8,\"model\":\"m\",\"system_fingerprint\":\"b1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\",\"stop_reason\":null}],\"timings\":{\"predicted_n\":2}}\n\n",
);
const USAGE: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":8,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6,\"prompt_tokens_details\":{\"cached_tokens\":1}}}\n\n";
const END: &str = "data: [DONE]\n\n";

fn entry(form: Form, bytes: &str, prompt_tokens: u32) -> Entry {
    let origin = Origin {
        provider: "local".into(),
        model: "m".into(),
        prompt_tokens,
        output_tokens: 2,
        took: Duration::from_millis(5),
        stored_at_ms: 1,
    };
    // Cut in the middle of characters and events.
    let chunks: Vec<Bytes> = bytes.as_bytes().chunks(11).map(Bytes::copy_from_slice).collect();
    Entry::new(form, Bytes::from_static(content_type(form).as_bytes()), &chunks, origin).unwrap()
}

fn turn(operation: Operation, entry: &Entry, form: Form, wants_usage: bool) -> Result<String, ReplayError> {
    replay(operation, entry, form, wants_usage).map(|chunks| String::from_utf8(chunks.concat()).unwrap())
}

fn chat(form: Form, bytes: &str, as_form: Form, wants_usage: bool) -> String {
    turn(Operation::Chat, &entry(form, bytes, 4), as_form, wants_usage).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Payloads of a stream, which must end with `[DONE]`.
fn payloads(stream: &str) -> Vec<Value> {
    let stream = stream.strip_suffix(END).expect("a stream ends with [DONE]");
    stream.split_terminator("\n\n").map(|event| json(event.strip_prefix("data: ").unwrap())).collect()
}

#[test]
fn a_chat_stream_becomes_the_body_it_stands_for() {
    let body = json(&chat(Form::Stream, &format!("{CHAT_STREAM}{USAGE}{END}"), Form::Body, false));
    let expected = json!({
        "id": "c1", "object": "chat.completion", "created": 7, "model": "m", "system_fingerprint": "b1",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "Grüß dich 😀"},
            "logprobs": {"content": [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.2}]},
            "finish_reason": "stop", "stop_reason": null,
        }],
        "timings": {"predicted_n": 2},
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6, "prompt_tokens_details": {"cached_tokens": 1}},
    });
    assert_eq!(body, expected);
}

#[test]
fn tool_calls_of_several_choices_are_put_together_and_taken_apart() {
    let delta = |index: u32, delta: Value| {
        format!(
            "data: {}\n\n",
            json!({"id": "c", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": null}]})
        )
    };
    let stream = [
        delta(1, json!({"role": "assistant", "content": null, "tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}]})),
        delta(0, json!({"role": "assistant", "refusal": "no"})),
        delta(1, json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\""}}]})),
        delta(0, json!({"refusal": "pe", "reasoning_content": "hm"})),
        delta(1, json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}, {"index": 1, "id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]})),
        "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\r\n\r\n".to_owned(),
        END.to_owned(),
    ]
    .concat();
    let body = chat(Form::Stream, &stream, Form::Body, false);
    let expected = json!([
        {"index": 0, "message": {"role": "assistant", "refusal": "nope", "reasoning_content": "hm", "content": null}, "finish_reason": null},
        {"index": 1, "message": {"role": "assistant", "content": null, "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ]}, "finish_reason": "tool_calls"},
    ]);
    assert_eq!(json(&body)["choices"], expected);
    let events = payloads(&chat(Form::Body, &body, Form::Stream, false));
    let deltas: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    assert_eq!(*deltas[0], json!({"role": "assistant", "content": null}));
    assert_eq!(*deltas[1], json!({"reasoning_content": "hm"}), "thoughts come first");
    assert_eq!(*deltas[2], json!({"refusal": "nope"}));
    assert_eq!(deltas[5]["tool_calls"][1]["index"], 1);
}

#[test]
fn a_chat_body_becomes_events() {
    let body = r#"{"id":"c1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi","refusal":null,"annotations":[]},"logprobs":{"content":[{"token":"hi"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5},"system_fingerprint":"b","timings":{"prompt_n":4}}"#;
    let events = payloads(&chat(Form::Body, body, Form::Stream, true));
    let base = |mut fields: Value| {
        let all = fields.as_object_mut().unwrap();
        for (name, value) in [
            ("id", json!("c1")),
            ("created", json!(7)),
            ("model", json!("m")),
            ("system_fingerprint", json!("b")),
            ("object", json!("chat.completion.chunk")),
        ] {
            all.insert(name.to_owned(), value);
        }
        fields
    };
    let expected = [
        base(
            json!({"choices": [{"index": 0, "delta": {"role": "assistant", "refusal": null, "annotations": []}, "logprobs": null, "finish_reason": null}]}),
        ),
        base(
            json!({"choices": [{"index": 0, "delta": {"content": "hi"}, "logprobs": {"content": [{"token": "hi"}]}, "finish_reason": null}]}),
        ),
        base(
            json!({"choices": [{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop"}], "timings": {"prompt_n": 4}}),
        ),
        base(json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}})),
    ];
    assert_eq!(events, expected);
    assert_eq!(payloads(&chat(Form::Body, body, Form::Stream, false)), expected[..3]);
}

#[test]
fn a_completion_goes_both_ways() {
    let stream = concat!(
        "data: {\"id\":\"t\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"text\":\"a\",\"index\":0,\"logprobs\":{\"tokens\":[\"a\"],\"text_offset\":[0]},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"t\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"text\":\"b\",\"index\":0,\"logprobs\":{\"tokens\":[\"b\"],\"text_offset\":[1]},\"finish_reason\":\"length\"}]}\n\n",
        "data: [DONE]\n\n",
    );
    let body = turn(Operation::Completion, &entry(Form::Stream, stream, 4), Form::Body, false).unwrap();
    let expected = json!({
        "id": "t", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": "ab", "logprobs": {"tokens": ["a", "b"], "text_offset": [0, 1]}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
    });
    assert_eq!(json(&body), expected);
    let again = turn(Operation::Completion, &entry(Form::Body, &body, 4), Form::Stream, true).unwrap();
    let back = turn(Operation::Completion, &entry(Form::Stream, &again, 4), Form::Body, false).unwrap();
    assert_eq!(json(&back), expected);
}

#[test]
fn the_same_form_leaves_as_it_came_but_for_the_usage_chunk() {
    let (with, without) = (format!("{CHAT_STREAM}{USAGE}{END}"), format!("{CHAT_STREAM}{END}"));
    assert_eq!(chat(Form::Stream, &with, Form::Stream, true), with);
    assert_eq!(chat(Form::Stream, &with, Form::Stream, false), without);
    assert_eq!(chat(Form::Stream, &without, Form::Stream, false), without);
    let added = payloads(&chat(Form::Stream, &without, Form::Stream, true));
    assert_eq!(added.len(), 5);
    let usage = json!({"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6});
    assert_eq!((&added[4]["usage"], &added[4]["choices"], &added[4]["id"]), (&usage, &json!([]), &json!("c1")));
    let body = "{\"anything\": [1]}\n";
    assert_eq!(chat(Form::Body, body, Form::Body, false), body);
    let embedding = entry(Form::Body, body, 4);
    assert_eq!(turn(Operation::Embedding, &embedding, Form::Body, false).unwrap(), body);
}

#[test]
fn a_usage_on_the_last_choice_is_repeated_in_a_chunk_of_its_own() {
    let stream = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"total_tokens\":10}}\n\ndata: [DONE]\n\n";
    let kept = entry(Form::Stream, stream, 0);
    let events = payloads(&turn(Operation::Chat, &kept, Form::Stream, true).unwrap());
    assert_eq!((events.len(), &events[1]["usage"]["prompt_tokens"], &events[1]["choices"]), (2, &json!(9), &json!([])));
    assert_eq!(turn(Operation::Chat, &kept, Form::Stream, false).unwrap(), stream);
}

#[test]
fn a_usage_that_nobody_knows_is_not_made_up() {
    let kept = entry(Form::Stream, &format!("{CHAT_STREAM}{END}"), 0);
    assert_eq!(turn(Operation::Chat, &kept, Form::Stream, true), Err(ReplayError::UsageUnknown));
    assert_eq!(turn(Operation::Chat, &kept, Form::Body, false), Err(ReplayError::UsageUnknown));
    assert!(turn(Operation::Chat, &kept, Form::Stream, false).is_ok());
}

#[test]
fn what_does_not_read_is_refused() {
    for stream in
        ["data: {}\n\n", "data: {\n\ndata: [DONE]\n\n", "data: [DONE]\n\n", "data: {\"error\":{}}\n\ndata: [DONE]\n\n"]
    {
        assert!(turn(Operation::Chat, &entry(Form::Stream, stream, 4), Form::Body, false).is_err(), "{stream}");
    }
    for body in ["{}", "{\"choices\":[1]}", "{\"choices\":[{}]}", "[]"] {
        assert!(turn(Operation::Chat, &entry(Form::Body, body, 4), Form::Stream, false).is_err(), "{body}");
    }
    let embedding = entry(Form::Body, "{}", 4);
    assert!(turn(Operation::Embedding, &embedding, Form::Stream, false).is_err());
}

/// A random chat body as a stream would have come from: what only bodies have (nulls, empty lists) aside.
fn random_body(random: &mut fastrand::Rng) -> Value {
    let letters: Vec<char> = "aé😀\"\\\n {}[]:,data: [DONE]".chars().collect();
    let mut text = |most: usize| -> String {
        (0..1 + random.usize(..most)).map(|_| letters[random.usize(..letters.len())]).collect()
    };
    let (id, content, thought, arguments) = (text(9), text(60), text(30), text(20));
    let choices: Vec<Value> = (0..1 + random.usize(..3))
        .map(|index| {
            let mut message = json!({"role": "assistant", "content": null});
            if random.bool() {
                message["content"] = json!(content);
            }
            if random.bool() {
                message["reasoning_content"] = json!(thought);
            }
            if random.bool() {
                let call =
                    |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
                message["tool_calls"] = (0..1 + random.usize(..3)).map(|at| call(&format!("{id}{at}"))).collect();
            }
            json!({"index": index, "message": message, "logprobs": null, "finish_reason": "stop"})
        })
        .collect();
    json!({
        "id": id, "object": "chat.completion", "created": random.u32(..), "model": "m", "choices": choices,
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}, "timings": {"prompt_n": random.u32(..)},
    })
}

#[test]
fn a_body_survives_the_way_through_a_stream_and_back() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let body = random_body(&mut random);
        let stream = chat(Form::Body, &body.to_string(), Form::Stream, true);
        let back = chat(Form::Stream, &stream, Form::Body, false);
        assert_eq!(json(&back), body);
        assert_eq!(chat(Form::Body, &back, Form::Stream, true).len(), stream.len());
    }
}
