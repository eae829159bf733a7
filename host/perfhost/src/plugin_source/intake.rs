//! The way in: a name or an upload becomes a plugin, or a reason why not.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use perfhost_wasm::{Limits, PluginSource, Terms};
use tracing::info;

use super::address::{Address, shown};
use super::bound::Bound;
use super::digest::Digest;
use super::error::SourceError;
use super::fetch::Transport;
use super::judging::{judge, judge_blob};
use super::kind::Kind;
use super::oci::{self, Puller, Reference};
use super::provenance::{Provenance, SignatureState};
use super::signature::{SIGNATURE_BYTES, check_blob, check_manifest};
use super::store::{Note, Store};
use super::{Plugin, Upload};
use crate::built_in;
use crate::config::load::ConfigError;
use crate::config::raw::Raw;
use crate::config::{self, Config, Sources};

/// Lets plugins in, by one configuration.
pub struct Intake {
    pub(super) config: Arc<Config>,
    transport: Transport,
    store: Store,
    docker_config: Option<PathBuf>,
}

impl Intake {
    /// By this configuration. `sources` says where docker keeps credentials.
    pub fn new(config: Arc<Config>, sources: &Sources) -> Self {
        Self {
            transport: Transport::new(&config.trust.plain_http),
            store: Store::in_library(&config.library_dir),
            docker_config: oci::docker_config(|name| sources.variable(name)),
            config,
        }
    }

    /// For a command: by the configuration that a host started now would have, with another library folder where one is
    /// given.
    ///
    /// # Errors
    /// That of a configuration that cannot be used.
    pub fn of_command(library_dir: Option<PathBuf>) -> Result<Self, ConfigError> {
        let flags = Raw { library_dir, ..Raw::default() };
        let sources = Sources { environment: std::env::vars().collect(), flags, ..Sources::default() };
        Ok(Self::new(Arc::new(config::load(&sources)?), &sources))
    }

    /// The terms of the strategy of this name.
    pub fn terms(&self, strategy: &str) -> Terms {
        self.config.sandbox.terms_of(strategy)
    }

    /// The limits of all strategies.
    pub fn limits(&self) -> Limits {
        self.config.sandbox.limits.clone()
    }

    /// Reads or fetches the plugin of a name: a file, an address, or a built-in strategy. `expected` is the digest of the
    /// plugin itself, where the caller knows it.
    ///
    /// # Errors
    /// [`SourceError`]: it is not there, not what was asked for, or not trusted.
    pub fn read(&self, name: &str, expected: Option<Digest>) -> Result<Plugin, SourceError> {
        let address = Address::parse(name)?;
        let name = address.source_name();
        let plugin = match &address {
            Address::BuiltIn(strategy) => self.built_in(name, strategy),
            Address::Path(path) => self.path(name, path),
            Address::Url { url, digest } => self.url(name, url, digest.or(expected)),
            Address::Oci(reference) => self.oci(name, reference),
        }?;
        plugin.provenance.check(&plugin.source.name, expected)?;
        Ok(plugin)
    }

    /// Takes what was just read from a file: as [`Intake::read`] of its path does.
    ///
    /// # Errors
    /// [`SourceError`]: it is not what it should be, or not trusted.
    pub fn accept_file(&self, path: &Path, bytes: Vec<u8>) -> Result<Plugin, SourceError> {
        let name = path.display().to_string();
        check_size(&name, &bytes, self.limit())?;
        self.file(name, path, bytes)
    }

    /// Takes a plugin that came with a request.
    ///
    /// # Errors
    /// [`SourceError`]: it is not what it should be, or not trusted.
    pub fn accept(&self, upload: Upload<'_>) -> Result<Plugin, SourceError> {
        let name = format!("upload {}", upload.name);
        let looked_for = || "send it base64-encoded in the header x-perfhost-signature".to_owned();
        let signature =
            judge_blob(&self.config.trust, &name, Kind::Upload, &upload.bytes, looked_for, || Ok(upload.signature))?;
        let plugin = plugin(name, upload.bytes, Kind::Upload, None, signature);
        plugin.provenance.check(&plugin.source.name, upload.digest)?;
        Ok(plugin)
    }

    fn built_in(&self, name: String, strategy: &str) -> Result<Plugin, SourceError> {
        let bytes = built_in::find(strategy)
            .ok_or_else(|| SourceError::Unknown { name: strategy.to_owned(), known: built_in::names() })?;
        Ok(plugin(name, bytes.to_vec(), Kind::BuiltIn, None, SignatureState::NotChecked))
    }

    fn path(&self, name: String, path: &Path) -> Result<Plugin, SourceError> {
        let bytes = read_file(path, self.limit())?;
        self.file(name, path, bytes)
    }

    fn file(&self, name: String, path: &Path, bytes: Vec<u8>) -> Result<Plugin, SourceError> {
        let beside = beside(path);
        let looked_for = || format!("a signature is looked for in {}", beside.display());
        let signature =
            judge_blob(&self.config.trust, &name, Kind::Path, &bytes, looked_for, || match beside.is_file() {
                true => read_file(&beside, Bound::fixed(SIGNATURE_BYTES))
                    .map(|text| Some(String::from_utf8(text).unwrap_or_default())),
                false => Ok(None),
            })?;
        let path = std::path::absolute(path).ok();
        Ok(Plugin { path, ..plugin(name, bytes, Kind::Path, None, signature) })
    }

