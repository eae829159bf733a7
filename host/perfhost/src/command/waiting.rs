//! A line that says what a command is at while it takes its time. Only on a terminal: elsewhere nobody waits for it.

use std::cell::Cell;
use std::io::{IsTerminal, Write, stderr};

/// The line on the standard error; gone when dropped.
pub struct Waiting {
    is_terminal: bool,
    is_shown: Cell<bool>,
}

impl Waiting {
    /// Nothing is shown yet.
    pub fn on_stderr() -> Self {
        Self { is_terminal: stderr().is_terminal(), is_shown: Cell::new(false) }
    }

    /// Shows `what` in place of what was there.
    pub fn show(&self, what: &str) {
        if self.is_terminal {
            self.is_shown.set(true);
            // A courtesy: a closed standard error must not end the work.
            let _written = write!(stderr(), "\r\x1b[2K{what} …");
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_shown.get() {
            let _written = write!(stderr(), "\r\x1b[2K");
        }
    }
}
