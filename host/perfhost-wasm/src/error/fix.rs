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
    format!(
        "remove {import}, or put what provides it into the component (`wac plug`); strategies may import log and history of \
         {contract}, and {} @0.2.x, which are answered with nothing granted",
        wasi::PACKAGES.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::StrategyError;

    use super::*;

    #[test]
    fn every_kind_of_refusal_has_an_instruction_of_its_own() {
        let (detail, found) = (String::new, || "nothing".to_owned());
        let trap = StrategyError::Trap { call: "describe", message: "unreachable".to_owned() };
        let refusals = [
            (LoadFailure::TooLarge { size: 2, limit: 1 }, "strip"),
            (LoadFailure::NotWasm { detail: detail() }, "whole .wasm file"),
            (LoadFailure::NotAComponent { detail: detail(), is_untyped: true }, "wasm-tools component embed"),
            (LoadFailure::NotAComponent { detail: detail(), is_untyped: false }, "regenerate the bindings"),
            (
                LoadFailure::UnsupportedVersion { version: "0.2.0".to_owned(), found: found(), expected: contract() },
                "a perfhost that serves 0.2.0",
            ),
            (LoadFailure::MissingExport { export: contract(), found: found() }, "strategy, tuner or advisor"),
            (
                LoadFailure::MissingExport {
                    export: "perfhost:strategy/control@0.1.0#save".to_owned(),
                    found: found(),
                },
                "implement it",
            ),
            (
                LoadFailure::WrongType { name: "x".to_owned(), expected: detail(), detail: detail() },
                "from wit/v0.1.0 and build it again",
            ),
            (LoadFailure::Compile { detail: detail() }, "wasm-tools validate"),
            (LoadFailure::Guest(trap), "find what panics or aborts in describe"),
            (LoadFailure::Sandbox { detail: detail() }, "not the plugin's fault"),
        ];
        for (refusal, part) in refusals {
            assert!(refusal.fix().contains(part), "{refusal:?}: {}", refusal.fix());
        }
    }

    #[test]
    fn an_import_that_is_not_granted_is_told_by_where_it_comes_from() {
        for (import, part) in [
            (PREVIEW_1, "instead of wasm32-wasip1"),
            ("perfhost:strategy/secrets@0.1.0", "log and history to import, and nothing else"),
            ("perfhost:strategy/log@0.2.0", "log and history to import, and nothing else"),
            ("wasi:cli/stdout@0.3.0", "a toolchain for WASI 0.2: 0.3.0 is not answered"),
            ("wasi:http/handler@0.3.0-rc", "a toolchain for WASI 0.2: 0.3.0-rc is not answered"),
            ("wasi:nn/tensor@0.2.0", "remove wasi:nn/tensor@0.2.0"),
            ("shop:payments/card@1.0.0", "`wac plug`"),
            ("env", "remove env"),
        ] {
            let fix = import_fix(import);
            assert!(fix.contains(part), "{import}: {fix}");
        }
    }
}
