//! The bytes of a JSON text that carry meaning: all but the white space outside strings.

use memchr::memchr2;

/// Pieces of valid JSON text that, joined, are the text without insignificant white space. Compact text is one piece.
pub(super) struct Significant<'a> {
    rest: &'a [u8],
}

impl<'a> Significant<'a> {
    pub(super) fn of(json: &'a str) -> Self {
        Self { rest: json.as_bytes() }
    }
}

impl<'a> Iterator for Significant<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let text = &self.rest[start..];
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            match byte {
                b'"' => at = end_of_string(text, at),
                b' ' | b'\t' | b'\n' | b'\r' => break,
                _ => at += 1,
            }
        }
        let (piece, rest) = text.split_at(at);
        self.rest = rest;
        Some(piece)
    }
}

/// Where the string that opens at `at` has ended; the text's end if it never does.
fn end_of_string(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(json: &str) -> String {
        String::from_utf8(Significant::of(json).collect::<Vec<_>>().concat()).unwrap()
    }

    #[test]
    fn white_space_goes_outside_strings_only() {
        assert_eq!(joined(" [ 1 ,\t{ \"a b\" :\r\n\" c \\\" \\\\\" } ] "), r#"[1,{"a b":" c \" \\"}]"#);
        assert_eq!(joined("\"é \u{1F600}\""), "\"é \u{1F600}\"");
        assert_eq!(joined("  "), "");
    }

    #[test]
    fn compact_text_is_one_piece() {
        let json = r#"{"messages":[{"role":"user","content":"two words"}]}"#;
        assert_eq!(Significant::of(json).collect::<Vec<_>>(), [json.as_bytes()]);
    }

    #[test]
    fn a_broken_text_ends_the_pieces_too() {
        for json in ["\"open", "\"open\\", "[\"a\" , \"b"] {
            assert!(Significant::of(json).count() <= 3, "{json}");
        }
    }
}
