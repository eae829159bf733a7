//! The name of a new strategy: what it may be, and its forms in file names and identifiers.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Language;
use crate::built_in;

/// Longest name that the contract's description takes.
const MAX_BYTES: usize = 64;

/// Words that cargo refuses as the name of a package.
const RUST_WORDS: &[&str] = &[
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate", "do",
    "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "std", "struct",
    "super", "test", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while",
    "yield",
];

/// A checked name: small letters, digits and single hyphens, a letter first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyName(String);

/// Why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// It is not of the form that every language can use.
    #[error(
        "{0:?} is not a name for a strategy: small letters, digits and single hyphens, a letter first, \
         at most {MAX_BYTES} bytes, for example {1:?}"
    )]
    Form(String, String),
    /// A strategy inside perfhost is called that.
    #[error("{0:?} is the name of a built-in strategy ({names}); choose another", names = built_in::names())]
    BuiltIn(String),
    /// The language keeps the word for itself.
    #[error("{0:?} is a word of Rust, and cargo takes no package of that name; choose another")]
    RustWord(String),
}

impl StrategyName {
    /// Whether a project in this language may be called that.
    ///
    /// # Errors
    /// [`NameError::RustWord`].
    pub fn check_for(&self, language: Language) -> Result<(), NameError> {
        if language == Language::Rust && RUST_WORDS.contains(&self.0.as_str()) {
            return Err(NameError::RustWord(self.0.clone()));
        }
        Ok(())
    }

    /// With underscores, as cargo names files.
    pub fn identifier(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for StrategyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_kebab = text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
            && !text.ends_with('-')
            && !text.contains("--");
        if !is_kebab || text.len() > MAX_BYTES {
            return Err(NameError::Form(text.to_owned(), suggestion(text)));
        }
        if built_in::find(text).is_some() {
            return Err(NameError::BuiltIn(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A name of the right form that is close to `text`.
fn suggestion(text: &str) -> String {
    let mut close = String::new();
    for letter in text.chars().take(MAX_BYTES) {
        if letter.is_ascii_uppercase() && close.ends_with(|last: char| last.is_ascii_lowercase()) {
            close.push('-');
        }
        if letter.is_ascii_alphanumeric() {
            close.push(letter.to_ascii_lowercase());
        } else if !close.ends_with('-') {
            close.push('-');
        }
    }
    let close = close.trim_start_matches(|first: char| !first.is_ascii_lowercase()).trim_end_matches('-');
    if close.is_empty() { "my-strategy".to_owned() } else { close.chars().take(MAX_BYTES).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case() {
        for good in ["a", "night-shift", "v2-limits", "x1"] {
            assert_eq!(good.parse::<StrategyName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        let long = "a".repeat(65);
        for bad in ["", "Night", "night_shift", "-a", "a-", "a--b", "1a", "a b", "../a", "ä", &long] {
            assert!(matches!(bad.parse::<StrategyName>(), Err(NameError::Form(..))), "{bad}");
        }
        assert_eq!("night-shift".parse::<StrategyName>().unwrap().identifier(), "night_shift");
    }

    #[test]
    fn the_error_offers_a_name_that_works() {
        for (bad, offered) in
            [("NightShift", "night-shift"), ("night_shift", "night-shift"), ("3rd", "rd"), ("", "my-strategy")]
        {
            assert_eq!(suggestion(bad), offered);
            assert!(offered.parse::<StrategyName>().is_ok());
        }
    }

    #[test]
    fn names_that_are_taken_are_refused() {
        assert_eq!("balanced".parse::<StrategyName>(), Err(NameError::BuiltIn("balanced".to_owned())));
        let name: StrategyName = "match".parse().unwrap();
        assert!(name.check_for(Language::Rust).is_err() && name.check_for(Language::Python).is_ok());
    }
}
