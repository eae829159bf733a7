//! Plugins from files, addresses, registries and uploads: what is let in, and how everything else is refused. The servers
//! are in this process, and answer wrongly where a test wants them to.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod files_and_uploads;
mod registries;
mod registry_signatures;
mod support;
mod urls;
