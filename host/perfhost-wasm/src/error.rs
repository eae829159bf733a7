//! How loading a strategy fails: which plugin, at which stage, why, and what the author can do about it.

mod fix;

use std::fmt;

use perfhost_strategy::StrategyError;
use serde::Serialize;
use thiserror::Error;

/// The stages of loading, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The sandbox itself is set up.
    Setup,
    /// The file's size is checked.
    Size,
    /// The file is read as WebAssembly; a core module is wrapped as a component.
    Parse,
    /// The contract's version is looked for.
    Version,
    /// What the component imports is compared with what is granted.
    Imports,
    /// Machine code is made, or taken from the cache.
    Compile,
    /// The types of exports and imports are compared with the contract.
    Types,
    /// A trial instance is made.
    Instantiate,
    /// The strategy is asked to describe itself.
    Describe,
    /// Its grants and limits are looked up by its name; where it has less than others, a trial instance is made under them.
    Grants,
    /// The strategy is configured and asked for proposals and a plan, with made-up numbers.
    Smoke,
}

impl Stage {
    /// The stage's name as messages and `inspect` use it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Setup => "setup",
            Stage::Size => "size",
            Stage::Parse => "parse",
            Stage::Version => "version",
            Stage::Imports => "imports",
            Stage::Compile => "compile",
            Stage::Types => "types",
            Stage::Instantiate => "instantiate",
            Stage::Describe => "describe",
            Stage::Grants => "grants",
            Stage::Smoke => "smoke",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A plugin that was not loaded. The message names the plugin, its version when it got far enough to say it, and the
/// stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadError {
    /// The plugin's file name or other source.
    pub plugin: String,
    /// `name@version` from its description, when known.
    pub strategy: Option<String>,
    /// Where loading ended.
    pub stage: Stage,
    /// Why.
    pub failure: Box<LoadFailure>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {}", self.plugin)?;
        if let Some(strategy) = &self.strategy {
            write!(f, " ({strategy})")?;
        }
        write!(f, " was refused at stage {}: {}; to mend it: {}", self.stage, self.failure, self.failure.fix())
    }
}

impl std::error::Error for LoadError {}

/// Why a plugin was not loaded.
#[derive(Debug, Clone, Error, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadFailure {
    /// The file is larger than allowed.
    #[error("the file has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the file.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The file is not WebAssembly, or is damaged.
    #[error("not a whole WebAssembly file: {detail}")]
    NotWasm {
        /// What was found.
        detail: String,
    },
    /// A core module that cannot be made a component.
    #[error("not a component: {detail}")]
    NotAComponent {
        /// What is missing or does not fit.
        detail: String,
        /// It carries no component type at all.
        is_untyped: bool,
    },
    /// It was built against another version of the contract.
    #[error("version {version} of the contract: this host serves {expected} (it names {found})")]
    UnsupportedVersion {
        /// The version that it names first; `none` when it names none.
        version: String,
        /// The interfaces of the contract that it names in another version.
        found: String,
        /// What this host serves.
        expected: String,
    },
    /// An interface of the contract that every strategy exports is missing.
    #[error("it does not export {export} (it exports {found})")]
    MissingExport {
        /// The interface.
        export: String,
        /// What it exports instead.
        found: String,
    },
    /// It imports something that no strategy is granted.
    #[error("it imports {import}, which is not granted")]
    ImportNotGranted {
        /// The import.
        import: String,
    },
    /// An export or import has another type than the contract gives it.
    #[error("{name} has the wrong type: {detail}; the contract says {expected}")]
    WrongType {
        /// Interface and function.
        name: String,
        /// The contract's declaration.
        expected: String,
        /// What differs.
        detail: String,
    },
    /// Valid WebAssembly that could not be compiled.
    #[error("could not be compiled: {detail}")]
    Compile {
        /// The compiler's words.
        detail: String,
    },
    /// Guest code failed: a trap, a time-out, too much memory or output, an invalid answer.
    #[error("{0}")]
    Guest(StrategyError),
    /// The sandbox itself could not be set up; not the plugin's fault.
    #[error("the sandbox could not be set up: {detail}")]
    Sandbox {
        /// What failed.
        detail: String,
    },
}

impl LoadFailure {
    /// A stable word for each kind of failure, for API answers and tests.
    pub fn code(&self) -> &'static str {
        match self {
            LoadFailure::TooLarge { .. } => "too-large",
            LoadFailure::NotWasm { .. } => "not-wasm",
            LoadFailure::NotAComponent { .. } => "not-a-component",
            LoadFailure::UnsupportedVersion { .. } => "unsupported-version",
            LoadFailure::MissingExport { .. } => "missing-export",
            LoadFailure::ImportNotGranted { .. } => "import-not-granted",
            LoadFailure::WrongType { .. } => "wrong-type",
            LoadFailure::Compile { .. } => "compile",
            LoadFailure::Sandbox { .. } => "sandbox",
            LoadFailure::Guest(error) => error.code(),
        }
    }
}
