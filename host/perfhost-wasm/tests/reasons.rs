//! Every way in which a plugin is not a strategy gets its own reason and its own instruction to the author.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod support;

use perfhost_wasm::{LoadError, Stage};
use support::{PLAIN, guest, load, runtime, short_limits};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, UnresolvedPackageGroup};

const CONTRACT: &str = include_str!("../../../wit/v0.1.0/strategy.wit");

/// A component of the world `strategy` of a contract in which `from` is written as `to`. Its functions trap.
fn built_against(from: &str, to: &str) -> Vec<u8> {
    assert!(CONTRACT.contains(from), "{from}");
    let text = CONTRACT.replace(from, to);
    let mut resolve = Resolve::default();
    let parsed = UnresolvedPackageGroup::parse("strategy.wit", &text).map_err(|(_, error)| error.to_string()).unwrap();
    let package = resolve.push_group(parsed).unwrap();
    let world = resolve.select_world(&[package], Some("strategy")).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

fn refusal(name: &str, bytes: Vec<u8>) -> LoadError {
    load(&runtime(short_limits()), name, bytes).err().unwrap()
}

#[test]
fn a_type_that_differs_is_named_to_the_field() {
    for (from, to, reason) in [
        (
            "plan-request: func(asked: request, candidates: list<candidate>) -> plan;",
            "plan-request: func(asked: request) -> plan;",
            "route@0.1.0#plan-request has the wrong type: plan-request takes 1 parameter, expected 2",
        ),
        (
            "propose: func(seen: observation)",
            "propose: func(seen: observation, again: bool)",
            "control@0.1.0#propose has the wrong type: propose takes 2 parameters, expected 1",
        ),
        (
            "cache-ttl-ms: u32,",
            "cache-ttl-ms: u64,",
            "field `cache-ttl-ms` of the answer of plan-request is u64, expected u32",
        ),
        ("prefix-match: f32,", "", "an item of parameter `candidates` of plan-request lacks the field `prefix-match`"),
        (
            "record gpu {",
            "record gpu { cores: u32,",
            "an item of field `gpus` of field `hardware` of parameter `seen` of propose has a field `cores`, which the contract \
             does not",
        ),
        (
            "enum health { up, degraded, down }",
            "enum health { up, down }",
            "field `health` of an item of field `providers` of parameter `seen` of propose lacks the case `degraded`",
        ),
        (
            "count: u64,\n    /// Arithmetic mean.\n    mean: f64,",
            "mean: f64, count: u64,",
            "field `summary` of an item of field `metrics` of parameter `seen` of propose has its fields in another order: \
             `mean` where `count` is expected",
        ),
        ("save: func() -> list<u8>;", "save: func();", "save answers nothing, expected list<u8>"),
        (
            "restore: func(state: list<u8>) -> result<_, fault>;",
            "restore: func(state: list<u8>) -> result<bool, fault>;",
            "the answer of restore, when it succeeds, is bool, expected nothing",
        ),
    ] {
        let error = refusal("altered.wasm", built_against(from, to));
        assert_eq!((error.stage, error.failure.code()), (Stage::Types, "wrong-type"), "{from}: {error}");
        assert!(error.failure.to_string().contains(reason), "{reason}\n{error}");
        let fix = "regenerate the bindings for perfhost:strategy@0.1.0 from wit/v0.1.0";
        assert!(error.failure.fix().contains(fix), "{}", error.failure.fix());
    }
}

#[test]
fn what_is_missing_or_not_served_is_named_with_what_to_do() {
    let with_interface = |name: &str| {
        built_against(
            "world strategy {",
            &format!("interface {name} {{ f: func(); }}\nworld strategy {{ import {name};"),
        )
    };
    for (name, bytes, stage, code, reason, fix) in [
        (
            "older.wasm",
            built_against("perfhost:strategy@0.1.0", "perfhost:strategy@0.2.0"),
            Stage::Version,
            "unsupported-version",
            "version 0.2.0 of the contract: this host serves perfhost:strategy@0.1.0",
            "regenerate the bindings from wit/v0.1.0",
        ),
        (
            "unversioned.wasm",
            built_against("package perfhost:strategy@0.1.0;", "package perfhost:strategy;"),
            Stage::Version,
            "unsupported-version",
            "version none of the contract",
            "regenerate the bindings",
        ),
        (
            "forgetful.wasm",
            built_against("save: func() -> list<u8>;", ""),
            Stage::Types,
            "missing-export",
            "does not export perfhost:strategy/control@0.1.0#save",
            "implement it",
        ),
        (
            "secrets.wasm",
            with_interface("secrets"),
            Stage::Imports,
            "import-not-granted",
            "it imports perfhost:strategy/secrets@0.1.0, which is not granted",
            "offers log and history to import, and nothing else",
        ),
        (
            "no-control.wasm",
            guest("guest-missing-export", PLAIN),
            Stage::Version,
            "missing-export",
            "it does not export perfhost:strategy/control@0.1.0 (it exports perfhost:strategy/route@0.1.0)",
            "one of the worlds strategy, tuner or advisor",
        ),
        (
            "thief.wasm",
            guest("guest-foreign-import", PLAIN),
            Stage::Imports,
            "import-not-granted",
            "it imports shop:payments/card@1.0.0, which is not granted",
            "remove shop:payments/card@1.0.0",
        ),
        (
            "other.wasm",
            guest("guest-wrong-version", PLAIN),
            Stage::Version,
            "unsupported-version",
            "version 9.9.9 of the contract",
            "or run it on a perfhost that serves 9.9.9",
        ),
        (
            "wrong.wasm",
            guest("guest-wrong-type", PLAIN),
            Stage::Types,
            "wrong-type",
            "the answer of describe is string, expected record {name, version, summary, …}",
            "regenerate the bindings",
        ),
        (
            "endless.wasm",
            guest("guest-endless-describe", PLAIN),
            Stage::Describe,
            "timeout",
            "describe took longer than its limit of 400 ms",
            "make describe end within 400 ms",
        ),
        ("empty.wasm", Vec::new(), Stage::Parse, "not-wasm", "the file is empty", "give the whole .wasm file"),
        (
            "strategy.py",
            b"import perfhost".to_vec(),
            Stage::Parse,
            "not-wasm",
            "it is a text file",
            "give the whole .wasm file",
        ),
        (
            "core.wasm",
            b"\0asm\x01\0\0\0".to_vec(),
            Stage::Parse,
            "not-a-component",
            "a core module without a component type",
            "build it with wit-bindgen against perfhost:strategy@0.1.0",
        ),
    ] {
        let error = refusal(name, bytes);
        assert_eq!((error.stage, error.failure.code()), (stage, code), "{name}: {error}");
        assert!(error.failure.to_string().contains(reason), "{name}: {}", error.failure);
        assert!(error.failure.fix().contains(fix), "{name}: {}", error.failure.fix());
        let message = error.to_string();
        assert!(message.contains(name) && message.contains(reason) && message.contains(fix), "{message}");
    }
    // The contract as it is passes every stage that looks at types; then the made-up functions trap.
    let error = refusal("dummy.wasm", built_against("world strategy", "world strategy"));
    assert_eq!((error.stage, error.failure.code()), (Stage::Describe, "trap"), "{error}");
}

#[test]
fn code_that_no_sandbox_compiles_is_refused_with_the_compilers_words() {
    let mut bytes = built_against("world strategy", "world strategy");
    // The memory section: one memory, no flags. Flag 2 makes it shared between threads, which no strategy has.
    let memory = bytes.windows(4).position(|part| part == [5, 3, 1, 0]).unwrap();
    bytes[memory + 3] = 2;
    let error = refusal("threads.wasm", bytes);
    assert_eq!((error.stage, error.failure.code()), (Stage::Compile, "compile"), "{error}");
    assert!(error.failure.to_string().contains("could not be compiled: "), "{error}");
    assert!(error.failure.to_string().contains("shared"), "{error}");
    assert!(error.failure.fix().contains("wasm-tools validate"), "{error}");
}
