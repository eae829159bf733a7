//! The form of a result: what scripts read stays, what people read fits their terminal, and wrong usage is not bad news.

use serde_json::Value;

use super::{PLAIN, check, guest, perfhost, text};

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_fields_that_scripts_read_are_all_there() {
    let (_, checked) = check(&guest("guest-hostile", PLAIN), &["--cases", "5", "--param", "mode=trap"]);
    let mut fields = keys(&checked);
    fields.sort_unstable();
    let expected = [
        "conformance",
        "contract",
        "errors",
        "findings",
        "inspection",
        "limits",
        "notes",
        "perfhost",
        "seed",
        "sizes",
        "verdict",
        "warnings",
    ];
    assert_eq!(fields, expected);
    assert_eq!(checked["contract"], "perfhost:strategy@0.1.0");
    for field in ["severity", "code", "subject", "place", "what", "fix", "times"] {
        assert!(!checked["findings"][0][field].is_null(), "{field}");
    }
    for field in ["plugin", "digest", "file_bytes", "world", "description", "imports", "exports", "stages", "log"] {
        assert!(!checked["inspection"][field].is_null(), "{field}");
    }
    let stages = checked["inspection"]["stages"].as_array().unwrap().iter();
    let stages: Vec<&str> = stages.map(|stage| stage["stage"].as_str().unwrap()).collect();
    let all = ["size", "parse", "version", "imports", "compile", "types", "instantiate", "describe", "grants", "smoke"];
    assert_eq!(stages, all);
    let sizes = checked["sizes"].as_array().unwrap().iter().map(|size| size["what"].as_str().unwrap());
    assert_eq!(sizes.take(2).collect::<Vec<_>>(), ["file", "compiled code"]);
    let limits = checked["limits"].as_array().unwrap();
    assert!(limits.iter().any(|limit| limit["name"] == "memory_bytes" && limit["unit"] == "bytes"), "{limits:?}");
}

#[test]
fn the_same_seed_finds_the_same_and_the_recorded_seed_is_in_the_result() {
    let plugin = guest("guest-hostile", PLAIN);
    let run = |seed: &str| check(&plugin, &["--cases", "5", "--param", "mode=negative", "--seed", seed]).1;
    let (one, other) = (run("7"), run("7"));
    assert_eq!((&one["findings"], &one["seed"]), (&other["findings"], &Value::from(7)));
    assert_eq!(one["conformance"]["calls"], other["conformance"]["calls"]);
}

#[test]
fn people_see_stages_findings_and_the_verdict_in_lines_that_fit() {
    let output = perfhost(&["check", &guest("guest-hostile", PLAIN), "--cases", "5", "--param", "mode=plan-trap"]);
    let said = text(&output.stdout);
    for part in [
        "smoke        pass",
        "perfhost:strategy/log@0.1.0      granted",
        "limits: ",
        "error[trap] plan-request, the largest request, 1 candidates",
        "\n    fix: find what panics or aborts in plan-request",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    assert!(said.trim_end().ends_with("failed: 1 error, 0 warnings, 0 notes"), "{said}");
    let longest = said.lines().map(|line| line.chars().count()).max();
    // A path is as long as it is.
    let path = said.lines().next().unwrap().chars().count();
    assert!(longest <= Some(path.max(100)), "{longest:?} in\n{said}");
}

#[test]
fn what_cannot_be_checked_is_wrong_usage() {
    for (arguments, reason) in [
        (&["check", "no-such-file.wasm"][..], "no-such-file.wasm\" is neither a file nor a built-in strategy"),
        (&["check", "/"], "/ is a folder"),
        (&["check", "balanced", "--recorded", "/nowhere"], "no decision log can be read in /nowhere"),
        (&["check", "balanced", "--cases", "0"], "0 is not in 1..=100000"),
        (&["check", "balanced", "--param", "pace"], "name=value is expected"),
        (&["bench", "no-such-file.wasm"], "is neither a file nor a built-in strategy"),
        (&["test", "no-such-file.wasm"], "is neither a file nor a built-in strategy"),
        (&["test", "balanced", "--baseline", "no-such-file.wasm"], "is neither a file nor a built-in strategy"),
        (&["test", "balanced", "--scenario", "rush-hour"], "neither a scenario"),
    ] {
        let output = perfhost(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(reason) && output.stdout.is_empty(), "{arguments:?}: {said}");
    }
}
