//! perfhost, the host for sandboxed optimization strategies in front of LLM providers: command line, configuration, and
//! the composition root that wires the other crates into one running host.
//!
//! - [`cli`], [`command`]: the command line and what each command does
//! - [`config`]: where settings come from and what they may be
//! - [`host`]: the composition root, `run(listener, config, shutdown)`
//! - [`service`]: what runs beside the request path: strategies, tuning, sampling, the engine
//! - [`plugin_source`]: where plugins come from, and whether they are trusted
//! - [`built_in`]: the strategies inside the binary
//! - [`scaffold`]: new strategy projects from templates
//! - [`data_dir`]: the locked folder of history and state

pub mod built_in;
pub mod cli;
pub mod command;
pub mod config;
pub mod data_dir;
pub mod host;
pub mod plugin_source;
pub mod scaffold;
pub mod service;
