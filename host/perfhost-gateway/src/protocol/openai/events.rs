//! Lines of an event stream, as OpenAI's servers write it: each event is one `data:` line and an empty line.

/// The payload of a `data:` line without its line end; `None` for any other line.
pub(super) fn payload(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data:")?;
    Some(rest.trim_ascii())
}

/// The payload that ends a stream.
pub(super) const DONE: &[u8] = b"[DONE]";

/// The payload, or line, is an error that a provider put into its stream.
pub(super) fn is_error(payload: &[u8]) -> bool {
    let Some(rest) = payload.strip_prefix(b"{") else { return false };
    let rest = rest.trim_ascii_start();
    match rest.strip_prefix(b"\"error\"") {
        Some(rest) => value_start(rest).is_some_and(|value| !value.starts_with(b"null")),
        None => rest.strip_prefix(b"\"object\"").and_then(value_start).is_some_and(|v| v.starts_with(b"\"error\"")),
    }
}

/// What follows the colon after a name.
pub(super) fn value_start(after_name: &[u8]) -> Option<&[u8]> {
    Some(after_name.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_found_with_and_without_spaces_and_carriage_returns() {
        assert_eq!(payload(b"data: {}\r"), Some(&b"{}"[..]));
        assert_eq!(payload(b"data:[DONE]"), Some(DONE));
        assert_eq!(payload(b": comment"), None);
    }

    #[test]
    fn errors_are_told_from_answers() {
        assert!(is_error(br#"{"error":{"message":"x"}}"#) && is_error(br#"{ "error" : "x"}"#));
        assert!(is_error(br#"{"object":"error","message":"x"}"#));
        assert!(
            !is_error(br#"{"error":null,"choices":[]}"#) && !is_error(br#"{"id":"error"}"#) && !is_error(b"[DONE]")
        );
    }
}
