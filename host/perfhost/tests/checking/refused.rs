//! Every broken plugin gets its own verdict: the stage or call, the reason, and what to do.

use serde_json::Value;

use super::{PLAIN, WASI, check, found, guest, perfhost, text};

/// The one error, with what it says.
fn only_error(plugin: &str, flags: &[&str]) -> (Value, Value) {
    let (code, checked) = check(plugin, flags);
    assert_eq!((code, checked["verdict"].as_str()), (1, Some("errors")), "{plugin}: {checked:#}");
    let errors: Vec<&Value> =
        checked["findings"].as_array().unwrap().iter().filter(|one| one["severity"] == "error").collect();
    assert_eq!(errors.len(), 1, "{plugin}: {errors:#?}");
    (errors[0].clone(), checked.clone())
}

fn expect(finding: &Value, (code, place, what, fix): (&str, &str, &str, &str)) {
    assert_eq!((finding["code"].as_str(), finding["place"].as_str()), (Some(code), Some(place)), "{finding:#}");
    assert!(finding["what"].as_str().unwrap().contains(what), "{finding:#}");
    assert!(finding["fix"].as_str().unwrap().contains(fix), "{finding:#}");
}

#[test]
fn what_does_not_load_is_refused_at_its_stage_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    };
    let whole = std::fs::read(guest("guest-wrong-type", PLAIN)).unwrap();
    for (plugin, expected) in [
        (
            guest("guest-missing-export", PLAIN),
            (
                "missing-export",
                "loading, stage version",
                "it does not export perfhost:strategy/control@0.1.0 (it exports perfhost:strategy/route@0.1.0)",
                "build it for one of the worlds strategy, tuner or advisor",
            ),
        ),
        (
            guest("guest-wrong-version", PLAIN),
            (
                "unsupported-version",
                "loading, stage version",
                "version 9.9.9 of the contract: this host serves perfhost:strategy@0.1.0",
                "regenerate the bindings from wit/v0.1.0",
            ),
        ),
        (
            guest("guest-wrong-type", PLAIN),
            (
                "wrong-type",
                "loading, stage types",
                "the answer of describe is string, expected record {name, version, summary, …}",
                "regenerate the bindings for perfhost:strategy@0.1.0",
            ),
        ),
        (
            guest("guest-foreign-import", PLAIN),
            (
                "import-not-granted",
                "loading, stage imports",
                "it imports shop:payments/card@1.0.0, which is not granted",
                "remove shop:payments/card@1.0.0",
            ),
        ),
        (
            made("empty.wasm", b""),
            ("not-wasm", "loading, stage parse", "the file is empty", "give the whole .wasm file"),
        ),
        (
            made("cut.wasm", &whole[..whole.len() / 2]),
            ("not-wasm", "loading, stage parse", "cut short or damaged", "give the whole .wasm file"),
        ),
        (
            made("a.py", b"import x"),
            ("not-wasm", "loading, stage parse", "it is a text file", "give the whole .wasm file"),
        ),
        (
            made("core.wasm", b"\0asm\x01\0\0\0"),
            (
                "not-a-component",
                "loading, stage parse",
                "a core module without a component type",
                "wasm-tools component embed",
            ),
        ),
    ] {
        let (error, checked) = only_error(&plugin, &[]);
        expect(&error, expected);
        assert!(checked["conformance"].is_null() && !checked["sizes"].as_array().unwrap().is_empty(), "{checked:#}");
        let last = checked["inspection"]["stages"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((last["is_passed"].as_bool(), &last["fix"]), (Some(false), &error["fix"]), "{plugin}");
    }
}

#[test]
fn a_plugin_that_never_says_who_it_is_is_given_up() {
    let (error, _) = only_error(&guest("guest-endless-describe", PLAIN), &[]);
    expect(
        &error,
        ("timeout", "loading, stage describe", "longer than its limit of 10000 ms", "make describe end within"),
    );
}

#[test]
fn each_way_to_misbehave_is_named_with_the_call_and_the_case() {
    let hostile = guest("guest-hostile", PLAIN);
    for (mode, expected) in [
        ("trap", ("trap", "propose, case \"no metrics\"", "fall_over", "find what panics or aborts in propose")),
        ("nan", ("invalid-answer", "propose, case \"no metrics\"", "is NaN", "answer finite numbers only")),
        (
            "infinite",
            ("invalid-answer", "propose, case \"no metrics\"", "the confidence in candidate_weight is inf", "finite"),
        ),
        ("many", ("output-too-large", "propose, case \"no metrics\"", "propose answered too much", "at most")),
        ("huge-state", ("output-too-large", "save, case \"no metrics\"", "3145728, limit 1048576", "at most 1048576")),
        ("refuse", ("not-configured", "configure", "refuse is not allowed", "--param name=value")),
        (
            "plan-nothing",
            ("invalid-answer", "plan-request, the largest request, 1 candidates", "order is empty", "at least one"),
        ),
        (
            "plan-nobody",
            ("invalid-answer", "plan-request, the largest request, 1 candidates", "candidate 9", "at most once"),
        ),
        ("plan-trap", ("trap", "plan-request, the largest request, 1 candidates", "fall_over", "find what panics")),
    ] {
        let (error, _) = only_error(&hostile, &["--cases", "5", "--param", &format!("mode={mode}")]);
        expect(&error, expected);
    }
}

#[test]
fn what_lies_outside_bounds_is_listed_and_fails_only_where_that_is_asked_for() {
    let flags = ["--cases", "5", "--param", "mode=negative"];
    let hostile = guest("guest-hostile", PLAIN);
    let (code, checked) = check(&hostile, &flags);
    assert_eq!((code, checked["verdict"].as_str(), checked["errors"].as_u64()), (0, Some("warnings"), Some(0)));
    let place = "propose, case \"no metrics\"";
    assert!(found(&checked).contains(&["out-of-bounds", "concurrency_limit", place]), "{:?}", found(&checked));
    let strict = perfhost(&[&["check", &hostile, "--strict"], &flags[..]].concat());
    assert_eq!(strict.status.code(), Some(1));
    let said = text(&strict.stdout);
    assert!(said.contains("concurrency_limit of host: -5 is outside 1 to 100000"), "{said}");
    assert!(text(&strict.stderr).contains("--strict"), "{}", text(&strict.stderr));
}

#[test]
fn a_guest_that_looks_outside_finds_nothing_and_is_told_to_do_without() {
    let nosy = guest("guest-nosy", WASI);
    let (code, checked) = check(&nosy, &["--cases", "5", "--param", "mode=network"]);
    assert_eq!(code, 1);
    let findings = checked["findings"].as_array().unwrap();
    let refused = findings.iter().find(|one| one["code"] == "not-granted").unwrap();
    expect(
        refused,
        ("not-granted", "propose, case \"no metrics\"", "propose used wasi:sockets/", "do without wasi:sockets/"),
    );
    let imports = checked["inspection"]["imports"].as_array().unwrap();
    assert!(imports.iter().any(|import| import["answer"] == "wasi-without-grants"), "{imports:?}");

    let (_, checked) = check(&nosy, &["--cases", "5", "--param", "mode=exit"]);
    let trap = checked["findings"].as_array().unwrap().iter().find(|one| one["code"] == "trap").unwrap().clone();
    assert!(trap["what"].as_str().unwrap().contains("ended itself with exit status"), "{trap:#}");
}
