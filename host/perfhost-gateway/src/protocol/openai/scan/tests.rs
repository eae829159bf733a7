//! Tests of the scanner, each also with the answer cut into pieces of every size.

use super::*;

const STREAM: &str = concat!(
    "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}],\"id\":\"c\"}\n\n",
    "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\"Gr\u{fc}\u{df} \\\"usage\\\":{\"}}],\"id\":\"c\"}\n\n",
    ": a comment\n\n",
    "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\"dich \u{1F600}\"}}],\"id\":\"c\"}\n\n",
    "data: {\"choices\":[{\"finish_reason\":\"length\",\"index\":0,\"delta\":{}}],\"id\":\"c\"}\n\n",
    "data: {\"choices\":[],\"usage\":{\"completion_tokens\":9,\"prompt_tokens\":14,\"total_tokens\":23,\"prompt_tokens_details\":{\"cached_tokens\":0}},",
    "\"timings\":{\"cache_n\":3,\"prompt_n\":11,\"prompt_ms\":25.5,\"predicted_n\":9,\"predicted_ms\":50.0,\"predicted_per_second\":180.0}}\n\n",
    "data: [DONE]\n\n",
);

/// An answer and whether it was whole.
#[derive(Debug, PartialEq)]
struct Scanned {
    answer: Answer,
    is_complete: bool,
}

impl std::ops::Deref for Scanned {
    type Target = Answer;

    fn deref(&self) -> &Answer {
        &self.answer
    }
}

fn scan(operation: Operation, is_streaming: bool, answer: &[u8], piece: usize) -> Scanned {
    let mut scanner = AnswerScanner::new(operation, is_streaming);
    for part in answer.chunks(piece) {
        scanner.feed(part);
    }
    Scanned { answer: scanner.finish(), is_complete: scanner.is_complete() }
}

fn stream(events: &[&str]) -> Scanned {
    let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    scan(Operation::Chat, true, text.as_bytes(), usize::MAX)
}

#[test]
fn a_stream_is_read_however_it_is_cut() {
    let whole = scan(Operation::Chat, true, STREAM.as_bytes(), usize::MAX);
    assert_eq!((whole.prompt_tokens, whole.output_tokens, whole.has_usage), (14, 9, true));
    assert!(whole.is_complete && !whole.is_error);
    let timings = whole.timings.unwrap();
    assert_eq!((timings.cached_tokens, timings.prompt_tokens, timings.predicted_tokens), (3, 11, 9));
    assert_eq!((timings.prompt_ms, timings.predicted_ms, timings.predicted_per_second), (25.5, 50.0, 180.0));
    for piece in 1..200 {
        assert_eq!(scan(Operation::Chat, true, STREAM.as_bytes(), piece), whole, "{piece}");
    }
    let returns = STREAM.replace('\n', "\r\n");
    assert_eq!(scan(Operation::Chat, true, returns.as_bytes(), 7), whole);
}

#[test]
fn the_first_token_is_the_first_text_or_call() {
    let events: Vec<&str> = STREAM.split_inclusive("\n\n").collect();
    let mut scanner = AnswerScanner::new(Operation::Chat, true);
    scanner.feed(events[0].as_bytes());
    assert!(!scanner.saw_first_token());
    scanner.feed(events[1].as_bytes());
    assert!(scanner.saw_first_token());
    let brings = [
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
        r#"{"choices":[{"delta": {"content": "spaced"}}]}"#,
        r#"{"choices":[{"text":"completion"}]}"#,
        r#"{"choices":[{"delta":{"content":""}},{"delta":{"content":"second choice"}}]}"#,
        r#"{"choices":[{"delta":{"content":"\""}}]}"#,
    ];
    let none = [
        r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"delta":{"content":null,"tool_calls":[]}}],"usage":null}"#,
        r#"{"choices":[{"text":"","finish_reason":"stop"}]}"#,
        r#"{"choices":[]}"#,
    ];
    assert!(brings.iter().all(|event| stream(&[event]).output_tokens == 1));
    assert!(none.iter().all(|event| stream(&[event]).output_tokens == 0));
}

