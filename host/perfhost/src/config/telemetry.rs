//! Checks that nothing is asked for that lives on recorded requests where none are recorded.

use super::load::ConfigError;
use super::raw::Raw;

/// Whether requests are recorded.
pub(super) fn is_recording(raw: &Raw) -> Result<bool, ConfigError> {
    if raw.telemetry.enabled.unwrap_or(true) {
        return Ok(true);
    }
    let needs = |place: String, what: &str| {
        let message = format!("{what}, and telemetry.enabled = false records none; leave out one of them");
        Err(ConfigError::value(place, message))
    };
    if raw.ab.as_ref().is_some_and(|arms| !arms.is_empty()) {
        return needs("ab".to_owned(), "an experiment compares recorded requests");
    }
    if raw.auto.enabled == Some(true) {
        return needs("auto.enabled".to_owned(), "experiments compare recorded requests");
    }
    if !raw.rule.is_empty() {
        return needs(
            "rule".to_owned(),
            "rules are followed by the decision loop, which measures by recorded requests",
        );
    }
    if let Some(at) = raw.alert.iter().position(|alert| !alert.actions.as_slice().is_empty()) {
        return needs(format!("alert[{at}].do"), "what an action did is measured by recorded requests");
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(toml: &str) -> Result<bool, String> {
        let raw: Raw = toml::from_str(toml).map_err(|error| error.to_string())?;
        is_recording(&raw).map_err(|error| error.to_string())
    }

    #[test]
    fn requests_are_recorded_unless_that_is_switched_off() {
        assert_eq!(of(""), Ok(true));
        assert_eq!(of("[telemetry]\nenabled = true"), Ok(true));
        let alert = "[[alert]]\nname = 'hot'\nwhen = 'cpu_usage > 7'";
        assert_eq!(of(&format!("[telemetry]\nenabled = false\n{alert}")), Ok(false));
    }

    #[test]
    fn what_lives_on_recorded_requests_is_refused_without_them() {
        for (other, place) in [
            ("ab = ['a.wasm', 'b.wasm']", "ab: "),
            ("[auto]\nenabled = true", "auto.enabled: "),
            ("[[rule]]\nwhen = 'cpu_usage > 7'\ndo = 'shed_load'", "rule: "),
            ("[[alert]]\nname = 'a'\nwhen = 'cpu_usage > 7'\ndo = 'shed_load'", "alert[0].do: "),
        ] {
            let error = of(&format!("{other}\n[telemetry]\nenabled = false")).expect_err(other);
            assert!(error.starts_with(place) && error.contains("telemetry.enabled = false"), "{error}");
            assert_eq!(of(other), Ok(true));
        }
    }
}
