//! A command that cannot begin with what it was given: a file that is not there, a name that nobody knows. It ends with
//! the exit code of wrong usage, so that scripts can tell it from a result that is bad news.

use anyhow::Error;
use thiserror::Error;

/// What was wrong with the words of a command.
#[derive(Debug, Error)]
#[error("{0:#}")]
pub struct Misuse(Error);

/// Marks an error as wrong usage.
pub fn misuse(error: impl Into<Error>) -> Error {
    Misuse(error.into()).into()
}

/// Whether the error is wrong usage.
pub fn is_misuse(error: &Error) -> bool {
    error.is::<Misuse>()
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn wrong_usage_is_known_by_its_mark_and_keeps_its_words() {
        let cause = anyhow!("no such file").context("reading x.wasm");
        let error = Err::<(), _>(misuse(cause)).context("checking").unwrap_err();
        assert!(is_misuse(&error) && format!("{error:#}") == "checking: reading x.wasm: no such file");
        assert!(!is_misuse(&anyhow!("no such file")));
    }
}
