//! Local model servers (llama.cpp's `llama-server`) that perfhost installs, starts, watches, restarts and replaces.
//!
//! An [`Engine`] is one provider of the fleet and the process behind it. Changed settings start a second process beside
//! the first, move traffic once it answers, and stop the first when its last request has ended. It does not decide on
//! settings (strategies and the guard do) and does not see requests (the gateway and [`crate::client`] do).
//!
//! - [`program`], [`install`]: which program is run, and setting one up
//! - [`command`]: settings as a command line
//! - [`process`], [`log`], [`pidfile`]: one running process, its output, and what is left of an earlier perfhost's
//! - [`launch`]: from a command line to a server that answers
//! - [`exchange`], [`metrics`], [`watch`]: asking the server how it is
//! - [`supervisor`], [`replace`], [`backoff`]: the life of an engine over many processes
//! - [`state`]: what others see of it

mod backoff;
mod command;
mod config;
mod error;
mod exchange;
mod handle;
mod install;
mod launch;
mod log;
mod metrics;
mod pidfile;
mod process;
mod program;
mod replace;
mod state;
mod supervisor;
mod watch;

pub use config::EngineConfig;
pub use error::EngineError;
pub use handle::Engine;
pub use install::{PACKAGE, PACKAGE_VERSION, install, install_with};
pub use log::log_path;
pub use metrics::EngineMetrics;
pub use program::{EngineProgram, InstalledEngine, find, list, physical_cores};
pub use state::{EngineChange, EnginePhase, EngineState};
