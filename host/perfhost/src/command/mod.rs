//! What each command does. One file a command; [`client`] speaks to a running host, [`print`] lays out results, [`plot`]
//! draws them, [`plugin_file`] reads the plugin that is named, [`sandbox`] runs strategies where no host does, [`waiting`]
//! says what takes long, [`misuse`] marks wrong usage.

pub mod ab;
pub mod alerts;
pub mod cache;
pub mod client;
pub mod decisions;
pub mod doctor;
pub mod engine;
pub mod library;
pub mod metrics;
pub mod misuse;
pub mod model;
pub mod optimize;
pub mod plot;
pub mod plugin;
pub mod plugin_file;
pub mod print;
pub mod replay;
pub mod report;
pub mod resources;
pub mod sandbox;
pub mod serve;
pub mod setup;
pub mod shell;
pub mod status;
pub mod top;
pub mod waiting;
