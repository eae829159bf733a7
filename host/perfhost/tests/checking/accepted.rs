//! Strategies that keep to the contract have no finding at all.

use perfhost::built_in::BUILT_IN;

use super::{PLAIN, check, found, guest};

#[test]
fn every_built_in_strategy_passes_with_no_finding() {
    for (name, _) in BUILT_IN {
        for seed in ["1", "2"] {
            let (code, checked) = check(name, &["--strict", "--cases", "80", "--seed", seed]);
            assert_eq!(checked["findings"].to_string(), "[]", "{name}, seed {seed}");
            assert_eq!((code, checked["verdict"].as_str()), (0, Some("clean")), "{name}, seed {seed}");
            assert!(checked["conformance"]["proposals"].as_u64() > Some(0), "{name} proposes nothing");
        }
    }
}

#[test]
fn a_guest_that_behaves_passes_too() {
    let (code, checked) = check(&guest("guest-versioned", PLAIN), &["--strict", "--cases", "20"]);
    assert_eq!((code, found(&checked)), (0, Vec::new()));
}
