//! Signatures that openssl made, in the form that cosign writes: `openssl dgst -sha256 -sign KEY FILE | base64 -w0`. The
//! keys are those of `openssl ecparam -genkey -name prime256v1`; the private halves are gone.

use super::*;

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwuV+qc4opIbYfN3L/gYVdoUCOj6u
1FWllXE+2nUucgWzSlWnSvMRrtPeXFdHm6M66pbeti+Pa8vUin57joejGQ==
-----END PUBLIC KEY-----
";
const OTHER_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvhyT+7OhW29O3XrzhEjMuykoZhvF
fUvgmpndJ+qmr1qanqbOQJc2IufmvkU5z29nC7ZlmAd5JFv1c0b031J+uw==
-----END PUBLIC KEY-----
";
/// Of another curve, and of another scheme.
const NOT_P256: [&str; 2] = [
    "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEBUH8G68HkCfCwKoMM7jTM2nHay3ZmzPK
pAjp1wpt9Ptk9L2nSCJfBbcZmGoIX4ofNihBQaEAGPNgGzKVEULv6BSFKRglRwI0
wtIQToQvdSqN97Y7bFvSEaEwk2JXk1DG
-----END PUBLIC KEY-----
",
    "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA0wENp1T5k6B5Y4Pk9P4FSwmlsGzQKzthmBz4ROGntdY=
-----END PUBLIC KEY-----
",
];
const FILE: &[u8] = b"the bytes of a plugin";
const FILE_SIGNATURE: &str =
    "MEUCIEQt/DBMYlBPN8tuhP5vWqreaTfqXRqa4x+/vfVZKQ5MAiEA6s+IcyZ7HxpskUB9NP7TwBhYmELY6SrlFYUkqoVaUhk=\n";
/// Signs the manifest `a manifest`.
const PAYLOAD: &str = r#"{"critical":{"identity":{"docker-reference":"localhost:5000/strategies/fast"},"image":{"docker-manifest-digest":"sha256:e59625a822497c164d60705eb3fd6975c375ca213b8140137a826a77790986a9"},"type":"cosign container image signature"},"optional":null}"#;
const PAYLOAD_SIGNATURE: &str =
    "MEQCICY5FMr6V5Pz+S8S7aN+UTC3OpY74isGFv/3g6Y0CBdgAiBWayvha8G1jW06SvSvzERvKABed3iEbqD3AoxqP8OYDg==";
/// Over `{"critical":{}}`.
const SHORT_SIGNATURE: &str =
    "MEYCIQCVARmQUNwT9+UEaWxpWWD9lY9ynyAvssoYaQCOqIIjsgIhAPaQlDprNjWsReUa468+j0wf+JFqo75PC1/WhNXeME56";

fn key(name: &str, pem: &str) -> Result<PublicKey, KeyError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, pem).expect("a file");
    PublicKey::read(&path)
}

fn keys() -> Vec<PublicKey> {
    [("other.pub", OTHER_KEY), ("cosign.pub", KEY)].map(|(name, pem)| key(name, pem).expect(name)).into()
}

#[test]
fn a_files_signature_is_good_with_the_key_that_made_it() {
    let keys = keys();
    assert_eq!(check_blob(&keys, FILE, FILE_SIGNATURE), Ok("cosign.pub"));
    let no_key_fits = Err(SignatureError::NoKeyFits("other.pub".to_owned()));
    assert_eq!(check_blob(&keys[..1], FILE, FILE_SIGNATURE), no_key_fits, "another key");
    assert!(check_blob(&keys, b"the bytes of a plugim", FILE_SIGNATURE).is_err(), "other bytes");
    assert!(check_blob(&keys, FILE, PAYLOAD_SIGNATURE).is_err(), "another signature");
    assert_eq!(check_blob(&keys, FILE, "not base64!"), Err(SignatureError::NotBase64));
    assert!(check_blob(&keys, FILE, "").is_err() && check_blob(&[], FILE, FILE_SIGNATURE).is_err());
}

#[test]
fn a_manifests_signature_must_be_of_that_manifest() {
    let keys = keys();
    let manifest = Digest::of(b"a manifest");
    assert_eq!(check_manifest(&keys, &manifest, PAYLOAD.as_bytes(), PAYLOAD_SIGNATURE), Ok("cosign.pub"));
    let another = Digest::of(b"another manifest");
    let error = check_manifest(&keys, &another, PAYLOAD.as_bytes(), PAYLOAD_SIGNATURE).expect_err("another manifest");
    assert_eq!(error, SignatureError::OfSomethingElse { expected: another, found: manifest.to_string() });
    let changed = PAYLOAD.replace("sha256:e5", "sha256:e6");
    assert!(matches!(
        check_manifest(&keys, &manifest, changed.as_bytes(), PAYLOAD_SIGNATURE),
        Err(SignatureError::NoKeyFits(_))
    ));
    assert!(matches!(
        check_manifest(&keys, &manifest, br#"{"critical":{}}"#, SHORT_SIGNATURE),
        Err(SignatureError::NotSimpleSigning(_))
    ));
}

#[test]
fn only_public_keys_of_cosigns_kind_are_taken() {
    for pem in NOT_P256 {
        let error = key("cosign.pub", pem).expect_err("another type").to_string();
        assert!(error.contains("another type") && error.contains("P-256"), "{error}");
    }
    let error = key("cosign.key", "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n").expect_err("private").to_string();
    assert!(error.contains("no public key in it") && error.contains("cosign.key"), "{error}");
    assert!(PublicKey::read(Path::new("/nowhere/cosign.pub")).expect_err("no file").to_string().contains("/nowhere"));
}
