//! What the author of a plugin can do about each way in which loading fails.

use super::LoadFailure;
use crate::load::component::{CONTRACT, VERSION, contract};
use crate::load::parse::PREVIEW_1;
use crate::wasi;

impl LoadFailure {
    /// What to do about it, as an instruction to the plugin's author.
    pub fn fix(&self) -> String {
        let contract = contract();
        match self {
            LoadFailure::TooLarge { .. } => {
                "build it optimised and strip its debug sections (`wasm-tools strip`), or leave out what it does not need"
                    .to_owned()
            }
            LoadFailure::NotWasm { .. } => "give the whole .wasm file that the build makes".to_owned(),
            LoadFailure::NotAComponent { is_untyped: true, .. } => format!(
                "build it with wit-bindgen against {contract}, or add the type with `wasm-tools component embed wit/v{VERSION} \
                 --world strategy` and then `wasm-tools component new`"
            ),
            LoadFailure::NotAComponent { .. } | LoadFailure::WrongType { .. } => {
                format!("regenerate the bindings for {contract} from wit/v{VERSION} and build it again")
            }
            LoadFailure::UnsupportedVersion { version, .. } => format!(
                "regenerate the bindings from wit/v{VERSION} and build it again, or run it on a perfhost that serves {version}"
            ),
            LoadFailure::MissingExport { export, .. } if export.contains('#') => {
                format!("implement it: regenerate the bindings for {contract} from wit/v{VERSION} and build it again")
            }
            LoadFailure::MissingExport { .. } => {
                format!("build it for one of the worlds strategy, tuner or advisor of {contract}: each of them exports it")
            }
            LoadFailure::ImportNotGranted { import } => import_fix(import),
            LoadFailure::Compile { .. } => {
                "check it with `wasm-tools validate`, and switch off the WebAssembly features that it names in your toolchain"
                    .to_owned()
            }
            LoadFailure::Guest(error) => error.fix(),
            LoadFailure::Sandbox { .. } => "it is not the plugin's fault: see to the host's machine and try again".to_owned(),
        }
    }
}

fn import_fix(import: &str) -> String {
    let (package, rest) = import.split_once('/').unwrap_or((import, ""));
    let contract = contract();
    if import == PREVIEW_1 {
        return "build it for wasm32-unknown-unknown or wasm32-wasip2 instead of wasm32-wasip1".to_owned();
    }
    if package == CONTRACT {
        return format!("regenerate the bindings: {contract} offers log and history to import, and nothing else");
    }
    if wasi::PACKAGES.contains(&package) {
        let version = rest.split_once('@').map_or("no version", |(_, version)| version);
        return format!("build it with a toolchain for WASI 0.2: {version} is not answered");
    }
    if package == "wasi:http" {
        return "remove what speaks HTTP: a strategy has no network, and what it may know arrives in the observation"
            .to_owned();
    }
    format!(
        "remove {import}, or put what provides it into the component (`wac plug`); strategies may import log and history of \
         {contract}, and {} @0.2.x, which are answered with nothing granted",
        wasi::PACKAGES.join(", ")
    )
}
