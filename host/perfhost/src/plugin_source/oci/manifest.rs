//! The layout of a Wasm artifact: one manifest, one configuration, one layer that is the plugin.
//!
//! Source: the CNCF's Wasm OCI artifact layout, as `wkg` and `oras` push it, and the OCI image specification.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::digest::Digest;

/// A manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What is asked for: an index too, so that its refusal can say what it is.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                                 application/vnd.docker.distribution.manifest.v2+json";
/// The configuration of a Wasm artifact.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The plugin.
const LAYER: &str = "application/wasm";
/// A cosign payload.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where cosign keeps the payload's signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What a registry keeps of an artifact.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    media_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// One part of an artifact.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: String,
    digest: String,
    /// Bytes, as the manifest says.
    pub(super) size: u64,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads a manifest; the error says what it is instead.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| format!("no manifest: {error}"))?;
        match manifest.media_type.as_deref() {
            None | Some(MANIFEST) => Ok(manifest),
            Some(other) => Err(format!("its manifest is {other}, expected is {MANIFEST}")),
        }
    }

    /// The plugin's layer; the error says which media type was found instead.
    pub(super) fn plugin(&self) -> Result<&Descriptor, String> {
        let config = self.config.as_ref().map_or("missing", |config| config.media_type.as_str());
        if config != CONFIG {
            return Err(format!("its configuration is {config}, expected is {CONFIG}"));
        }
        match self.layers.as_slice() {
            [layer] if layer.media_type == LAYER => Ok(layer),
            layers => {
                let found: Vec<&str> = layers.iter().map(|layer| layer.media_type.as_str()).take(8).collect();
                let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
                Err(format!("its layers are {found}, expected is one, {LAYER}"))
            }
        }
    }

    /// The cosign payloads, each with its signature.
    pub(super) fn payloads(&self) -> impl Iterator<Item = (&Descriptor, &str)> {
        self.layers.iter().filter(|layer| layer.media_type == PAYLOAD).filter_map(|layer| {
            let signature = layer.annotations.as_ref()?.get(SIGNATURE)?;
            Some((layer, signature.as_str()))
        })
    }
}

impl Descriptor {
    /// Its digest; the error says what is written there instead.
    pub(super) fn digest(&self) -> Result<Digest, String> {
        self.digest.parse().map_err(|error: super::super::digest::DigestError| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(config: &str, layers: &[&str]) -> Manifest {
        let digest = Digest::of(b"x").to_string();
        let descriptor = |kind: &str| serde_json::json!({ "mediaType": kind, "digest": digest, "size": 1 });
        let layers: Vec<_> = layers.iter().map(|kind| descriptor(kind)).collect();
        let text = serde_json::json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config), "layers": layers });
        Manifest::parse(text.to_string().as_bytes()).expect("a manifest")
    }

    #[test]
    fn a_wasm_artifact_has_one_layer() {
        assert_eq!(manifest(CONFIG, &[LAYER]).plugin().expect("a plugin").digest(), Ok(Digest::of(b"x")));
        for (config, layers, words) in [
            ("application/vnd.oci.image.config.v1+json", &[LAYER][..], "vnd.oci.image.config"),
            (CONFIG, &[], "its layers are none"),
            (CONFIG, &[LAYER, LAYER], "expected is one"),
            (CONFIG, &["application/vnd.oci.image.layer.v1.tar+gzip"], "tar+gzip"),
        ] {
            let error = manifest(config, layers).plugin().expect_err(words);
            assert!(error.contains(words) && error.contains("expected is"), "{error}");
        }
    }

    #[test]
    fn an_index_is_refused_by_its_name() {
        let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        assert!(Manifest::parse(index).expect_err("an index").contains("image.index"));
        assert!(Manifest::parse(b"<html>").expect_err("a page").contains("no manifest"));
    }
}