#[test]
fn without_a_usage_the_events_are_counted_or_the_engine_believed() {
    let token = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    let counted = stream(&[token, token, token, "[DONE]"]);
    assert_eq!((counted.prompt_tokens, counted.output_tokens, counted.has_usage), (0, 3, false));
    let timings = r#"{"choices":[],"timings":{"cache_n":3,"prompt_n":4,"predicted_n":5}}"#;
    let measured = stream(&[token, timings, "[DONE]"]);
    assert_eq!((measured.prompt_tokens, measured.output_tokens, measured.has_usage), (7, 5, true));
}

#[test]
fn a_stream_without_its_end_or_with_an_error_is_not_whole() {
    assert!(!stream(&[r#"{"choices":[{"delta":{"content":"a"}}]}"#]).is_complete);
    let failed = stream(&[r#"{"error":{"message":"out of memory"}}"#, "[DONE]"]);
    assert!(failed.is_error && !failed.is_complete);
    let quoted = stream(&[r#"{"choices":[{"delta":{"content":"data: [DONE]"}}]}"#]);
    assert!(!quoted.is_complete);
    let cut_done = scan(Operation::Chat, true, b"data: [DON", 3);
    assert!(!cut_done.is_complete);
}

#[test]
fn a_line_over_the_limit_is_judged_by_its_beginning_and_the_next_is_read() {
    let long = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n{STREAM}", "x".repeat(1 << 20));
    let answer = scan(Operation::Chat, true, long.as_bytes(), 1_000);
    assert!(answer.is_complete);
    assert_eq!(answer.prompt_tokens, 14);
}

fn body(answer: &str, piece: usize) -> Scanned {
    scan(Operation::Chat, false, answer.as_bytes(), piece)
}

#[test]
fn a_body_is_read_however_long_it_is_and_however_it_is_cut() {
    for length in [0, 10, 5_000, 15_000, 40_000, 100_000] {
        let text = format!(
            "{{\"choices\":[{{\"finish_reason\":\"stop\",\"message\":{{\"content\":\"{}\"}}}}],\"usage\":{{\"completion_tokens\":5,\"prompt_tokens\":3}},\"timings\":{{\"prompt_n\":3}}}}\n",
            "\\\"usage\\\":{} ".repeat(length / 12)
        );
        for piece in [100, 4_096, 16_384, 33_000, usize::MAX] {
            let answer = body(&text, piece);
            assert_eq!(
                (answer.prompt_tokens, answer.output_tokens, answer.has_usage),
                (3, 5, true),
                "{length} {piece}"
            );
            assert!(answer.is_complete && answer.timings.is_some(), "{length} {piece}");
        }
        assert!(!body(&text[..text.len() - 3], 1_000).is_complete);
        let is_held_whole = text.len() <= 32 << 10;
        assert_eq!(body(&text[..text.len() - 2], 1_000).is_complete, !is_held_whole, "cut after an inner bracket");
    }
}

#[test]
fn an_embedding_s_usage_is_found_at_either_end() {
    let list = format!("[{}0]", "0.123456,".repeat(20_000));
    let first = format!("{{\"object\":\"list\",\"usage\":{{\"prompt_tokens\":8,\"total_tokens\":8}},\"data\":{list}}}");
    let last = format!("{{\"object\":\"list\",\"data\":{list},\"usage\":{{\"prompt_tokens\":8,\"total_tokens\":8}}}}");
    for text in [first, last] {
        let answer = scan(Operation::Embedding, false, text.as_bytes(), 8_192);
        assert_eq!((answer.prompt_tokens, answer.output_tokens, answer.is_complete), (8, 0, true));
    }
}

#[test]
fn an_error_is_not_a_whole_answer() {
    let answer = body(r#"{"error":{"message":"no"}}"#, 5);
    assert!(answer.is_error && !answer.is_complete);
    assert!(!body("", 1).is_complete);
    assert!(!body("<html>", 1).is_complete);
}
