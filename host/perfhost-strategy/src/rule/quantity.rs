//! Numbers with units: what `5s`, `90%` and `512MiB` are in the unit of a metric or knob.

use std::time::Duration;

/// Longest duration.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

const MILLISECONDS: &[(&str, f64)] = &[("ms", 1.0), ("s", 1e3), ("m", 60e3), ("h", 3_600e3), ("d", 86_400e3)];
const BYTES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
];

/// The units that fit `unit`, with what one of them is in it.
fn factors(unit: &str) -> &'static [(&'static str, f64)] {
    match unit {
        "ms" => MILLISECONDS,
        "us" => &[("us", 1.0), ("ms", 1e3)],
        "bytes" => BYTES,
        _ => &[],
    }
}

/// A number in `unit`; `None` when it was written in one that does not fit.
pub(super) fn in_unit(number: f64, written: &str, unit: &str) -> Option<f64> {
    match (written, unit) {
        ("", _) => return Some(number),
        ("%", "ratio") => return Some(number / 100.0),
        _ => {}
    }
    let factor = factors(unit).iter().find(|(known, _)| *known == written)?.1;
    Some(number * factor)
}

/// A share, where one without a unit and above 1 can only be per cent.
pub(super) fn share(number: f64, written: &str) -> Option<f64> {
    if written.is_empty() && number > 1.0 { Some(number / 100.0) } else { in_unit(number, written, "ratio") }
}

/// What may be written for `unit`, in words.
pub(super) fn allowed(unit: &str) -> &'static str {
    match unit {
        "ms" => "a number of milliseconds, or one with ms, s, m, h or d",
        "us" => "a number of microseconds, or one with us or ms",
        "bytes" => "a number of bytes, or one with B, kB, MB, GB, KiB, MiB or GiB",
        "ratio" => "a share from 0 to 1, or per cent with %",
        _ => "a number without a unit",
    }
}

/// A duration, which needs its unit.
pub(super) fn duration(number: f64, written: &str) -> Option<Duration> {
    if written.is_empty() {
        return None;
    }
    let milliseconds = in_unit(number, written, "ms")?;
    let longest = LONGEST.as_millis() as f64;
    (milliseconds <= longest).then(|| Duration::from_millis(milliseconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_converted_or_refused() {
        assert_eq!(
            [in_unit(5.0, "s", "ms"), in_unit(5.0, "", "ms"), in_unit(5.0, "KiB", "ms")],
            [Some(5e3), Some(5.0), None]
        );
        assert_eq!([in_unit(1.0, "GiB", "bytes"), in_unit(3.0, "x", "count")], [Some(1_073_741_824.0), None]);
        assert_eq!(
            [share(7.0, ""), share(0.7, ""), share(0.5, "%"), share(1.0, "")],
            [Some(0.07), Some(0.7), Some(0.005), Some(1.0)]
        );
    }

    #[test]
    fn durations_need_a_unit_and_end_at_thirty_days() {
        assert_eq!(duration(1.5, "m"), Some(Duration::from_secs(90)));
        assert_eq!([duration(5.0, ""), duration(31.0, "d"), duration(5.0, "%")], [None, None, None]);
    }
}
