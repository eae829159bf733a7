//! Plugins from OCI registries: tags, digests, credentials, and everything that a registry can get wrong.

use perfhost::plugin_source::digest::Digest;
use perfhost::plugin_source::kind::Kind;
use serde_json::json;

use crate::support::{Answer, CONFIG_TYPE, FakeRegistry, Guard, LAYER_TYPE, MANIFEST_TYPE, PLUGIN, Server, Setup};

#[test]
fn a_tag_is_resolved_and_shown_with_what_it_means() {
    let registry = FakeRegistry::open();
    let manifest = registry.push_plugin("1.0");
    let plugin = Setup::new("").read(&registry.reference("1.0")).unwrap();
    assert_eq!((plugin.source.bytes.as_slice(), plugin.provenance.kind), (PLUGIN, Kind::Oci));
    assert_eq!(plugin.source.name, registry.reference("1.0"));
    assert_eq!(plugin.provenance.digest, Digest::of(PLUGIN));
    assert_eq!(plugin.provenance.pinned, Some(registry.reference(&manifest.to_string())));
}

#[test]
fn a_digest_needs_no_network_the_second_time() {
    let registry = FakeRegistry::open();
    let pinned = registry.reference(&registry.push_plugin("1.0").to_string());
    let setup = Setup::new("");
    assert!(setup.read(&pinned).is_ok());
    let before = registry.server.asked().len();
    assert_eq!(setup.read(&pinned).unwrap().source.bytes, PLUGIN);
    assert_eq!(registry.server.asked().len(), before);
}

#[test]
fn a_tag_means_what_it_meant_while_the_registry_is_away() {
    let registry = FakeRegistry::open();
    registry.push_plugin("1.0");
    let setup = Setup::new("");
    assert!(setup.read(&registry.reference("1.0")).is_ok());
    registry.fail_with(503);
    assert_eq!(setup.read(&registry.reference("1.0")).unwrap().source.bytes, PLUGIN);
    registry.fail_with(404);
    let (code, message) = setup.refused(&registry.reference("1.0"));
    assert_eq!(code, "not-found", "gone is an answer: {message}");

    registry.fail_with(503);
    assert_eq!(Setup::new("").refused(&registry.reference("1.0")).0, "status", "nothing is remembered elsewhere");
}

#[test]
fn what_does_not_exist_is_named() {
    let registry = FakeRegistry::open();
    registry.push_plugin("1.0");
    let (code, message) = Setup::new("").refused(&registry.reference("2.0"));
    assert_eq!(code, "not-found");
    assert!(message.contains("strategies/fast:2.0") && message.contains("/manifests/2.0"), "{message}");
}

#[test]
fn a_token_is_fetched_for_whoever_may_have_one() {
    let registry = FakeRegistry::guarded(Guard::Token);
    registry.push_plugin("1.0");
    assert!(Setup::new("").read(&registry.reference("1.0")).is_ok());
    let tokens = registry.server.asked().iter().filter(|asked| asked.path.starts_with("/token")).count();
    assert_eq!(tokens, 1, "one serves for all of a pull");
}

#[test]
fn credentials_come_from_the_configuration_or_from_docker() {
    for guard in [Guard::TokenForMe, Guard::Basic] {
        let registry = FakeRegistry::guarded(guard);
        registry.push_plugin("1.0");
        let reference = registry.reference("1.0");
        let host = &registry.server.address;

        let (code, message) = Setup::new("").refused(&reference);
        assert_eq!(code, "denied", "{guard:?}");
        assert!(message.contains("[[registry]]") && message.contains(host.as_str()), "{message}");

        let login = |user: &str| {
            format!("[[registry]]\nhost = '{host}'\nusername = '{user}'\npassword_env = 'REGISTRY_PASSWORD'\n")
        };
        assert!(Setup::new(&login("me")).read(&reference).is_ok(), "{guard:?}");
        let (code, message) = Setup::new(&login("you")).refused(&reference);
        assert_eq!(code, "denied");
        assert!(message.contains("\"you\" are not accepted") && !message.contains("secret"), "{message}");

        let docker = Setup::new("");
        docker.file(".docker/config.json", json!({ "auths": { host: { "auth": "bWU6c2VjcmV0" } } }).to_string());
        assert!(docker.read(&reference).is_ok(), "{guard:?}");
    }
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let storage = Server::start(|_| Answer::ok(PLUGIN));
    let registry = FakeRegistry::guarded(Guard::Token);
    registry.push_plugin("1.0");
    registry.hold(&format!("blobs/{}", Digest::of(PLUGIN)), Answer::redirect(storage.url("/blob?signed=1")));
    assert!(Setup::new("").read(&registry.reference("1.0")).is_ok());
    let asked = storage.asked();
    assert_eq!((asked.len(), asked[0].authorization.clone()), (1, None));
}

