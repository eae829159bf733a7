//! Signatures made with a cosign key pair: ECDSA over P-256 with SHA-256, checked against public keys that configuration
//! names.
//!
//! Two forms, both cosign's own: a file's signature in base64 (`cosign sign-blob`), and a *simple signing* payload that
//! names a manifest's digest, with its signature (`cosign sign`). Sources: cosign's SIGNATURE_SPEC.md and the
//! containers/image simple signing format. Certificates and transparency logs are not looked at: trust is in the keys.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use thiserror::Error;
use webpki::RawPublicKeyEntity;
use webpki::ring::ECDSA_P256_SHA256;

use super::digest::Digest;

/// Bytes of a signature file; a P-256 signature in base64 has about a hundred.
pub(super) const SIGNATURE_BYTES: u64 = 16 << 10;

/// One public key.
#[derive(Clone)]
pub struct PublicKey {
    /// Its file's name, for people.
    pub name: String,
    key: SubjectPublicKeyInfoDer<'static>,
}

/// Why a file is no public key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is another kind of file or key.
    #[error(
        "{path}: {why}; expected is a PEM file with an ECDSA P-256 public key, as `cosign generate-key-pair` writes"
    )]
    NotAKey {
        /// The file.
        path: String,
        /// What was found.
        why: String,
    },
}

/// Why a signature is not good.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// It is not base64, or not text.
    #[error("the signature is not in base64, as cosign writes it")]
    NotBase64,
    /// No key fits: another key, or other bytes.
    #[error("none of the public keys ({0}) fits it: it was signed with another key, or changed after it was signed")]
    NoKeyFits(String),
    /// The signed payload is not of the expected form.
    #[error("the signed payload is no simple signing document: {0}")]
    NotSimpleSigning(String),
    /// It is a good signature of something else.
    #[error("it is the signature of {found}, not of {expected}")]
    OfSomethingElse {
        /// The manifest at hand.
        expected: Digest,
        /// What the payload names.
        found: String,
    },
}

/// cosign's payload: what was signed, of which only the digest matters here.
#[derive(Deserialize)]
struct SimpleSigning {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    /// The specification writes it with a capital, cosign without.
    #[serde(rename = "docker-manifest-digest", alias = "Docker-manifest-digest")]
    manifest_digest: String,
}

impl PublicKey {
    /// Reads a PEM file.
    ///
    /// # Errors
    /// [`KeyError`] names the file and what it is instead.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let written = path.display().to_string();
        let text = std::fs::read(path).map_err(|error| KeyError::Read { path: written.clone(), error })?;
        let not_a_key = |why: String| KeyError::NotAKey { path: written.clone(), why };
        let key = SubjectPublicKeyInfoDer::from_pem_slice(&text)
            .map_err(|error| not_a_key(format!("no public key in it ({error})")))?
            .into_owned();
        // The type of the key is looked at before its signature is: no bytes are a signature of any key.
        let is_p256 = match verify(&key, b"", b"") {
            Err(webpki::Error::InvalidSignatureForPublicKey) => true,
            Ok(()) | Err(_) => false,
        };
        if !is_p256 {
            return Err(not_a_key("a public key of another type".to_owned()));
        }
        let name = path.file_name().map_or(written.clone(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, key })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.name).finish()
    }
}

/// Checks the signature of `bytes` as `cosign sign-blob` writes it; the answer is the name of the key that fits.
pub(super) fn check_blob<'a>(keys: &'a [PublicKey], bytes: &[u8], signature: &str) -> Result<&'a str, SignatureError> {
    let signature = STANDARD.decode(signature.trim()).map_err(|_| SignatureError::NotBase64)?;
    let fits = keys.iter().find(|key| verify(&key.key, bytes, &signature).is_ok());
    fits.map(|key| key.name.as_str()).ok_or_else(|| {
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        SignatureError::NoKeyFits(names.join(", "))
    })
}

/// Checks a simple signing payload and that it is about `manifest`; the answer is the name of the key that fits.
pub(super) fn check_manifest<'a>(
    keys: &'a [PublicKey],
    manifest: &Digest,
    payload: &[u8],
    signature: &str,
) -> Result<&'a str, SignatureError> {
    let key = check_blob(keys, payload, signature)?;
    let signed: SimpleSigning =
        serde_json::from_slice(payload).map_err(|error| SignatureError::NotSimpleSigning(error.to_string()))?;
    let found = signed.critical.image.manifest_digest;
    if found.parse() == Ok(*manifest) {
        return Ok(key);
    }
    Err(SignatureError::OfSomethingElse { expected: *manifest, found: found.chars().take(100).collect() })
}

fn verify(key: &SubjectPublicKeyInfoDer<'_>, message: &[u8], signature: &[u8]) -> Result<(), webpki::Error> {
    RawPublicKeyEntity::try_from(key)?.verify_signature(ECDSA_P256_SHA256, message, signature)
}

#[cfg(test)]
mod tests;
