//! Plugins that are on the machine already, or come with a request.

use perfhost::plugin_source::Upload;
use perfhost::plugin_source::digest::Digest;
use perfhost::plugin_source::kind::Kind;
use perfhost::plugin_source::provenance::SignatureState;

use crate::support::{PLUGIN, Setup, Signer};

const REQUIRED: &str = "[trust]\npublic_keys = ['cosign.pub']\nrequire_signature = true\n";

fn upload(bytes: &[u8], digest: Option<Digest>, signature: Option<String>) -> Upload<'static> {
    Upload { name: "mine", bytes: bytes.to_vec(), digest, signature }
}

#[test]
fn a_file_is_read_and_held_to_its_digest() {
    let setup = Setup::new("[sandbox.limits]\nmax_file_bytes = 4096\n");
    let file = setup.file("mine.wasm", PLUGIN);
    assert_eq!(setup.read(&file).unwrap().provenance.kind, Kind::Path);
    assert!(setup.read_as(&file, Digest::of(PLUGIN)).is_ok());
    let error = setup.read_as(&file, Digest::of(b"another")).unwrap_err().to_string();
    let digests = [Digest::of(PLUGIN), Digest::of(b"another")].map(|digest| digest.to_string());
    assert!(digests.iter().all(|digest| error.contains(digest)) && error.contains("mine.wasm"), "{error}");
    let large = setup.file("large.wasm", vec![0; 4_097]);
    assert_eq!(setup.refused(&large).0, "too-large");
}

#[test]
fn a_files_signature_is_the_file_beside_it() {
    let signer = Signer::new();
    let setup = Setup::new(REQUIRED);
    setup.file("cosign.pub", signer.public_pem());
    let file = setup.file("mine.wasm", PLUGIN);
    let (code, message) = setup.refused(&file);
    assert_eq!(code, "unsigned");
    assert!(message.contains("mine.wasm.sig") && message.contains("plugins from path"), "{message}");

    setup.file("mine.wasm.sig", signer.sign(PLUGIN) + "\n");
    let verified = SignatureState::Verified { key: "cosign.pub".to_owned() };
    assert_eq!(setup.read(&file).unwrap().provenance.signature, verified);

    setup.file("mine.wasm", [PLUGIN, b"!"].concat());
    let (code, message) = setup.refused(&file);
    assert_eq!(code, "bad-signature");
    assert!(message.contains("changed after it was signed"), "{message}");
    let setup = setup.configured("[trust]\npublic_keys = ['cosign.pub']\n");
    let state = setup.read(&file).unwrap().provenance.signature;
    assert!(matches!(state, SignatureState::NotVerified { .. }), "{state:?}");
}

#[test]
fn what_a_watch_has_read_is_let_in_as_the_file_itself_would_be() {
    let signer = Signer::new();
    let setup = Setup::new(&format!("{REQUIRED}[sandbox.limits]\nmax_file_bytes = 4096\n"));
    setup.file("cosign.pub", signer.public_pem());
    let file = setup.path("mine.wasm");
    let accept = |bytes: &[u8]| setup.intake().accept_file(&file, bytes.to_vec());
    assert_eq!(accept(PLUGIN).unwrap_err().code(), "unsigned");
    setup.file("mine.wasm.sig", signer.sign(PLUGIN));
    let plugin = accept(PLUGIN).unwrap();
    assert_eq!((plugin.path.as_deref(), plugin.source.name), (Some(&*file), file.display().to_string()));
    assert_eq!(accept(b"another").unwrap_err().code(), "bad-signature");
    assert_eq!(accept(&[0; 4_097]).unwrap_err().code(), "too-large");
}

