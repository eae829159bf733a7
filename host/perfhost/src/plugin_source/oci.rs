//! Plugins from an OCI registry: a tag is resolved to a manifest's digest, the manifest to the plugin's, and everything is
//! checked against the digest that named it. Signatures are fetched where cosign leaves them.
//!
//! What was fetched before is not fetched again, and a tag that cannot be asked for means what it meant the last time: a
//! restart works while the registry does not.

mod login;
mod manifest;
mod reference;
mod registry;

use std::path::Path;

pub use login::Login;
pub(crate) use login::docker_config;
use manifest::{ACCEPT, Descriptor, Manifest};
pub use reference::Reference;
use registry::Registry;

use super::bound::Bound;
use super::digest::Digest;
use super::error::SourceError;
use super::fetch::Transport;
use super::signature::SignatureError;
use super::store::{Note, Store};

/// Bytes of a manifest; registries take no larger ones.
const MANIFEST_BOUND: Bound = Bound::fixed(4 << 20);
/// Bytes of a cosign payload.
const PAYLOAD_BOUND: Bound = Bound::fixed(64 << 10);
/// Signatures of one manifest that are looked at.
const MOST_SIGNATURES: usize = 16;

/// Pulls one artifact.
pub(super) struct Puller<'a> {
    store: &'a Store,
    registry: Registry<'a>,
    reference: &'a Reference,
}

/// A plugin from a registry.
pub(super) struct Pulled {
    pub(super) bytes: Vec<u8>,
    /// The digest of the plugin itself.
    pub(super) digest: Digest,
    /// The digest of its manifest: what a reference is pinned by, and what is signed.
    pub(super) manifest: Digest,
}

/// A cosign payload with its signature in base64.
pub(super) struct SignedPayload {
    pub(super) payload: Vec<u8>,
    pub(super) signature: String,
}

impl<'a> Puller<'a> {
    /// `configured` is the login of the configuration; without one, docker's is used.
    pub(super) fn new(
        transport: &'a Transport,
        store: &'a Store,
        reference: &'a Reference,
        configured: Option<Login>,
        docker_config: Option<&Path>,
    ) -> Self {
        let login = configured.or_else(|| login::from_docker(docker_config?, &reference.registry));
        Self { store, registry: Registry::new(transport, reference, login), reference }
    }

    /// The plugin, of at most `limit`.
    pub(super) fn pull(&mut self, limit: Bound) -> Result<Pulled, SourceError> {
        let (digest_of_manifest, bytes) = match (self.reference.digest, &self.reference.tag) {
            (Some(digest), _) => (digest, self.manifest(&digest)?),
            (None, tag) => self.resolve(tag.as_deref().unwrap_or_default())?,
        };
        let not_wasm = |why| SourceError::NotWasm { reference: self.reference.to_string(), why };
        let manifest = Manifest::parse(&bytes).map_err(not_wasm)?;
        let layer = manifest.plugin().map_err(not_wasm)?.clone();
        let bytes = self.blob(&layer, "the plugin", limit)?;
        Ok(Pulled { digest: Digest::of(&bytes), bytes, manifest: digest_of_manifest })
    }

    /// What cosign signed of a manifest: kept in the same repository under a tag that is made of its digest.
    pub(super) fn signed_payloads(&mut self, of: &Digest) -> Result<Vec<SignedPayload>, SourceError> {
        let bytes = match self.resolve(&signature_tag(of)) {
            Ok((_, bytes)) => bytes,
            Err(SourceError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let manifest = Manifest::parse(&bytes).map_err(|why| SourceError::BadSignature {
            what: self.reference.to_string(),
            why: SignatureError::NotSimpleSigning(format!("{}: {why}", self.signature_reference(of))),
        })?;
        let mut payloads = Vec::new();
        for (layer, signature) in manifest.payloads().take(MOST_SIGNATURES) {
            let payload = self.blob(layer, "a signed payload", PAYLOAD_BOUND)?;
            payloads.push(SignedPayload { payload, signature: signature.to_owned() });
        }
        Ok(payloads)
    }

    /// Where the signatures of a manifest are looked for.
    pub(super) fn signature_reference(&self, of: &Digest) -> String {
        Reference { tag: Some(signature_tag(of)), digest: None, ..self.reference.clone() }.to_string()
    }

    /// What a tag means now; where the registry cannot say, what it meant the last time.
    fn resolve(&mut self, tag: &str) -> Result<(Digest, Vec<u8>), SourceError> {
        let name = format!("{}/{}:{tag}", self.reference.registry, self.reference.repository);
        match self.registry.get(&format!("manifests/{tag}"), &name, ACCEPT, MANIFEST_BOUND) {
            Ok(bytes) => {
                let digest = Digest::of(&bytes);
                self.store.keep(&digest, &bytes);
                self.store.write_note(Note::Tag(&name), &digest.to_string());
                Ok((digest, bytes))
            }
            Err(error) if is_passing(&error) => {
                let digest: Option<Digest> = self.store.note(Note::Tag(&name)).and_then(|text| text.parse().ok());
                let Some((digest, bytes)) = digest.and_then(|digest| Some((digest, self.store.content(&digest)?)))
                else {
                    return Err(error);
                };
                tracing::warn!(tag = name, %digest, %error, "the registry cannot be asked; the tag is taken to mean what it meant the last time");
                Ok((digest, bytes))
            }
            Err(error) => Err(error),
        }
    }

    fn manifest(&mut self, digest: &Digest) -> Result<Vec<u8>, SourceError> {
        if let Some(bytes) = self.store.content(digest) {
            return Ok(bytes);
        }
        let name = format!("{}/{}@{digest}", self.reference.registry, self.reference.repository);
        let bytes = self.registry.get(&format!("manifests/{digest}"), &name, ACCEPT, MANIFEST_BOUND)?;
        self.checked(name, *digest, bytes)
    }

    fn blob(&mut self, descriptor: &Descriptor, what: &str, limit: Bound) -> Result<Vec<u8>, SourceError> {
        let digest =
            descriptor.digest().map_err(|why| SourceError::NotWasm { reference: self.reference.to_string(), why })?;
        let what = format!("{what} of {} ({digest})", self.reference);
        if descriptor.size > limit.bytes {
            return Err(SourceError::TooLarge { what, size: descriptor.size, limit });
        }
        if let Some(bytes) = self.store.content(&digest) {
            return Ok(bytes);
        }
        let limit = limit.at_most(descriptor.size);
        let bytes = self.registry.get(&format!("blobs/{digest}"), &what, "application/octet-stream, */*", limit)?;
        self.checked(what, digest, bytes)
    }

    /// The bytes, once they are what they should be; from then on they are kept.
    fn checked(&self, what: String, expected: Digest, bytes: Vec<u8>) -> Result<Vec<u8>, SourceError> {
        let found = Digest::of(&bytes);
        if found != expected {
            return Err(SourceError::DigestMismatch { what, expected, found });
        }
        self.store.keep(&expected, &bytes);
        Ok(bytes)
    }
}

fn signature_tag(of: &Digest) -> String {
    format!("sha256-{}.sig", of.hex())
}

/// Failures that say nothing about what a tag means.
fn is_passing(error: &SourceError) -> bool {
    match error {
        SourceError::Network { .. } => true,
        SourceError::Status { status, .. } => *status == 429 || *status >= 500,
        _ => false,
    }
}
