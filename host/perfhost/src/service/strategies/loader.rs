//! From what is asked for to a loaded strategy: let in by the present configuration, and loaded under its terms.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_gateway::StrategySource;
use perfhost_strategy::Strategy;
use perfhost_wasm::{History, LoadError, Runtime, Terms};

use super::SwapError;
use super::desk::Held;
use crate::plugin_source::address::{Address, shown};
use crate::plugin_source::digest::{Digest, DigestError};
use crate::plugin_source::kind::Kind;
use crate::plugin_source::{Intake, Plugin, Upload};
use crate::service::journal::{AskedHistory, Journal};

/// Loads strategies for one host.
pub(super) struct Loader {
    runtime: Arc<Runtime>,
    history: Arc<dyn History>,
    intake: Mutex<Arc<Intake>>,
}

impl Loader {
    /// Loads into `runtime` what `intake` lets in.
    pub(super) fn new(runtime: Arc<Runtime>, history: Arc<dyn History>, intake: Arc<Intake>) -> Self {
        Self { runtime, history, intake: Mutex::new(intake) }
    }

    /// What lets plugins in at present.
    pub(super) fn intake(&self) -> Arc<Intake> {
        self.intake.lock().clone()
    }

    /// Another configuration of what is let in, and under which terms; it holds for what is loaded from now on.
    pub(super) fn set_intake(&self, intake: Arc<Intake>) {
        *self.intake.lock() = intake;
    }

    /// Reads or fetches what the API or the configuration asks for, if it may. Blocks for as long as fetching takes.
    pub(super) fn read(&self, source: &StrategySource) -> Result<Plugin, SwapError> {
        let intake = self.intake();
        Ok(match source {
            StrategySource::Named { name, digest } => {
                intake.check_api_name(name)?;
                intake.read(name, read_digest(digest)?)?
            }
            StrategySource::Uploaded { name, bytes, digest, signature } => {
                intake.check_api(Kind::Upload)?;
                intake.accept(Upload {
                    name,
                    bytes: bytes.clone(),
                    digest: read_digest(digest)?,
                    signature: signature.clone(),
                })?
            }
        })
    }

    /// Loads at the priority of the caller, for a start. Blocks for as long as compiling takes.
    pub(super) fn load_at_start(&self, plugin: &Plugin) -> Result<Held, LoadError> {
        self.load_by(plugin, |asked, terms_of| self.runtime.load_under(&plugin.source, asked, terms_of))
    }

    /// Loads while requests are served. Blocks for as long as compiling takes.
    pub(super) fn load(&self, plugin: &Plugin) -> Result<Held, LoadError> {
        self.load_by(plugin, |asked, terms_of| self.runtime.load_in_background(&plugin.source, asked, terms_of))
    }

    /// Whether it would be held to the same terms if it was loaded now.
    pub(super) fn is_up_to_date(&self, held: &Held) -> bool {
        self.intake().terms(&held.strategy.identity().name) == held.terms
    }

    /// As `load` makes it with the history and the terms that it is given, with a journal for the decision log.
    fn load_by(
        &self,
        plugin: &Plugin,
        load: impl FnOnce(Arc<dyn History>, &TermsOf) -> Result<Arc<dyn Strategy>, LoadError>,
    ) -> Result<Held, LoadError> {
        let intake = self.intake();
        let asked = AskedHistory::new(self.history.clone());
        let strategy = load(asked.clone(), &|name: &str| intake.terms(name))?;
        Ok(Held {
            terms: intake.terms(&strategy.identity().name),
            strategy: Arc::new(Journal::new(strategy, asked)),
            path: plugin.path.clone(),
            provenance: plugin.provenance.clone(),
        })
    }
}

/// Finds the terms of the strategy of a name.
type TermsOf<'a> = dyn Fn(&str) -> Terms + Send + Sync + 'a;

pub(super) fn read_digest(text: &Option<String>) -> Result<Option<Digest>, DigestError> {
    text.as_deref().map(str::parse).transpose()
}

/// What a refusal of it says where it came from: for a file as the watch names it, so that what the watch takes later
/// clears the refusal.
pub(super) fn source_name(source: &StrategySource) -> String {
    let name = match source {
        StrategySource::Uploaded { name, .. } => return format!("upload {name}"),
        StrategySource::Named { name, .. } => name,
    };
    match Address::parse(name) {
        Ok(Address::Path(path)) => absolute(&path).display().to_string(),
        Ok(address) => address.source_name(),
        Err(_) => shown(name),
    }
}

/// The digest of what came with the request.
pub(super) fn digest_of(source: &StrategySource) -> Option<String> {
    match source {
        StrategySource::Named { .. } => None,
        StrategySource::Uploaded { bytes, .. } => Some(Digest::of(bytes).hex()),
    }
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
