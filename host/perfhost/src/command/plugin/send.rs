//! How a plugin that a command names reaches a running host: by its name where the host can read it itself, as a file where
//! it cannot.

use std::path::Path;

use anyhow::{Context, Result};
use perfhost_upstream::Endpoint;
use serde_json::{Value, json};

use crate::cli::ClientFlags;
use crate::command::client::Client;
use crate::plugin_source::digest::Digest;

/// The header that carries an uploaded plugin's signature.
const SIGNATURE: &str = "x-perfhost-signature";

/// Asks the host to load `plugin`, and with `serves` to put it in service. A file is named to a host on this machine, with
/// its digest, and sent to any other; `is_upload` sends it in any case.
pub(super) fn send(plugin: &str, is_upload: bool, serves: bool, flags: &ClientFlags) -> Result<Value> {
    let client = Client::new(flags);
    let path = Path::new(plugin);
    if !path.is_file() {
        return by_name(&client, serves, &json!({ "name": plugin }));
    }
    let bytes = std::fs::read(path).with_context(|| format!("reading {plugin}"))?;
    let digest = Digest::of(&bytes);
    let is_this_machine = Endpoint::parse(&flags.host).is_ok_and(|endpoint| endpoint.is_loopback());
    if is_this_machine && !is_upload {
        let whole = path.canonicalize().with_context(|| format!("finding {plugin}"))?;
        return by_name(&client, serves, &json!({ "name": whole, "digest": digest.to_string() }))
            .context("the host was asked to read the file; where it cannot see it, send it with --upload");
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    let signature = std::fs::read_to_string(format!("{plugin}.sig")).ok().map(|text| text.trim().to_owned());
    let headers: Vec<(&str, &str)> = signature.iter().map(|text| (SIGNATURE, text.as_str())).collect();
    let path = format!("/api/strategies?name={name}&digest={digest}&in_service={serves}");
    client.post_with(&path, "application/wasm", &headers, &bytes)
}

fn by_name(client: &Client, serves: bool, body: &Value) -> Result<Value> {
    client.post(&format!("/api/strategies?in_service={serves}"), "application/json", body.to_string().as_bytes())
}
