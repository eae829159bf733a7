//! How many bytes are read at most, and whose decision that is.

use std::fmt;

/// The setting for the size of plugins.
const PLUGIN_SETTING: &str = "sandbox.limits.max_file_bytes";

/// A bound on bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Bytes.
    pub bytes: u64,
    setting: Option<&'static str>,
}

impl Bound {
    /// The bound of a plugin, which configuration sets.
    pub fn of_plugin(bytes: u64) -> Self {
        Self { bytes, setting: Some(PLUGIN_SETTING) }
    }

    /// A bound that is the same everywhere.
    pub const fn fixed(bytes: u64) -> Self {
        Self { bytes, setting: None }
    }

    /// The same decision, over fewer bytes.
    pub fn at_most(self, bytes: u64) -> Self {
        if bytes < self.bytes { Self::fixed(bytes) } else { self }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting {
            Some(setting) => write!(f, "{} ({setting})", self.bytes),
            None => write!(f, "{}", self.bytes),
        }
    }
}
