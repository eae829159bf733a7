//! `perfhost plugin pull`: fetches a plugin into the library folder, so that a host started later needs no network for it.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use crate::cli::Output;
use crate::command::print::{self, bytes};
use crate::plugin_source::Intake;

pub(super) fn pull(plugin: &str, library_dir: Option<PathBuf>, output: Output) -> Result<()> {
    let fetched = Intake::of_command(library_dir)?.read(plugin, None)?;
    let provenance = &fetched.provenance;
    let size = fetched.source.bytes.len();
    print::print(&json!({ "plugin": plugin, "size_bytes": size, "provenance": provenance }), output, |_| {
        let mut text = format!(
            "{plugin}: {}, {}\nsignature: {}",
            bytes(size as f64),
            provenance.digest,
            provenance.signature.words()
        );
        if let Some(pinned) = provenance.pinned.as_ref().filter(|pinned| *pinned != plugin) {
            text += &format!("\nto load the same bytes every time: {pinned}");
        }
        text
    })
}
