//! The top-level fields of a body, borrowed from it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ProtocolError;

/// Room for the fields of an ordinary request without a second allocation.
const USUAL_FIELDS: usize = 16;

/// One top-level field.
pub(super) struct Field<'a> {
    pub(super) name: Cow<'a, str>,
    /// The value's JSON text, without white space around it.
    pub(super) raw: &'a str,
}

/// Reads all top-level fields, in the body's order.
pub(super) fn read(body: &[u8]) -> Result<Vec<Field<'_>>, ProtocolError> {
    let text = std::str::from_utf8(body).map_err(|error| ProtocolError::NotUtf8 { at: error.valid_up_to() })?;
    let not_json = |error: serde_json::Error| ProtocolError::NotJson { reason: error.to_string() };
    let start = text.trim_start_matches([' ', '\t', '\n', '\r']);
    if !start.starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
        return Err(ProtocolError::NotAnObject { found: type_name(start) });
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let fields = reader.deserialize_map(Fields).map_err(not_json)?;
    reader.end().map_err(not_json)?;
    Ok(fields)
}

impl Field<'_> {
    pub(super) fn is_null(&self) -> bool {
        self.raw == "null"
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.raw {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        self.raw.parse().ok().filter(|_| type_name(self.raw) == "a number")
    }

    /// The number, if it is whole: `4` and `4.0` are.
    pub(super) fn integer(&self) -> Option<i64> {
        let whole = |number: &f64| number.fract() == 0.0 && number.abs() < 9e15;
        self.raw.parse().ok().or_else(|| self.number().filter(whole).map(|number| number as i64))
    }

    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        let inner = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            return serde_json::from_str(self.raw).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(inner))
    }

    /// As `stream_options`: whether a usage chunk is asked for.
    pub(super) fn includes_usage(&self) -> bool {
        #[derive(Deserialize)]
        struct StreamOptions {
            #[serde(default)]
            include_usage: Option<bool>,
        }
        serde_json::from_str::<StreamOptions>(self.raw).is_ok_and(|options| options.include_usage == Some(true))
    }

    pub(super) fn type_name(&self) -> &'static str {
        type_name(self.raw)
    }
}

/// What a JSON text is, by its first byte.
fn type_name(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

struct Fields;

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<Field<'de>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(USUAL_FIELDS);
        while let Some(Name(name)) = map.next_key()? {
            let raw: &'de RawValue = map.next_value()?;
            fields.push(Field { name, raw: raw.get() });
        }
        Ok(fields)
    }
}
