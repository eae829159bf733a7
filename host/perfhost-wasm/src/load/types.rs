//! Compares the exported functions with the contract, before any guest code runs.

use wasmtime::component::types::{Component as ComponentType, ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentNamedList, Lift, Lower};

use crate::bindings::exports::perfhost::strategy::{advise, control, route};
use crate::bindings::perfhost::strategy::types::{Fault, Hardware, Knob, Observation, Proposal};
use crate::error::LoadFailure;
use crate::load::component::{CONTRACT, VERSION};
use crate::load::difference::{TEXT, difference};

type Check = fn(&ComponentFunc, &ComponentType) -> wasmtime::Result<()>;

/// Every function of every interface that a strategy can export, with the types this crate calls it by.
const FUNCTIONS: &[(&str, &str, Check)] = &[
    ("control", "describe", matches::<(), (control::Description,)>),
    ("control", "configure", matches::<(&[(&str, &str)], &[Knob<'_>]), (Result<(), Fault>,)>),
    ("control", "propose", matches::<(Observation<'_>,), (Result<Vec<Proposal>, Fault>,)>),
    ("control", "learn", matches::<(&[control::Outcome<'_>],), ()>),
    ("control", "save", matches::<(), (Vec<u8>,)>),
    ("control", "restore", matches::<(&[u8],), (Result<(), Fault>,)>),
    ("route", "fleet", matches::<(route::FleetNames<'_>,), ()>),
    ("route", "plan-request", matches::<(route::Request<'_>, &[route::Candidate<'_>]), (route::Plan,)>),
    (
        "advise",
        "recommend",
        matches::<(Hardware<'_>, u32, u32, &[advise::Choice<'_>]), (Result<Vec<advise::Advice>, Fault>,)>,
    ),
];

/// Compares every function of the interfaces that the component exports.
pub(super) fn check(component: &Component) -> Result<(), LoadFailure> {
    let engine = component.engine();
    let component_type = component.component_type();
    for (interface, function, check) in FUNCTIONS {
        let prefix = format!("{CONTRACT}/{interface}@");
        let Some((_, export)) = component_type.exports(engine).find(|(name, _)| name.starts_with(&prefix)) else {
            continue;
        };
        let name = format!("{CONTRACT}/{interface}@{VERSION}#{function}");
        let wrong =
            |detail: String| LoadFailure::WrongType { name: name.clone(), expected: declaration(function), detail };
        let ComponentItem::ComponentInstance(instance) = export.ty else {
            return Err(wrong("the export of that name is not an interface".to_owned()));
        };
        match instance.get_export(engine, function).map(|item| item.ty) {
            Some(ComponentItem::ComponentFunc(found)) => {
                check(&found, &component_type).map_err(|error| {
                    wrong(difference(interface, function, &found).unwrap_or_else(|| format!("{error:#}")))
                })?;
            }
            Some(_) => return Err(wrong("it is not a function".to_owned())),
            None => {
                let found: Vec<&str> = instance.exports(engine).map(|(name, _)| name).collect();
                return Err(LoadFailure::MissingExport { export: name.clone(), found: found.join(", ") });
            }
        }
    }
    Ok(())
}

/// The comparison is part of wasmtime's public interface but hidden from its documents; the documented way needs an
/// instance, and guest code would run before its types are known to be right.
fn matches<Parameters, Answer>(function: &ComponentFunc, component: &ComponentType) -> wasmtime::Result<()>
where
    Parameters: ComponentNamedList + Lower,
    Answer: ComponentNamedList + Lift,
{
    function.typecheck::<Parameters, Answer>(&component.instance_type())
}

/// The contract's line for a function.
fn declaration(function: &str) -> String {
    let start = format!("{function}: func");
    TEXT.lines()
        .map(str::trim)
        .find(|line| line.starts_with(&start))
        .unwrap_or(function)
        .trim_end_matches(';')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_in_the_contracts_text() {
        for (_, function, _) in FUNCTIONS {
            assert!(declaration(function).contains("func("), "{function}");
        }
    }
}
