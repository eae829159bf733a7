//! Query strings, read strictly: a parameter that is not known, comes twice or does not read is refused with a message
//! that says what is allowed.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;

use super::reply::Trouble;

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

    /// A length of time such as `10s`, `5m`, `2h`, `7d` or `500ms`.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Trouble> {
        let Some(text) = self.text(name) else { return Ok(None) };
        duration(text).map(Some).ok_or_else(|| {
            Trouble::invalid(format!("{name}={text:?} is not a length of time; write 500ms, 10s, 5m, 2h or 7d"))
        })
    }

    /// A moment, in milliseconds since 1970: that number, RFC 3339 (`2026-01-31T12:00:00Z`), `now`, or relative to now
    /// (`-15m`).
    pub(crate) fn moment(&self, name: &str, now_ms: u64) -> Result<Option<u64>, Trouble> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let relative = || {
            let before = text.strip_prefix('-').and_then(duration)?;
            Some(now_ms.saturating_sub(u64::try_from(before.as_millis()).unwrap_or(u64::MAX)))
        };
        let now = || (text == "now").then_some(now_ms);
        u64::from_str(text).ok().or_else(now).or_else(relative).or_else(|| rfc3339_ms(text)).map(Some).ok_or_else(
            || {
                Trouble::invalid(format!(
                    "{name}={text:?} is not a moment; write milliseconds since 1970, 2026-01-31T12:00:00Z, now or -15m"
                ))
            },
        )
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

fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = u64::from_str(&text[..digits]).ok()?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// `YYYY-MM-DDTHH:MM:SS[.fff](Z|±HH:MM)`. A leap second counts as the second after it.
fn rfc3339_ms(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok()
    };
    let is_mark = |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|byte| marks.contains(byte));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let has_marks =
        is_mark(4, b"-") && is_mark(7, b"-") && is_mark(10, b"Tt ") && is_mark(13, b":") && is_mark(16, b":");
    let days_in_month = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_valid = (1..=12).contains(&month) && (1..=days_in_month).contains(&day) && hour < 24 && minute < 60;
    if !has_marks || !is_valid || second > 60 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut milliseconds = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let leading: String = fraction[..digits].chars().chain("000".chars()).take(3).collect();
        milliseconds = (digits > 0).then(|| leading.parse::<i64>().ok())??;
        rest = &fraction[digits..];
    }
    let offset_minutes = match rest.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let hours: i64 = rest.get(1..3)?.parse().ok()?;
            let minutes: i64 = rest.get(4..6)?.parse().ok()?;
            if *sign == b'-' { -(hours * 60 + minutes) } else { hours * 60 + minutes }
        }
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    u64::try_from((seconds - offset_minutes * 60) * 1_000 + milliseconds).ok()
}

/// Howard Hinnant's `days_from_civil`: years begin in March, so the leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
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
    fn moments_come_in_four_forms() {
        let now = 1_700_000_000_000;
        let at = |text: &str| query(&format!("from={text}")).moment("from", now).ok().flatten();
        assert_eq!(at("-15m"), Some(now - 900_000));
        assert_eq!(at("now"), Some(now));
        assert_eq!(at("1234"), Some(1_234));
        assert_eq!(at("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(at("2024-02-29T12:30:15.25Z"), Some(1_709_209_815_250));
        assert_eq!(at("2024-02-29T13:30:15.25%2B01:00"), Some(1_709_209_815_250));
        for wrong in ["yesterday", "2024-02-30T00:00:00Z", "2024-02-29", "-15", "-15x", "2024-02-29T12:30:15.Z"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
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
