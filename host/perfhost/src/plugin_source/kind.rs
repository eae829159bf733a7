//! The kinds of places that plugins come from. Configuration decides for each what is trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a plugin came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The perfhost binary itself; always trusted.
    #[serde(skip_deserializing)]
    BuiltIn,
    /// A file on the host's machine.
    Path,
    /// An http or https address.
    Url,
    /// An OCI registry.
    Oci,
    /// The body of a request to the API.
    Upload,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::BuiltIn => "built-in",
            Kind::Path => "path",
            Kind::Url => "url",
            Kind::Oci => "oci",
            Kind::Upload => "upload",
        })
    }
}
