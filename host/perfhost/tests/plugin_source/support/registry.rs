//! A registry in this process: manifests and blobs by name, wrong ones too, with or without authentication.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use perfhost::plugin_source::digest::Digest;
use serde_json::{Value, json};

use super::{Answer, Asked, PLUGIN, Server, Signer};

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
pub(crate) const LAYER_TYPE: &str = "application/wasm";
const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// How a registry asks who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Open,
    /// A token from `/token`, for anybody.
    Token,
    /// A token from `/token`, for `me` with `secret`.
    TokenForMe,
    /// `me` with `secret`, each time.
    Basic,
}

/// What it holds, by the path behind `/v2/strategies/fast/`.
type Held = Arc<Mutex<BTreeMap<String, Answer>>>;

/// A registry with one repository, `strategies/fast`.
pub(crate) struct FakeRegistry {
    pub(crate) server: Server,
    held: Held,
}

impl FakeRegistry {
    pub(crate) fn open() -> Self {
        Self::guarded(Guard::Open)
    }

    pub(crate) fn guarded(guard: Guard) -> Self {
        let held = Held::default();
        let inside = held.clone();
        let server = Server::start(move |asked| answer(guard, &inside, asked));
        Self { server, held }
    }

    /// A reference to the artifact with this tag or digest.
    pub(crate) fn reference(&self, tag_or_digest: &str) -> String {
        let mark = if tag_or_digest.starts_with("sha256:") { '@' } else { ':' };
        format!("oci://{}/strategies/fast{mark}{tag_or_digest}", self.server.address)
    }

    /// Answers `path` in this way from now on.
    pub(crate) fn hold(&self, path: &str, answer: Answer) {
        self.held.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Answers everything with this status from now on.
    pub(crate) fn fail_with(&self, status: u16) {
        self.held.lock().unwrap().values_mut().for_each(|answer| *answer = Answer::status(status));
    }

    /// Holds the plugin as it should be, under a tag and its digest; returns the digest of its manifest.
    pub(crate) fn push_plugin(&self, tag: &str) -> Digest {
        let manifest = Self::manifest(CONFIG_TYPE, &[Self::descriptor(LAYER_TYPE, PLUGIN)]);
        self.hold(&format!("blobs/{}", Digest::of(PLUGIN)), Answer::ok(PLUGIN));
        self.push_manifest(tag, &manifest)
    }

    /// Holds a manifest under a tag and its digest.
    pub(crate) fn push_manifest(&self, tag: &str, manifest: &Value) -> Digest {
        let bytes = manifest.to_string();
        let digest = Digest::of(bytes.as_bytes());
        let answer = Answer::ok(bytes).header("content-type", MANIFEST_TYPE);
        self.hold(&format!("manifests/{tag}"), answer.clone());
        self.hold(&format!("manifests/{digest}"), answer);
        digest
    }

    /// Holds signatures of a manifest where cosign leaves them: each a payload with what signed it.
    pub(crate) fn push_signatures(&self, of: &Digest, signed: &[(Vec<u8>, &Signer)]) {
        let layers: Vec<Value> = signed
            .iter()
            .map(|(payload, signer)| {
                self.hold(&format!("blobs/{}", Digest::of(payload)), Answer::ok(payload.clone()));
                let mut layer = Self::descriptor(PAYLOAD_TYPE, payload);
                layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signer.sign(payload) });
                layer
            })
            .collect();
        let manifest = Self::manifest("application/vnd.oci.image.config.v1+json", &layers);
        self.push_manifest(&format!("sha256-{}.sig", of.hex()), &manifest);
    }

    pub(crate) fn manifest(config: &str, layers: &[Value]) -> Value {
        json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": Self::descriptor(config, b"{}"), "layers": layers })
    }

    pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
        json!({ "mediaType": media_type, "digest": Digest::of(content).to_string(), "size": content.len() })
    }
}

fn answer(guard: Guard, held: &Held, asked: &Asked) -> Answer {
    // me:secret
    let is_me = asked.authorization.as_deref() == Some("Basic bWU6c2VjcmV0");
    if let Some(query) = asked.path.strip_prefix("/token?") {
        let is_asked_well = query == "scope=repository:strategies/fast:pull&service=the%20registry";
        return match is_asked_well && (guard == Guard::Token || is_me) {
            true => Answer::ok(r#"{"token":"a-token"}"#),
            false => Answer::status(401),
        };
    }
    let is_let_in = match guard {
        Guard::Open => true,
        Guard::Token | Guard::TokenForMe => asked.authorization.as_deref() == Some("Bearer a-token"),
        Guard::Basic => is_me,
    };
    if !is_let_in {
        let challenge = match guard {
            Guard::Basic => "Basic realm=\"registry\"".to_owned(),
            _ => format!(
                "Bearer realm=\"http://{}/token\",service=\"the registry\",scope=\"repository:strategies/fast:pull\"",
                asked.host
            ),
        };
        return Answer::status(401).header("www-authenticate", challenge);
    }
    let path = asked.path.strip_prefix("/v2/strategies/fast/").unwrap_or_default();
    held.lock().unwrap().get(path).cloned().unwrap_or_else(|| Answer::status(404))
}
