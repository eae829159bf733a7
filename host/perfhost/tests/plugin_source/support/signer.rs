//! A key pair, and signatures in the form that cosign writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use perfhost::plugin_source::digest::Digest;
use rcgen::{KeyPair, SigningKey};

/// Signs with ECDSA over P-256, as a cosign key pair does.
pub(crate) struct Signer(KeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate().unwrap())
    }

    /// What is in `cosign.pub`.
    pub(crate) fn public_pem(&self) -> String {
        self.0.public_key_pem()
    }

    /// What `cosign sign-blob` writes.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        STANDARD.encode(self.0.sign(bytes).unwrap())
    }

    /// What `cosign sign` signs.
    pub(crate) fn payload(of: &Digest) -> Vec<u8> {
        serde_json::json!({
            "critical": {
                "identity": { "docker-reference": "localhost/strategies/fast" },
                "image": { "docker-manifest-digest": of.to_string() },
                "type": "cosign container image signature",
            },
            "optional": null,
        })
        .to_string()
        .into_bytes()
    }
}
