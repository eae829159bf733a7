//! Plugins from http and https addresses.

use perfhost::plugin_source::digest::Digest;
use perfhost::plugin_source::kind::Kind;
use perfhost::plugin_source::provenance::SignatureState;

use crate::support::{Answer, PLUGIN, Server, Setup, Signer};

/// An address with the digest of [`PLUGIN`].
fn pinned(url: &str) -> String {
    format!("{url}#sha256={}", Digest::of(PLUGIN).hex())
}

#[test]
fn what_was_fetched_once_is_not_fetched_again() {
    let server = Server::start(|_| Answer::ok(PLUGIN));
    let setup = Setup::new("");
    let url = pinned(&server.url("/x.wasm?token=abc"));
    for _ in 0..2 {
        let plugin = setup.read(&url).unwrap();
        assert_eq!((plugin.source.bytes.as_slice(), plugin.provenance.kind), (PLUGIN, Kind::Url));
        assert_eq!(plugin.source.name, server.url("/x.wasm"), "a query may hold a secret");
        assert_eq!(plugin.provenance.signature, SignatureState::NotChecked);
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/x.wasm?token=abc");
}

#[test]
fn other_bytes_than_those_meant_are_refused_with_both_digests() {
    let server = Server::start(|_| Answer::ok("other bytes"));
    let setup = Setup::new("");
    let (code, message) = setup.refused(&pinned(&server.url("/x.wasm")));
    assert_eq!(code, "digest-mismatch");
    assert!(message.contains(&Digest::of(PLUGIN).to_string()), "{message}");
    assert!(message.contains(&Digest::of(b"other bytes").to_string()), "{message}");
    setup.refused(&pinned(&server.url("/x.wasm")));
    assert_eq!(server.asked().len(), 2, "what was refused is not kept");
}

#[test]
fn an_address_needs_a_digest_in_it_or_beside_it() {
    let server = Server::start(|_| Answer::ok(PLUGIN));
    let setup = Setup::new("");
    let url = server.url("/x.wasm");
    let (code, message) = setup.refused(&url);
    assert_eq!((code, server.asked().len()), ("no-digest", 0));
    assert!(message.contains("#sha256=HEX"), "{message}");
    assert!(setup.read_as(&url, Digest::of(PLUGIN)).is_ok());
    let error = setup.read_as(&pinned(&url), Digest::of(b"another")).unwrap_err();
    assert_eq!(error.code(), "digest-mismatch", "both must be right");
}

#[test]
fn a_file_over_the_limit_is_given_up_whether_its_size_is_told_or_not() {
    for is_told in [true, false] {
        let server = Server::start(move |_| match is_told {
            true => Answer::ok(vec![0; 5_000]),
            false => Answer::ok(vec![0; 5_000]).without_length(),
        });
        let setup = Setup::new("[sandbox.limits]\nmax_file_bytes = 4096\n");
        let (code, message) = setup.refused(&pinned(&server.url("/x.wasm")));
        assert_eq!(code, "too-large", "{message}");
        assert!(message.contains("the limit is 4096 (sandbox.limits.max_file_bytes)"), "{message}");
    }
}

#[test]
fn a_server_that_fails_is_named_with_what_it_did() {
    for (answer, code) in [
        (Answer::status(404), "not-found"),
        (Answer::status(500), "status"),
        (Answer::ok(PLUGIN).cut_short(), "unreachable"),
    ] {
        let server = Server::start(move |_| answer.clone());
        let (found, message) = Setup::new("").refused(&pinned(&server.url("/x.wasm")));
        assert_eq!(found, code, "{message}");
        assert!(message.contains(&server.url("/x.wasm")), "{message}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(Setup::new("").refused(&pinned(&format!("http://{nobody}/x.wasm"))).0, "unreachable");
}

#[test]
fn redirects_are_followed_within_reason() {
    let other = Server::start(|_| Answer::ok(PLUGIN));
    let there = other.url("/stored");
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/near" => Answer::redirect("/x.wasm"),
        "/far" => Answer::redirect(there.clone()),
        "/plain" => Answer::redirect("http://10.0.0.1/x.wasm"),
        "/file" => Answer::redirect("file:///etc/passwd"),
        "/round" => Answer::redirect("/round"),
        _ => Answer::ok(PLUGIN),
    });
    for path in ["/near", "/far"] {
        assert!(Setup::new("").read(&pinned(&server.url(path))).is_ok(), "{path}");
    }
    let refused = |path: &str| Setup::new("").refused(&pinned(&server.url(path)));
    let (code, message) = refused("/plain");
    assert_eq!(code, "plain-http");
    assert!(message.contains("trust.plain_http"), "{message}");
    assert_eq!(refused("/file").0, "redirect");
    let before = server.asked().len();
    assert_eq!(refused("/round").0, "redirect");
    assert_eq!(server.asked().len() - before, 6, "the first and five redirects");
}

#[test]
fn a_signature_is_looked_for_beside_the_file_and_kept_with_it() {
    let signer = Signer::new();
    let signature = signer.sign(PLUGIN);
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/x.wasm" | "/unsigned.wasm" => Answer::ok(PLUGIN),
        "/x.wasm.sig" => Answer::ok(signature.clone()),
        _ => Answer::status(404),
    });
    let required = "[trust]\npublic_keys = ['cosign.pub']\nrequire_signature = ['url']\n";
    let setup = Setup::new(required);
    setup.file("cosign.pub", signer.public_pem());
    for _ in 0..2 {
        let plugin = setup.read(&pinned(&server.url("/x.wasm"))).unwrap();
        assert_eq!(plugin.provenance.signature, SignatureState::Verified { key: "cosign.pub".to_owned() });
    }
    assert_eq!(server.asked().len(), 2, "neither is fetched again");

    setup.file("cosign.pub", Signer::new().public_pem());
    let (code, message) = setup.refused(&pinned(&server.url("/x.wasm")));
    assert_eq!(code, "bad-signature", "a kept signature is checked like any other");
    assert!(message.contains("cosign.pub") && message.contains("another key"), "{message}");

    let setup = Setup::new(required);
    setup.file("cosign.pub", signer.public_pem());
    let (code, message) = setup.refused(&pinned(&server.url("/unsigned.wasm")));
    assert_eq!(code, "unsigned");
    assert!(message.contains(&server.url("/unsigned.wasm.sig")) && message.contains("require_signature"), "{message}");
}
