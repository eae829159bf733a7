//! Why something that a person asked of alerts is not done.

use thiserror::Error;

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlertError {
    /// No alert of that number fires.
    #[error("no alert {0} is firing; `perfhost alerts` lists those that are")]
    NotFiring(u64),
    /// No rule has that name.
    #[error("no alert rule is called {found:?}; there are {known}")]
    UnknownRule {
        /// The name.
        found: String,
        /// The names that there are.
        known: String,
    },
    /// Too many silences.
    #[error("there are {0} silences already, which is as many as are kept; end one first")]
    TooManySilences(usize),
    /// No silence has that number.
    #[error("there is no silence {0}")]
    NoSuchSilence(u64),
}
