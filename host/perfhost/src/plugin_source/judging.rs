//! What a signature, or its absence, means under a configuration.

use tracing::warn;

use super::error::SourceError;
use super::intake::Intake;
use super::kind::Kind;
use super::provenance::{Provenance, SignatureState};
use super::signature::{SignatureError, check_blob};
use crate::config::trust::Trust;

impl Intake {
    /// Whether a plugin that was let in earlier, and is kept, would be let in today by what vouched for it then: where a
    /// signature is required, by a key of a name that is still configured.
    ///
    /// # Errors
    /// [`SourceError::NotTrustedNow`].
    pub fn check_kept(&self, what: &str, kept: &Provenance) -> Result<(), SourceError> {
        let trust = &self.config.trust;
        let is_verified = matches!(&kept.signature, SignatureState::Verified { key } if trust.has_key(key));
        if is_verified || !trust.signed_sources.contains(&kept.kind) {
            return Ok(());
        }
        Err(SourceError::NotTrustedNow { what: what.to_owned(), kind: kept.kind })
    }
}

/// As [`judge`], for a signature of the plugin's own bytes.
pub(super) fn judge_blob(
    trust: &Trust,
    what: &str,
    kind: Kind,
    bytes: &[u8],
    looked_for: impl FnOnce() -> String,
    signature: impl FnOnce() -> Result<Option<String>, SourceError>,
) -> Result<SignatureState, SourceError> {
    judge(trust, what, kind, looked_for, || {
        Ok(signature()?.map(|text| check_blob(&trust.keys, bytes, &text).map(str::to_owned)))
    })
}

/// Decides by what `check` found: the name of the key that fits, why none does, or that there is no signature.
pub(super) fn judge(
    trust: &Trust,
    what: &str,
    kind: Kind,
    looked_for: impl FnOnce() -> String,
    check: impl FnOnce() -> Result<Option<Result<String, SignatureError>>, SourceError>,
) -> Result<SignatureState, SourceError> {
    if trust.keys.is_empty() {
        return Ok(SignatureState::NotChecked);
    }
    let is_required = trust.signed_sources.contains(&kind);
    match check() {
        Ok(Some(Ok(key))) => Ok(SignatureState::Verified { key }),
        Ok(None) if is_required => Err(SourceError::Unsigned { what: what.to_owned(), kind, looked_for: looked_for() }),
        Ok(Some(Err(why))) if is_required => Err(SourceError::BadSignature { what: what.to_owned(), why }),
        Err(error) if is_required => Err(error),
        Ok(None) => Ok(SignatureState::Unsigned),
        Ok(Some(Err(why))) => {
            warn!(plugin = what, %why, "its signature is not good; it is loaded because trust.require_signature does not ask for one");
            Ok(SignatureState::NotVerified { why: why.to_string() })
        }
        Err(error) => {
            warn!(plugin = what, %error, "its signature could not be looked at; it need not have one");
            Ok(SignatureState::NotVerified { why: error.to_string() })
        }
    }
}
