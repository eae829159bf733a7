//! `perfhost plugin test`, which is also `perfhost simulate`, as people and their CI use it.

use std::process::{Command, Output};

use serde_json::Value;

fn perfhost(arguments: &[&str]) -> Output {
    run(&["plugin", "test"], arguments)
}

fn run(command: &[&str], arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_perfhost"));
    program.args(command).args(arguments).env("PERFHOST_LIBRARY_DIR", env!("CARGO_TARGET_TMPDIR"));
    program.output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn the_whole_series_is_in_the_json_and_the_same_every_time() {
    let arguments = ["aggressive", "--duration", "5m", "--seed", "3", "--output", "json"];
    let (one, other) = (perfhost(&arguments), run(&["simulate"], &arguments));
    assert!(one.status.success() && one.stdout == other.stdout, "{}", text(&one.stderr));
    let trials: Value = serde_json::from_slice(&one.stdout).unwrap();
    let names: Vec<&str> =
        trials[0]["contestants"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["aggressive", "balanced", "no strategy"]);
    let strategy = &trials[0]["contestants"][0];
    assert_eq!(strategy["run"]["points"].as_array().map(Vec::len), Some(60));
    assert_eq!(strategy["run"]["knobs"][0]["name"], "engine_slots");
    assert_eq!(strategy["account"]["decisions"][0]["verdict"], "applied");
    let endings = strategy["run"]["whole"]["endings"].as_object().unwrap();
    assert_eq!(endings["success"], strategy["run"]["requests"]);
}

#[test]
fn the_report_shows_numbers_curves_and_decisions_in_plain_characters() {
    let output = perfhost(&["aggressive", "--duration", "5m", "--clients", "4"]);
    let report = text(&output.stdout);
    assert!(output.status.success() && report.is_ascii(), "{report}");
    for part in
        ["WHOLE RUN", "SECOND HALF", "tokens/s of aggressive", "Knobs over time", "1 > 2", "requests wait for one of"]
    {
        assert!(report.contains(part), "no {part:?} in\n{report}");
    }
}

#[test]
fn an_authors_ci_can_require_what_it_needs() {
    let run = |condition: &str| perfhost(&["aggressive", "--duration", "5m", "--require", condition]);
    assert_eq!(run("tokens_per_second >= 1.5*none").status.code(), Some(0));
    let unmet = run("goodput >= 1.1");
    assert_eq!(unmet.status.code(), Some(1));
    assert!(text(&unmet.stderr).contains("goodput >= 1.1 in steady"), "{}", text(&unmet.stderr));
    assert_eq!(run("speed >= 1").status.code(), Some(2));
}

#[test]
fn what_cannot_be_tested_is_explained() {
    let error = |arguments: &[&str]| text(&perfhost(arguments).stderr);
    assert!(error(&["aggressive", "--scenario", "rush-hour"]).contains("steady, burst"));
    assert!(error(&["quantization-advisor"]).contains("tunes nothing"));
    assert!(error(&["aggressive", "--param", "pace=2", "--duration", "60s"]).contains("pace"));
    assert!(error(&["nothing-of-that-name"]).contains("is neither a file nor a built-in strategy"));
}

#[test]
fn a_printed_scenario_can_be_edited_and_run() {
    let printed = perfhost(&["aggressive", "--scenario", "burst", "--print-scenario"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, text(&printed.stdout).replacen("\"burst\"", "\"mine\"", 1)).unwrap();
    let output = perfhost(&["conservative", "--scenario", &file.to_string_lossy(), "--duration", "2m"]);
    assert!(output.status.success() && text(&output.stdout).starts_with("mine: "), "{}", text(&output.stderr));
}

#[test]
fn several_scenarios_end_in_a_summary_and_differences_are_called_better_or_worse() {
    let output = perfhost(&["aggressive", "--scenario", "all", "--duration", "2m"]);
    let report = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = report.split("GOODPUT IN").nth(1).unwrap();
    for scenario in ["steady", "burst", "provider-slow", "memory-pressure", "cold-models"] {
        assert!(summary.contains(&format!("\n{scenario} ")), "no {scenario} in\n{summary}");
    }
    assert!(report.contains("%  better") && report.contains("%  worse"), "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 100), "{report}");
}

#[test]
fn two_versions_of_one_strategy_are_told_apart() {
    let output = perfhost(&["balanced", "--duration", "1m", "--output", "json"]);
    let trials: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = ["/0/contestants/0/name", "/0/contestants/1/name"].map(|path| trials.pointer(path).unwrap().clone());
    assert_eq!(names, ["balanced (tested)", "balanced (baseline)"]);
}