#[test]
fn what_is_kept_stays_trusted_while_what_vouched_for_it_is() {
    let signer = Signer::new();
    let setup = Setup::new(REQUIRED);
    setup.file("cosign.pub", signer.public_pem());
    let signed = setup.file("signed.wasm", PLUGIN);
    setup.file("signed.wasm.sig", signer.sign(PLUGIN));
    let signed = setup.read(&signed).unwrap().provenance;
    let built_in = setup.read("balanced").unwrap().provenance;
    let setup = setup.configured("[trust]\npublic_keys = ['cosign.pub']\n");
    let unsigned = setup.file("unsigned.wasm", b"another");
    let unsigned = setup.read(&unsigned).unwrap().provenance;

    let code = |setup: &Setup, kept| setup.intake().check_kept("it", kept).err().map(|error| error.code());
    assert_eq!(code(&setup, &unsigned), None, "none is required");
    let setup = setup.configured("[trust]\npublic_keys = ['cosign.pub']\nrequire_signature = ['oci']\n");
    assert_eq!(code(&setup, &unsigned), None, "none is required of files");
    let setup = setup.configured(REQUIRED);
    assert_eq!([&signed, &built_in, &unsigned].map(|kept| code(&setup, kept)), [None, None, Some("not-trusted-now")]);
    setup.file("other.pub", Signer::new().public_pem());
    let setup = setup.configured(&REQUIRED.replace("cosign", "other"));
    assert_eq!(code(&setup, &signed), Some("not-trusted-now"), "its key is not trusted any more");
}

#[test]
fn the_binarys_own_strategies_need_no_signature() {
    let setup = Setup::new(REQUIRED);
    setup.file("cosign.pub", Signer::new().public_pem());
    let plugin = setup.read("balanced").unwrap();
    assert_eq!((plugin.provenance.kind, plugin.source.name.as_str()), (Kind::BuiltIn, "built-in balanced"));
}

#[test]
fn an_upload_brings_its_digest_and_signature_along() {
    let signer = Signer::new();
    let setup = Setup::new(REQUIRED);
    setup.file("cosign.pub", signer.public_pem());
    let intake = setup.intake();
    let plugin = intake.accept(upload(PLUGIN, Some(Digest::of(PLUGIN)), Some(signer.sign(PLUGIN)))).unwrap();
    assert_eq!((plugin.source.name.as_str(), plugin.provenance.kind), ("upload mine", Kind::Upload));
    let code = |upload| intake.accept(upload).unwrap_err().code();
    assert_eq!(code(upload(PLUGIN, None, None)), "unsigned");
    assert_eq!(code(upload(PLUGIN, None, Some(Signer::new().sign(PLUGIN)))), "bad-signature");
    assert_eq!(code(upload(PLUGIN, Some(Digest::of(b"another")), Some(signer.sign(PLUGIN)))), "digest-mismatch");
}

#[test]
fn the_api_loads_files_unless_told_otherwise_and_the_rest_only_when_told() {
    let address = "oci://localhost:5000/strategies/fast:1.0";
    let code = |setup: &Setup, name: &str| setup.intake().check_api_name(name).err().map(|error| error.to_string());
    let setup = Setup::new("");
    let file = setup.file("mine.wasm", PLUGIN);
    assert_eq!((code(&setup, "balanced"), code(&setup, &file)), (None, None));
    let refused = code(&setup, address).unwrap();
    assert!(refused.contains("\"oci\" to trust.api_sources") && refused.contains("access.admin_token"), "{refused}");
    assert!(code(&setup, "nothing").unwrap().contains("neither a file nor"));
    let upload = setup.intake().check_api(Kind::Upload).unwrap_err().to_string();
    assert!(upload.contains("\"upload\" to trust.api_sources") && upload.contains("access.admin_token"), "{upload}");

    let setup = setup.configured("[trust]\napi_sources = ['upload']\n");
    let upload = setup.intake().check_api(Kind::Upload).unwrap_err().to_string();
    assert!(upload.contains("access.admin_token") && !upload.contains("api_sources"), "{upload}");
    assert!(code(&setup, &file).unwrap().contains("\"path\""), "files may be switched off");

    let setup = setup.configured("[access]\nadmin_token = 't'\n[trust]\napi_sources = ['upload', 'oci']\n");
    assert!(setup.intake().check_api(Kind::Upload).is_ok());
    assert_eq!(code(&setup, address), None);

    let setup = setup.configured(&format!("plugins = ['balanced', '{address}']\n"));
    assert_eq!(code(&setup, address), None, "what the configuration names may be loaded");
}
