//! Checks how much history is to be kept.

use std::time::Duration;

use perfhost_gateway::moment;
use perfhost_telemetry::Retention;
use perfhost_telemetry::store::tier::TIERS;

use super::load::ConfigError;
use super::raw::RawHistory;

/// The retention that was written, with the usual one for what was not.
pub(super) fn retention(raw: &RawHistory) -> Result<Retention, ConfigError> {
    let mut kept = Retention::default().kept();
    let written = [&raw.raw, &raw.minute, &raw.five_minutes, &raw.hour, &raw.day];
    for ((tier, kept), written) in TIERS.iter().zip(&mut kept).zip(written) {
        if let Some(text) = written {
            *kept = length(text).ok_or_else(|| {
                let message = format!("{text:?} where a length of time such as 2d, 12h or 90m is expected");
                ConfigError::value(format!("history.{}", tier.name), message)
            })?;
        }
    }
    Retention::new(kept, raw.most_bytes.unwrap_or(Retention::USUAL_BYTES))
        .map_err(|error| ConfigError::value("history", error.to_string()))
}

fn length(text: &str) -> Option<Duration> {
    moment::duration(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_kept_as_written_and_the_rest_as_usual() {
        let raw = RawHistory { raw: Some("12h".to_owned()), most_bytes: Some(1 << 30), ..RawHistory::default() };
        let found = retention(&raw).expect("allowed");
        assert_eq!((found.kept()[0], found.most_bytes()), (Duration::from_secs(12 * 3_600), 1 << 30));
        assert_eq!(found.kept()[1..], Retention::default().kept()[1..]);
        let error = |raw: RawHistory| retention(&raw).expect_err("not allowed").to_string();
        let soon = error(RawHistory { hour: Some("soon".to_owned()), ..RawHistory::default() });
        assert!(soon.contains("history.1h") && soon.contains("2d"), "{soon}");
        let short = error(RawHistory { day: Some("3d".to_owned()), ..RawHistory::default() });
        assert!(short.contains("tier 1d") && short.contains("tier 1h"), "{short}");
    }
}