    fn url(&self, name: String, url: &str, digest: Option<Digest>) -> Result<Plugin, SourceError> {
        let digest = digest.ok_or_else(|| SourceError::NoDigest { url: name.clone() })?;
        let bytes = match self.store.content(&digest) {
            Some(bytes) => bytes,
            None => {
                let bytes = self.get(url, &name, self.limit())?;
                let found = Digest::of(&bytes);
                if found != digest {
                    return Err(SourceError::DigestMismatch { what: name, expected: digest, found });
                }
                self.store.keep(&digest, &bytes);
                bytes
            }
        };
        let signature_url = with_ending(url);
        let looked_for = || format!("a signature is looked for at {}", shown(&signature_url));
        let signature = judge_blob(&self.config.trust, &name, Kind::Url, &bytes, looked_for, || {
            // One that was good is kept, so that a restart needs no network; with other keys it is asked for again.
            let is_good = |text: &String| check_blob(&self.config.trust.keys, &bytes, text).is_ok();
            if let Some(kept) = self.store.note(Note::Signature(&digest)).filter(is_good) {
                return Ok(Some(kept));
            }
            let text = match self.get(&signature_url, &shown(&signature_url), Bound::fixed(SIGNATURE_BYTES)) {
                Ok(text) => String::from_utf8(text).unwrap_or_default(),
                Err(SourceError::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            if is_good(&text) {
                self.store.write_note(Note::Signature(&digest), &text);
            }
            Ok(Some(text))
        })?;
        // An address with a query is not shown whole, so what is shown would not fetch it.
        let pinned = (name == url).then(|| format!("{name}#sha256={}", digest.hex()));
        Ok(plugin(name, bytes, Kind::Url, pinned, signature))
    }

    fn oci(&self, name: String, reference: &Reference) -> Result<Plugin, SourceError> {
        let login = self.config.trust.logins.get(&reference.registry).cloned();
        let mut puller = Puller::new(&self.transport, &self.store, reference, login, self.docker_config.as_deref());
        let pulled = puller.pull(self.limit())?;
        let pinned = reference.pinned(pulled.manifest).to_string();
        if reference.digest.is_none() {
            info!(reference = name, digest = %pulled.digest, "tag resolved; name it {pinned} to load the same bytes every time");
        }
        let looked_for = format!("a signature is looked for at {}", puller.signature_reference(&pulled.manifest));
        let keys = &self.config.trust.keys;
        let signature = judge(
            &self.config.trust,
            &name,
            Kind::Oci,
            || looked_for,
            || {
                let payloads = puller.signed_payloads(&pulled.manifest)?;
                // One good signature is enough, whoever else signed.
                let mut verdicts = payloads
                    .iter()
                    .map(|signed| check_manifest(keys, &pulled.manifest, &signed.payload, &signed.signature));
                let Some(first) = verdicts.next() else { return Ok(None) };
                Ok(Some(first.or_else(|error| verdicts.find_map(Result::ok).ok_or(error)).map(str::to_owned)))
            },
        )?;
        Ok(plugin(name, pulled.bytes, Kind::Oci, Some(pinned), signature))
    }

    fn get(&self, url: &str, name: &str, limit: Bound) -> Result<Vec<u8>, SourceError> {
        let got = self.transport.get(url, "application/wasm, */*", None, limit)?;
        match got.status.as_u16() {
            200 => Ok(got.body),
            404 => Err(SourceError::NotFound { what: name.to_owned(), url: shown(url) }),
            status => Err(SourceError::Status { url: shown(url), status, detail: String::new() }),
        }
    }

    fn limit(&self) -> Bound {
        Bound::of_plugin(self.config.sandbox.limits.max_file_bytes)
    }
}

fn plugin(name: String, bytes: Vec<u8>, kind: Kind, pinned: Option<String>, signature: SignatureState) -> Plugin {
    let digest = Digest::of(&bytes);
    let provenance = Provenance { kind, pinned, digest, signature };
    Plugin { source: PluginSource { name, bytes }, path: None, provenance }
}

fn read_file(path: &Path, limit: Bound) -> Result<Vec<u8>, SourceError> {
    let failed = |error| SourceError::Read { path: path.display().to_string(), error };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit.bytes + 1).read_to_end(&mut bytes)).map_err(failed)?;
    check_size(&path.display().to_string(), &bytes, limit)?;
    Ok(bytes)
}

fn check_size(what: &str, bytes: &[u8], limit: Bound) -> Result<(), SourceError> {
    let size = bytes.len() as u64;
    if size > limit.bytes {
        return Err(SourceError::TooLarge { what: what.to_owned(), size, limit });
    }
    Ok(())
}

/// Where `cosign sign-blob` is told to leave a file's signature: `FILE.sig`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The address of the signature of what is at `url`: the ending comes before a query.
fn with_ending(url: &str) -> String {
    match url.split_once('?') {
        Some((path, query)) => format!("{path}.sig?{query}"),
        None => format!("{url}.sig"),
    }
}
