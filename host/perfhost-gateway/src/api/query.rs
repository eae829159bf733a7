//! Query strings, read strictly: a parameter that is not known, comes twice or does not read is refused with a message
//! that says what is allowed.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;

use super::reply::Trouble;
use crate::moment;

/// A query string's parameters, decoded, in their order.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(&name.replace('+', " ")).into_owned(), decoded(&value.replace('+', " ")).into_owned())
        });
        Self(pairs.collect())
    }

    /// Refuses parameters other than `names`, and any that comes twice.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Trouble> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(Trouble::invalid(format!("unknown parameter {name:?}; known: {known}")));
            }
            if self.0[..at].iter().any(|(before, _)| before == name) {
                return Err(Trouble::invalid(format!("parameter {name:?} is given twice")));
            }
        }
        Ok(())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number within `range`.
    pub(crate) fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Trouble> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match u64::from_str(text) {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(Trouble::invalid(format!(
                "{name}={text:?} is not a whole number from {} to {}",
                range.start(),
                range.end()
            ))),
        }
    }

    /// One of `words`.
    pub(crate) fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<&str>, Trouble> {
        match self.text(name) {
            Some(text) if !words.contains(&text) => {
                Err(Trouble::invalid(format!("{name}={text:?} is not known; one of {}", words.join(", "))))
            }
            found => Ok(found),
        }
    }

    /// A length of time such as `10s`, `5m`, `2h`, `7d` or `500ms`.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Trouble> {
        let Some(text) = self.text(name) else { return Ok(None) };
        moment::duration(text).map(Some).ok_or_else(|| {
            Trouble::invalid(format!("{name}={text:?} is not a length of time; write 500ms, 10s, 5m, 2h or 7d"))
        })
    }

    /// A moment, in milliseconds since 1970: that number, RFC 3339 (`2026-01-31T12:00:00Z`), `now`, or relative to now
    /// (`-15m`).
    pub(crate) fn moment(&self, name: &str, now_ms: u64) -> Result<Option<u64>, Trouble> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let unreadable = || Trouble::invalid(format!("{name}={text:?} is not a moment; {}", moment::ALLOWED));
        moment::parse(text, now_ms).map(Some).ok_or_else(unreadable)
    }
}

/// Percent-decoded; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()));
        match escaped.flatten().and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/x?{text}").parse().unwrap())
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_by_name() {
        assert!(query("a=1&b=2").only(&["a", "b"]).is_ok());
        let unknown = format!("{:?}", query("a=1&c=2").only(&["a", "b"]).unwrap_err());
        assert!(unknown.contains("unknown parameter") && unknown.contains("a, b"), "{unknown}");
        assert!(query("a=1&a=1").only(&["a"]).is_err());
    }

    #[test]
    fn values_are_decoded() {
        assert_eq!(query("scope=ollama%2Fllama3.2%3A3b").text("scope"), Some("ollama/llama3.2:3b"));
        assert_eq!(query("x=a+b%zz%4").text("x"), Some("a b%zz%4"));
    }

    #[test]
    fn numbers_and_durations_are_bounded() {
        assert_eq!(query("limit=5").number("limit", 1..=10).unwrap(), Some(5));
        assert!(query("limit=0").number("limit", 1..=10).is_err());
        assert!(query("limit=ten").number("limit", 1..=10).is_err());
        assert_eq!(query("window=10s").duration("window").unwrap(), Some(Duration::from_secs(10)));
        assert!(query("window=10").duration("window").is_err());
        assert_eq!(query("").duration("window").unwrap(), None);
    }
}
