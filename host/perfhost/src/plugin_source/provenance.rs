//! What is known of where a plugin came from, for those who ask what is in service.

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

use super::digest::Digest;
use super::error::SourceError;
use super::kind::Kind;

/// Where one plugin came from, and what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The kind of place.
    #[serde(deserialize_with = "any_kind")]
    pub kind: Kind,
    /// The address that always means the same bytes, where there is one.
    pub pinned: Option<String>,
    /// The plugin's own digest.
    pub digest: Digest,
    /// What its signature came to.
    pub signature: SignatureState,
}

/// What came of looking for a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl Provenance {
    /// Whether it is the plugin that was asked for. `what` is how people know it.
    ///
    /// # Errors
    /// [`SourceError::DigestMismatch`].
    pub fn check(&self, what: &str, expected: Option<Digest>) -> Result<(), SourceError> {
        match expected.filter(|expected| *expected != self.digest) {
            None => Ok(()),
            Some(expected) => Err(SourceError::DigestMismatch { what: what.to_owned(), expected, found: self.digest }),
        }
    }
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

/// Also the one that configuration cannot name.
fn any_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let word = String::deserialize(deserializer)?;
    if word == Kind::BuiltIn.to_string() { Ok(Kind::BuiltIn) } else { Kind::deserialize(word.into_deserializer()) }
}
