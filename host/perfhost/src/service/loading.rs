//! From the name of a plugin, or its bytes, to a loaded strategy: let in by the present configuration, loaded under its
//! terms, and remembered with where it came from.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_gateway::StrategySource;
use perfhost_strategy::Strategy;
use perfhost_wasm::{History, Runtime};

use super::strategies::SwapError;
use crate::plugin_source::digest::{Digest, DigestError};
use crate::plugin_source::provenance::Provenance;
use crate::plugin_source::{Intake, Plugin, Upload};

/// Loaded plugins whose provenance is remembered; the oldest is forgotten first.
const MOST_PROVENANCES: usize = 64;

/// Loads strategies for one host.
pub struct Loader {
    runtime: Arc<Runtime>,
    history: Arc<dyn History>,
    intake: Mutex<Arc<Intake>>,
    /// Where loaded plugins came from, newest last.
    provenances: Mutex<VecDeque<Provenance>>,
}

impl Loader {
    /// Loads into `runtime` what `intake` lets in.
    pub fn new(runtime: Arc<Runtime>, history: Arc<dyn History>, intake: Arc<Intake>) -> Self {
        Self { runtime, history, intake: Mutex::new(intake), provenances: Mutex::new(VecDeque::new()) }
    }

    /// What lets plugins in at present.
    pub fn intake(&self) -> Arc<Intake> {
        self.intake.lock().clone()
    }

    /// Another configuration of what is let in, and under which terms; it holds for what is loaded from now on.
    pub fn set_intake(&self, intake: Arc<Intake>) {
        *self.intake.lock() = intake;
    }

    /// Loads the plugin of a name. Blocks for as long as fetching and compiling take.
    ///
    /// # Errors
    /// It is not let in, or does not load.
    pub fn load_named(&self, name: &str) -> Result<Arc<dyn Strategy>, SwapError> {
        let intake = self.intake();
        self.load(&intake, intake.read(name, None)?)
    }

    /// Loads what the API or the configuration asks for. Blocks as [`Loader::load_named`] does.
    ///
    /// # Errors
    /// It is not let in, or does not load.
    pub fn load_source(&self, source: &StrategySource) -> Result<Arc<dyn Strategy>, SwapError> {
        let intake = self.intake();
        let plugin = match source {
            StrategySource::Named { name, digest } => intake.read(name, read_digest(digest)?)?,
            StrategySource::Uploaded { name, bytes, digest, signature } => intake.accept(Upload {
                name,
                bytes: bytes.clone(),
                digest: read_digest(digest)?,
                signature: signature.clone(),
            })?,
        };
        self.load(&intake, plugin)
    }

    /// Where the plugin with this digest came from, if it was loaded not long ago.
    pub fn provenance(&self, digest: &str) -> Option<Provenance> {
        let digest: Digest = digest.parse().ok()?;
        self.provenances.lock().iter().find(|provenance| provenance.digest == digest).cloned()
    }

    fn load(&self, intake: &Intake, plugin: Plugin) -> Result<Arc<dyn Strategy>, SwapError> {
        let terms_of = |name: &str| intake.terms(name);
        let strategy = self.runtime.load_under(&plugin.source, self.history.clone(), &terms_of)?;
        let mut provenances = self.provenances.lock();
        provenances.retain(|known| known.digest != plugin.provenance.digest);
        if provenances.len() >= MOST_PROVENANCES {
            provenances.pop_front();
        }
        provenances.push_back(plugin.provenance);
        Ok(strategy)
    }
}

fn read_digest(text: &Option<String>) -> Result<Option<Digest>, DigestError> {
    text.as_deref().map(str::parse).transpose()
}
