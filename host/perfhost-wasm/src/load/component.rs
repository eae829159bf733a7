//! What a component says it is, by the names of its imports and exports, and whether that can work here.

use serde::Serialize;

use crate::error::LoadFailure;
use crate::wasi;

/// The contract's package.
pub(crate) const CONTRACT: &str = "perfhost:strategy";
/// The contract's version here. Patches of it are compatible: they add nothing that changes a type.
pub(crate) const VERSION: &str = "0.1.0";
const VERSION_PREFIX: &str = "0.1.";
/// The WASI line that is answered.
const WASI_PREFIX: &str = "0.2.";

/// The contract that this host serves: `package@version`.
pub fn contract() -> String {
    format!("{CONTRACT}@{VERSION}")
}

/// Names of a component's imports and exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Shape {
    /// It came as a core module.
    pub(crate) is_core_module: bool,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// An interface's name in its parts: `package/interface@version`.
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (package, rest) = name.split_once('/')?;
        let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
        Some(Self { package, interface, version })
    }
}

/// How an import is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// By the contract's own host functions.
    Contract,
    /// By a WASI that grants nothing.
    WasiWithoutGrants,
    /// Not at all: the plugin is refused.
    NotGranted,
}

/// How the import of this name is answered.
pub(crate) fn answer(import: &str) -> Answer {
    match Name::parse(import) {
        Some(name)
            if name.package == CONTRACT
                && ["log", "history", "types"].contains(&name.interface)
                && name.version.starts_with(VERSION_PREFIX) =>
        {
            Answer::Contract
        }
        Some(name) if wasi::PACKAGES.contains(&name.package) && name.version.starts_with(WASI_PREFIX) => {
            Answer::WasiWithoutGrants
        }
        _ => Answer::NotGranted,
    }
}

/// Finds the contract's version, and the exports that every strategy has.
pub(crate) fn check_version(shape: &Shape) -> Result<String, LoadFailure> {
    let of_contract = |names: &[String]| -> Vec<String> {
        let is_ours = |name: &&String| Name::parse(name).is_some_and(|name| name.package == CONTRACT);
        names.iter().filter(is_ours).cloned().collect()
    };
    let (imports, exports) = (of_contract(&shape.imports), of_contract(&shape.exports));
    let mut others: Vec<&str> = exports
        .iter()
        .chain(&imports)
        .map(String::as_str)
        .filter(|name| !Name::parse(name).is_some_and(|name| name.version.starts_with(VERSION_PREFIX)))
        .collect();
    others.dedup();
    if !others.is_empty() {
        let version = others.first().and_then(|name| Name::parse(name)).map_or("", |name| name.version);
        return Err(LoadFailure::UnsupportedVersion {
            version: if version.is_empty() { "none".to_owned() } else { version.to_owned() },
            found: others.join(", "),
            expected: contract(),
        });
    }
    let control = format!("{CONTRACT}/control@");
    if !exports.iter().any(|name| name.starts_with(&control)) {
        let found = if shape.exports.is_empty() { "nothing".to_owned() } else { shape.exports.join(", ") };
        return Err(LoadFailure::MissingExport { export: format!("{CONTRACT}/control@{VERSION}"), found });
    }
    Ok(contract())
}

/// How many of something, in words.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Refuses a component that imports anything else than the contract and WASI.
pub(crate) fn check_imports(shape: &Shape) -> Result<String, LoadFailure> {
    match shape.imports.iter().find(|import| answer(import) == Answer::NotGranted) {
        Some(import) => Err(LoadFailure::ImportNotGranted { import: import.clone() }),
        None => Ok(counted(shape.imports.len(), "import")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_answered_by_package_interface_and_version() {
        for (import, expected) in [
            ("perfhost:strategy/log@0.1.0", Answer::Contract),
            ("perfhost:strategy/log@0.1.7", Answer::Contract),
            ("perfhost:strategy/secrets@0.1.0", Answer::NotGranted),
            ("perfhost:strategy/log@0.2.0", Answer::NotGranted),
            ("wasi:cli/stdout@0.2.0", Answer::WasiWithoutGrants),
            ("wasi:cli/stdout@0.2.11", Answer::WasiWithoutGrants),
            ("wasi:cli/stdout@0.3.0", Answer::NotGranted),
            ("wasi:http/outgoing-handler@0.2.10", Answer::WasiWithoutGrants),
            ("wasi:nn/tensor@0.2.0", Answer::NotGranted),
            ("shop:payments/charge", Answer::NotGranted),
            ("run", Answer::NotGranted),
        ] {
            assert_eq!(answer(import), expected, "{import}");
        }
    }

    #[test]
    fn the_version_is_found_in_imports_too() {
        let shape = |imports: &[&str], exports: &[&str]| Shape {
            is_core_module: false,
            imports: imports.iter().map(ToString::to_string).collect(),
            exports: exports.iter().map(ToString::to_string).collect(),
        };
        let code = |shape| check_version(&shape).map_err(|failure| failure.code());
        assert!(code(shape(&[], &["perfhost:strategy/control@0.1.0"])).is_ok());
        assert_eq!(code(shape(&["perfhost:strategy/log@1.0.0"], &[])), Err("unsupported-version"));
        assert_eq!(code(shape(&[], &["perfhost:strategy/route@0.1.0"])), Err("missing-export"));
    }
}
