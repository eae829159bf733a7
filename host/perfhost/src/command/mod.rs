//! What each command does. One file a command; [`client`] speaks to a running host, [`print`] lays out results, [`plot`]
//! draws them, [`plugin_file`] reads the plugin that is named, [`sandbox`] runs strategies where no host does.

pub mod alerts;
pub mod client;
pub mod decisions;
pub mod engine;
pub mod library;
pub mod metrics;
pub mod model;
pub mod plot;
pub mod plugin;
pub mod plugin_file;
pub mod print;
pub mod replay;
pub mod resources;
pub mod sandbox;
pub mod serve;
pub mod setup;
pub mod status;
