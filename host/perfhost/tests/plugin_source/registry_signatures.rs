//! cosign's signatures in a registry.

use perfhost::plugin_source::digest::Digest;
use perfhost::plugin_source::provenance::SignatureState;

use crate::support::{FakeRegistry, Setup, Signer};

fn setup(signer: &Signer, required: &str) -> Setup {
    let setup = Setup::new(&format!("[trust]\npublic_keys = ['cosign.pub']\nrequire_signature = {required}\n"));
    setup.file("cosign.pub", signer.public_pem());
    setup
}

#[test]
fn a_signature_of_the_manifest_lets_it_in_also_while_the_registry_is_away() {
    let (registry, signer, stranger) = (FakeRegistry::open(), Signer::new(), Signer::new());
    let manifest = registry.push_plugin("1.0");
    let payload = Signer::payload(&manifest);
    registry.push_signatures(&manifest, &[(Signer::payload(&manifest), &stranger), (payload, &signer)]);
    let setup = setup(&signer, "true");
    let verified = SignatureState::Verified { key: "cosign.pub".to_owned() };
    assert_eq!(setup.read(&registry.reference("1.0")).unwrap().provenance.signature, verified);
    registry.fail_with(503);
    assert_eq!(setup.read(&registry.reference("1.0")).unwrap().provenance.signature, verified);
}

#[test]
fn without_a_signature_it_is_let_in_only_where_none_is_required() {
    let (registry, signer) = (FakeRegistry::open(), Signer::new());
    let manifest = registry.push_plugin("1.0");
    let (code, message) = setup(&signer, "['oci']").refused(&registry.reference("1.0"));
    assert_eq!(code, "unsigned");
    assert!(message.contains(&format!("fast:sha256-{}.sig", manifest.hex())), "{message}");
    let plugin = setup(&signer, "['url']").read(&registry.reference("1.0")).unwrap();
    assert_eq!(plugin.provenance.signature, SignatureState::Unsigned);
}

#[test]
fn signatures_of_others_and_of_other_things_are_told_apart() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let other = Digest::of(b"another manifest");
    type Signed<'a> = Box<dyn Fn(Digest) -> (Vec<u8>, &'a Signer) + 'a>;
    let cases: [(Signed<'_>, &str); 3] = [
        (Box::new(|manifest| (Signer::payload(&manifest), &stranger)), "another key"),
        (Box::new(|_| (Signer::payload(&other), &signer)), "it is the signature of sha256:"),
        (Box::new(|_| (b"{}".to_vec(), &signer)), "no simple signing document"),
    ];
    for (signed, words) in cases {
        let registry = FakeRegistry::open();
        let manifest = registry.push_plugin("1.0");
        registry.push_signatures(&manifest, &[signed(manifest)]);
        let (code, message) = setup(&signer, "true").refused(&registry.reference("1.0"));
        assert_eq!(code, "bad-signature");
        assert!(message.contains(words), "{message}");
        let plugin = setup(&signer, "false").read(&registry.reference("1.0")).unwrap();
        assert!(matches!(plugin.provenance.signature, SignatureState::NotVerified { why } if why.contains(words)));
    }
}
