//! Moments and lengths of time as people write them, in query strings and on the command line.

use std::str::FromStr;
use std::time::Duration;

/// What [`parse`] reads, for messages.
pub const ALLOWED: &str = "write milliseconds since 1970, 2026-01-31T12:00:00Z, now or -15m";

/// A moment, in milliseconds since 1970: that number, RFC 3339 (`2026-01-31T12:00:00Z`), `now`, or relative to now
/// (`-15m`).
pub fn parse(text: &str, now_ms: u64) -> Option<u64> {
    let relative = || {
        let before = text.strip_prefix('-').and_then(duration)?;
        Some(now_ms.saturating_sub(u64::try_from(before.as_millis()).unwrap_or(u64::MAX)))
    };
    let now = || (text == "now").then_some(now_ms);
    u64::from_str(text).ok().or_else(now).or_else(relative).or_else(|| rfc3339_ms(text))
}

/// A moment as people read it, to the minute: `2026-01-31 12:00Z`.
pub fn written(at_ms: u64) -> String {
    let (year, month, day) = date(at_ms / 86_400_000);
    let minutes = at_ms / 60_000 % 1_440;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}Z", minutes / 60, minutes % 60)
}

/// Howard Hinnant's `civil_from_days`, the other way round from [`days_since_1970`].
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

/// A length of time such as `10s`, `5m`, `2h`, `7d` or `500ms`.
pub fn duration(text: &str) -> Option<Duration> {
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

    #[test]
    fn moments_come_in_four_forms() {
        let now = 1_700_000_000_000;
        let at = |text: &str| parse(text, now);
        assert_eq!(at("-15m"), Some(now - 900_000));
        assert_eq!(at("now"), Some(now));
        assert_eq!(at("1234"), Some(1_234));
        assert_eq!(at("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(at("2024-02-29T12:30:15.25Z"), Some(1_709_209_815_250));
        assert_eq!(at("2024-02-29T13:30:15.25+01:00"), Some(1_709_209_815_250));
        assert_eq!(written(1_709_209_815_250), "2024-02-29 12:30Z");
        for wrong in ["yesterday", "2024-02-30T00:00:00Z", "2024-02-29", "-15", "-15x", "2024-02-29T12:30:15.Z"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}
