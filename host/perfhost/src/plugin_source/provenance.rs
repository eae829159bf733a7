//! What is known of where a plugin came from, for those who ask what is in service.

use serde::Serialize;

use super::digest::Digest;
use super::kind::Kind;

/// Where one plugin came from, and what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The kind of place.
    pub kind: Kind,
    /// The address that always means the same bytes, where there is one.
    pub pinned: Option<String>,
    /// The plugin's own digest.
    #[serde(serialize_with = "as_text")]
    pub digest: Digest,
    /// What its signature came to.
    pub signature: SignatureState,
}

/// What came of looking for a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SignatureState {
    /// Not looked for: no public keys are configured, or the binary vouches for it.
    NotChecked,
    /// Signed by a configured key.
    Verified {
        /// The key's file name.
        key: String,
    },
    /// Not signed, and it need not be.
    Unsigned,
    /// Signed by somebody else, or changed since; it need not be signed.
    NotVerified {
        /// Why not.
        why: String,
    },
}

impl SignatureState {
    /// One line for people.
    pub fn words(&self) -> String {
        match self {
            Self::NotChecked => "not checked".to_owned(),
            Self::Verified { key } => format!("verified by {key}"),
            Self::Unsigned => "unsigned".to_owned(),
            Self::NotVerified { why } => format!("NOT verified: {why}"),
        }
    }
}

fn as_text<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}
