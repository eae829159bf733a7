//! Gives a component its imports, and looks its exports up.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::bindings::exports::perfhost::strategy::{advise, control, route};
use crate::bindings::perfhost::strategy::types;
use crate::error::LoadFailure;
use crate::guest::Guest;
use crate::host;
use crate::instance::Exports;
use crate::load::component::{Answer, CONTRACT, VERSION, answer};
use crate::wasi;

/// Answers the component's imports, and only those.
pub(super) fn link(engine: &Engine, component: &Component) -> Result<(InstancePre<Guest>, Exports), LoadFailure> {
    let mut linker = Linker::new(engine);
    define_contract(&mut linker).map_err(|error| LoadFailure::Sandbox { detail: format!("{error:#}") })?;
    let component_type = component.component_type();
    for (import, item) in component_type.imports(engine) {
        match (answer(import), item.ty) {
            (Answer::Contract, _) => {}
            (Answer::WasiWithoutGrants, ComponentItem::ComponentInstance(instance)) => {
                wasi::link(&mut linker, engine, import, &instance).map_err(|error| wrong_import(import, &error))?;
            }
            _ => return Err(LoadFailure::ImportNotGranted { import: import.to_owned() }),
        }
    }
    let pre = linker.instantiate_pre(component).map_err(|error| wrong_import("an import", &error))?;
    let exports = exports(&pre)?;
    Ok((pre, exports))
}

fn define_contract(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    host::log::link(linker)?;
    host::history::link(linker)?;
    types::add_to_linker::<_, wasmtime::component::HasSelf<_>>(linker, |guest| guest)
}

impl types::Host for Guest {}

fn exports(pre: &InstancePre<Guest>) -> Result<Exports, LoadFailure> {
    let has =
        |interface: &str| pre.component().get_export_index(None, format!("{CONTRACT}/{interface}@{VERSION}")).is_some();
    let missing = |error: wasmtime::Error| LoadFailure::MissingExport {
        export: format!("{CONTRACT}@{VERSION}"),
        found: format!("{error:#}"),
    };
    Ok(Exports {
        control: control::GuestIndices::new(pre).map_err(missing)?,
        route: has("route").then(|| route::GuestIndices::new(pre)).transpose().map_err(missing)?,
        advise: has("advise").then(|| advise::GuestIndices::new(pre)).transpose().map_err(missing)?,
    })
}

fn wrong_import(import: &str, error: &wasmtime::Error) -> LoadFailure {
    LoadFailure::WrongType {
        name: import.to_owned(),
        expected: "what this host offers under that name".to_owned(),
        detail: format!("{error:#}"),
    }
}
