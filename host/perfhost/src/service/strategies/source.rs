//! Where the bytes of a plugin come from.

use std::path::{Path, PathBuf};

use perfhost_wasm::PluginSource;

use super::SwapError;
use crate::built_in;

/// How the source of a built-in strategy begins.
pub(super) const BUILT_IN_SOURCE: &str = "built-in";

/// A plugin's bytes, and the file that they were read from, if any.
pub(super) struct Found {
    pub(super) source: PluginSource,
    pub(super) path: Option<PathBuf>,
}

/// Reads the bytes of a plugin: a file of that path first, then a built-in strategy of that name.
pub fn read(name: &str) -> Result<PluginSource, SwapError> {
    if Path::new(name).is_file() {
        let bytes = std::fs::read(name).map_err(|error| SwapError::Read { path: name.to_owned(), error })?;
        return Ok(PluginSource { name: name.to_owned(), bytes });
    }
    let bytes = built_in::find(name).ok_or_else(|| SwapError::Unknown(name.to_owned()))?;
    Ok(PluginSource { name: format!("{BUILT_IN_SOURCE} {}", built_in::stem(name)), bytes: bytes.to_vec() })
}

impl Found {
    /// What [`read`] finds.
    pub(super) fn by_name(name: &str) -> Result<Self, SwapError> {
        let path = Path::new(name).is_file().then(|| std::path::absolute(name).ok()).flatten();
        Ok(Self { source: read(name)?, path })
    }

    /// A file that a client sent.
    pub(super) fn uploaded(name: &str, bytes: &[u8]) -> Self {
        Self { source: PluginSource { name: format!("upload {name}"), bytes: bytes.to_vec() }, path: None }
    }
}