#[test]
fn bytes_that_are_not_what_their_digest_says_are_refused() {
    let registry = FakeRegistry::open();
    let manifest = registry.push_plugin("1.0");
    registry.hold(&format!("blobs/{}", Digest::of(PLUGIN)), Answer::ok(vec![0; PLUGIN.len()]));
    let (code, message) = Setup::new("").refused(&registry.reference("1.0"));
    assert_eq!(code, "digest-mismatch");
    assert!(message.contains(&Digest::of(PLUGIN).to_string()), "{message}");

    registry.hold(&format!("manifests/{manifest}"), Answer::ok("{}"));
    let (code, message) = Setup::new("").refused(&registry.reference(&manifest.to_string()));
    assert_eq!(code, "digest-mismatch");
    assert!(message.contains(&Digest::of(b"{}").to_string()), "{message}");
}

#[test]
fn a_digest_beside_the_reference_is_that_of_the_plugin() {
    let registry = FakeRegistry::open();
    registry.push_plugin("1.0");
    let setup = Setup::new("");
    assert!(setup.read_as(&registry.reference("1.0"), Digest::of(PLUGIN)).is_ok());
    let error = setup.read_as(&registry.reference("1.0"), Digest::of(b"another")).unwrap_err();
    assert_eq!(error.code(), "digest-mismatch");
}

#[test]
fn what_is_no_wasm_artifact_is_told_by_its_media_types() {
    let registry = FakeRegistry::open();
    let layer = FakeRegistry::descriptor(LAYER_TYPE, PLUGIN);
    let image = FakeRegistry::manifest("application/vnd.oci.image.config.v1+json", std::slice::from_ref(&layer));
    let archive = FakeRegistry::descriptor("application/vnd.oci.image.layer.v1.tar+gzip", PLUGIN);
    for (tag, manifest, words) in [
        ("image", image, "vnd.oci.image.config.v1+json"),
        ("archive", FakeRegistry::manifest(CONFIG_TYPE, &[archive]), "tar+gzip"),
        ("two", FakeRegistry::manifest(CONFIG_TYPE, &[layer.clone(), layer]), "expected is one, application/wasm"),
        (
            "index",
            json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [] }),
            MANIFEST_TYPE,
        ),
        ("page", json!("<html>"), "no manifest"),
    ] {
        registry.push_manifest(tag, &manifest);
        let (code, message) = Setup::new("").refused(&registry.reference(tag));
        assert_eq!(code, "not-wasm-artifact", "{tag}");
        assert!(message.contains(words) && message.contains(&registry.reference(tag)), "{message}");
    }
}

#[test]
fn a_plugin_over_the_limit_is_given_up_even_if_the_manifest_lies() {
    let registry = FakeRegistry::open();
    let large = vec![7; 5_000];
    registry.hold(&format!("blobs/{}", Digest::of(&large)), Answer::ok(large.clone()).without_length());
    let mut layer = FakeRegistry::descriptor(LAYER_TYPE, &large);
    registry.push_manifest("honest", &FakeRegistry::manifest(CONFIG_TYPE, &[layer.clone()]));
    layer["size"] = json!(10);
    registry.push_manifest("lying", &FakeRegistry::manifest(CONFIG_TYPE, &[layer]));
    let setup = Setup::new("[sandbox.limits]\nmax_file_bytes = 4096\n");
    let (code, message) = setup.refused(&registry.reference("honest"));
    assert_eq!(code, "too-large");
    assert!(message.contains("has 5000 bytes") && message.contains("sandbox.limits.max_file_bytes"), "{message}");
    let asked_for_blob = |asked: &crate::support::Asked| asked.path.contains("/blobs/");
    assert!(!registry.server.asked().iter().any(asked_for_blob), "what is too large is not asked for");
    assert_eq!(setup.refused(&registry.reference("lying")).0, "too-large");
}

#[test]
fn a_registry_elsewhere_is_not_spoken_to_in_plain_http() {
    let registry = FakeRegistry::open();
    registry.push_plugin("1.0");
    // Redirected to a token server that is spoken to in plain http, and is not on this machine.
    let server = Server::start(|_| {
        Answer::status(401).header("www-authenticate", "Bearer realm=\"http://10.0.0.1/token\",service=\"x\"")
    });
    let (code, message) = Setup::new("").refused(&format!("oci://{}/strategies/fast:1.0", server.address));
    assert_eq!(code, "plain-http");
    assert!(message.contains("\"10.0.0.1\""), "{message}");
}
