//! What loading refuses, at which stage, and how it says so.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use perfhost_strategy::StrategyError;
use perfhost_strategy::strategy::World;
use perfhost_wasm::{Limits, LoadError, LoadFailure, Stage};
use support::{PLAIN, guest, load, runtime, short_limits, source};

fn refusal(package: &str) -> LoadError {
    load(&runtime(short_limits()), &format!("{package}.wasm"), guest(package, PLAIN)).err().unwrap()
}

#[test]
fn a_good_core_module_becomes_a_strategy() {
    let strategy = load(&runtime(Limits::default()), "hostile.wasm", guest("guest-hostile", PLAIN)).unwrap();
    let identity = strategy.identity();
    assert_eq!((identity.name.as_str(), identity.version.as_str()), ("hostile", "0.1.0"));
    assert_eq!((identity.world, identity.source.as_str()), (World::Strategy, "hostile.wasm"));
    assert_eq!(identity.digest.len(), 64);
    assert_eq!(strategy.description().parameters[0].name, "mode");
}

#[test]
fn a_file_over_the_limit_is_not_even_read() {
    let limits = Limits { max_file_bytes: 1_000, ..Limits::default() };
    let error = load(&runtime(limits), "large.wasm", guest("guest-hostile", PLAIN)).err().unwrap();
    assert!(matches!(*error.failure, LoadFailure::TooLarge { limit: 1_000, .. }), "{error}");
    assert_eq!(error.stage, Stage::Size);
}

#[test]
fn a_file_cut_short_or_damaged_is_refused_wherever_it_is_cut() {
    let runtime = runtime(short_limits());
    let whole = guest("guest-wrong-type", PLAIN);
    for part in [0, 3, 9, 100, whole.len() / 2, whole.len() - 1] {
        let error = load(&runtime, "cut.wasm", whole[..part].to_vec()).err().unwrap();
        assert_eq!((error.failure.code(), error.stage), ("not-wasm", Stage::Parse), "{part} bytes: {error}");
    }
    let mut damaged = guest("guest-hostile", PLAIN);
    // Within the first section, the types.
    damaged[16..48].fill(0xff);
    let error = load(&runtime, "damaged.wasm", damaged).err().unwrap();
    assert!(error.stage <= Stage::Compile, "{error}");
}

#[test]
fn text_is_told_apart_from_webassembly() {
    let error = load(&runtime(short_limits()), "strategy.py", b"import perfhost".to_vec()).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("strategy.py") && message.contains("text file"), "{message}");
}

#[test]
fn another_version_of_the_contract_is_named_with_the_one_expected() {
    let error = refusal("guest-wrong-version");
    assert_eq!(error.stage, Stage::Version);
    let LoadFailure::UnsupportedVersion { version, found, expected } = &*error.failure else { panic!("{error}") };
    assert!(version == "9.9.9" && found.contains("@9.9.9"), "{found}");
    assert_eq!(expected, "perfhost:strategy@0.1.0");
}

#[test]
fn a_missing_interface_is_named() {
    let error = refusal("guest-missing-export");
    assert_eq!(error.stage, Stage::Version);
    let LoadFailure::MissingExport { export, found } = &*error.failure else { panic!("{error}") };
    assert_eq!(export, "perfhost:strategy/control@0.1.0");
    assert!(found.contains("route"), "{found}");
}

#[test]
fn a_function_of_another_type_is_named_with_the_contracts_line() {
    let error = refusal("guest-wrong-type");
    assert_eq!(error.stage, Stage::Types);
    let LoadFailure::WrongType { name, expected, detail } = &*error.failure else { panic!("{error}") };
    assert_eq!(name, "perfhost:strategy/control@0.1.0#describe");
    assert_eq!(expected, "describe: func() -> description");
    assert!(!detail.is_empty());
}

#[test]
fn an_import_of_somebody_elses_is_refused() {
    let error = refusal("guest-foreign-import");
    assert_eq!(error.stage, Stage::Imports);
    let LoadFailure::ImportNotGranted { import } = &*error.failure else { panic!("{error}") };
    assert_eq!(import, "shop:payments/card@1.0.0");
}

#[test]
fn a_strategy_that_never_describes_itself_is_given_up() {
    let error = refusal("guest-endless-describe");
    assert_eq!(error.stage, Stage::Describe);
    assert_eq!(*error.failure, LoadFailure::Guest(StrategyError::Timeout { call: "describe", limit_ms: 400 }));
}

#[test]
fn memory_over_the_limit_at_the_start_is_named() {
    let limits = Limits { memory_bytes: 64 << 10, ..short_limits() };
    let error = load(&runtime(limits), "hostile.wasm", guest("guest-hostile", PLAIN)).err().unwrap();
    assert_eq!(error.stage, Stage::Instantiate);
    assert_eq!(error.failure.code(), "out-of-memory", "{error}");
}

#[test]
fn inspection_tells_every_stage_and_serialises() {
    let runtime = runtime(short_limits());
    let inspection = runtime.inspect(&source("hostile.wasm", guest("guest-hostile", PLAIN)));
    let stages: Vec<Stage> = inspection.stages.iter().map(|report| report.stage).collect();
    use Stage::{Compile, Describe, Grants, Imports, Instantiate, Parse, Size, Smoke, Types, Version};
    assert_eq!(stages, [Size, Parse, Version, Imports, Compile, Types, Instantiate, Describe, Grants, Smoke]);
    assert!(inspection.is_core_module && inspection.error.is_none());
    assert!(inspection.imports.iter().any(|import| import.name == "perfhost:strategy/log@0.1.0"));

    let refused = runtime.inspect(&source("thief.wasm", guest("guest-foreign-import", PLAIN)));
    assert_eq!(refused.stages.last().map(|report| (report.stage, report.is_passed)), Some((Imports, false)));
    assert!(refused.error.is_some());
    assert!(serde_json::to_string(&refused).unwrap().contains("import-not-granted"));
}
