//! Why a strategy was not put in service or kept at hand.

use perfhost_strategy::StrategyError;
use perfhost_strategy::strategy::Identity;
use perfhost_telemetry::StoreError;
use perfhost_wasm::LoadError;
use thiserror::Error;

use crate::built_in;
use crate::plugin_source::digest::DigestError;
use crate::plugin_source::error::SourceError;

/// Why a strategy was not put in service.
#[derive(Debug, Error)]
pub enum SwapError {
    /// Nothing goes by that name.
    #[error(
        "{0:?} is neither a file, a built-in strategy ({names}), nor one at hand or kept (see `perfhost plugin list`); an \
         address begins with https:// or oci://",
        names = built_in::names()
    )]
    Unknown(String),
    /// Several go by that name.
    #[error("{wanted:?} may be {}; name one by more of its digest", among.join(" or "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// What it may be, each as `name@version (digest)`.
        among: Vec<String>,
    },
    /// It cannot be had, is not what was asked for, or is not trusted.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The digest that was asked for does not read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// It does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It loads, and refuses its parameters.
    #[error("{name} {version}: {error}")]
    Configure {
        /// The strategy.
        name: String,
        /// Its version.
        version: String,
        /// Why.
        error: StrategyError,
    },
    /// It only gives advice.
    #[error("{0} is an advisor: it tunes nothing, so it cannot be put in service; see `perfhost model advise`")]
    OnlyAdvises(String),
    /// There is nothing to go back to.
    #[error("no other strategy was in service before the present one")]
    NothingBefore,
    /// There is no record of that generation.
    #[error("generation {0} is not in the history; see `perfhost plugin history`")]
    NoSuchGeneration(u64),
    /// Nothing would change.
    #[error("the strategy of generation {0} is in service already")]
    InServiceAlready(u64),
    /// Its file was not kept.
    #[error("the file of {strategy} ({digest}) is not kept any more; load it again from {source_name}")]
    NotKept {
        /// `name@version`.
        strategy: String,
        /// The digest.
        digest: String,
        /// Where it came from.
        source_name: String,
    },
    /// The history cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SwapError {
    /// A strategy that did not take what it was told before service.
    pub(super) fn configure(identity: &Identity, error: StrategyError) -> Self {
        Self::Configure { name: identity.name.clone(), version: identity.version.clone(), error }
    }

    /// A plugin was refused for what it is, and not because of what was asked for.
    pub(super) fn is_about_a_plugin(&self) -> bool {
        match self {
            Self::Source(error) => error.is_about_the_plugin(),
            Self::Load(_) | Self::Configure { .. } | Self::OnlyAdvises(_) => true,
            _ => false,
        }
    }

    /// A stable word for each kind, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            SwapError::Unknown(_) => "unknown",
            SwapError::Ambiguous { .. } => "ambiguous",
            SwapError::Source(error) => error.code(),
            SwapError::Digest(_) => "bad-digest",
            SwapError::Load(error) => error.failure.code(),
            SwapError::Configure { .. } => "refused_configuration",
            SwapError::OnlyAdvises(_) => "only_advises",
            SwapError::NothingBefore => "nothing_before",
            SwapError::NoSuchGeneration(_) => "no_such_generation",
            SwapError::InServiceAlready(_) => "in_service_already",
            SwapError::NotKept { .. } => "not_kept",
            SwapError::Store(_) => "store",
        }
    }
}
