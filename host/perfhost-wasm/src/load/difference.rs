//! What a function's type has that the contract's has not, and the other way round, in words: which parameter, which
//! field, what was found and what is expected. Only looked for once it is known that they differ.

use wasmtime::component::types::{ComponentFunc, Type as Found};
use wit_parser::{Resolve, Type, TypeDefKind, UnresolvedPackageGroup};

use super::component::counted;

/// The contract's text.
pub(super) const TEXT: &str = include_str!("../../../../wit/v0.1.0/strategy.wit");

/// A type, from either side.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// A type without parts, or one whose parts do not matter here.
    Word(String),
    List(Box<Form>),
    Option(Box<Form>),
    Result(Option<Box<Form>>, Option<Box<Form>>),
    Tuple(Vec<Form>),
    /// Records, with every field's type; variants and enums, whose cases may have none.
    Named(&'static str, Vec<(String, Option<Form>)>),
}

/// The first difference between a function and the contract's function of that name in `interface`; `None` when there is
/// none or the contract has no such function.
pub(super) fn difference(interface: &str, function: &str, found: &ComponentFunc) -> Option<String> {
    let mut resolve = Resolve::default();
    resolve.push_group(UnresolvedPackageGroup::parse("strategy.wit", TEXT).ok()?).ok()?;
    let (_, interface) = resolve.interfaces.iter().find(|(_, known)| known.name.as_deref() == Some(interface))?;
    let expected = interface.functions.get(function)?;
    let parameters: Vec<(String, Form)> = expected
        .params
        .iter()
        .map(|parameter| (parameter.name.clone(), of_contract(&resolve, &parameter.ty)))
        .collect();
    let found_parameters: Vec<Form> = found.params().map(|(_, found)| of_component(&found)).collect();
    if found.async_() {
        return Some(format!("{function} is async; the contract's functions are not"));
    }
    if found_parameters.len() != parameters.len() {
        return Some(format!(
            "{function} takes {}, expected {}",
            counted(found_parameters.len(), "parameter"),
            parameters.len()
        ));
    }
    for ((name, expected), found) in parameters.iter().zip(&found_parameters) {
        if let Some(difference) = between(&format!("parameter `{name}` of {function}"), expected, found) {
            return Some(difference);
        }
    }
    let answer = expected.result.as_ref().map(|answer| of_contract(&resolve, answer));
    let found_answer = found.results().next().map(|answer| of_component(&answer));
    let place = format!("the answer of {function}");
    match (answer, found_answer) {
        (None, None) => None,
        (Some(expected), Some(found)) => between(&place, &expected, &found),
        (Some(expected), None) => Some(format!("{function} answers nothing, expected {}", words(&expected))),
        (None, Some(found)) => Some(format!("{function} answers {}, expected nothing", words(&found))),
    }
}

fn between(place: &str, expected: &Form, found: &Form) -> Option<String> {
    let optional = |place: String, expected: &Option<Box<Form>>, found: &Option<Box<Form>>| match (expected, found) {
        (None, None) => None,
        (Some(expected), Some(found)) => between(&place, expected, found),
        (expected, found) => {
            let name = |form: &Option<Box<Form>>| form.as_deref().map_or("nothing".to_owned(), words);
            Some(format!("{place} is {}, expected {}", name(found), name(expected)))
        }
    };
    match (expected, found) {
        (Form::List(expected), Form::List(found)) => between(&format!("an item of {place}"), expected, found),
        (Form::Option(expected), Form::Option(found)) => between(&format!("{place}, if there,"), expected, found),
        (Form::Result(expected, expected_error), Form::Result(found, found_error)) => {
            optional(format!("{place}, when it succeeds,"), expected, found)
                .or_else(|| optional(format!("{place}, when it fails,"), expected_error, found_error))
        }
        (Form::Tuple(expected), Form::Tuple(found)) if expected.len() == found.len() => {
            let mut parts = expected.iter().zip(found).enumerate();
            parts.find_map(|(at, (expected, found))| between(&format!("part {} of {place}", at + 1), expected, found))
        }
        (Form::Named(kind, expected), Form::Named(found_kind, found)) if kind == found_kind => {
            named(place, if *kind == "record" { "field" } else { "case" }, expected, found)
        }
        (expected, found) if expected == found => None,
        (expected, found) => Some(format!("{place} is {}, expected {}", words(found), words(expected))),
    }
}

fn named(
    place: &str,
    part: &str,
    expected: &[(String, Option<Form>)],
    found: &[(String, Option<Form>)],
) -> Option<String> {
    let lacks = |names: &[(String, Option<Form>)], name: &String| !names.iter().any(|(known, _)| known == name);
    if let Some((name, _)) = expected.iter().find(|(name, _)| lacks(found, name)) {
        return Some(format!("{place} lacks the {part} `{name}`"));
    }
    if let Some((name, _)) = found.iter().find(|(name, _)| lacks(expected, name)) {
        return Some(format!("{place} has a {part} `{name}`, which the contract does not"));
    }
    expected.iter().zip(found).find_map(|((name, expected), (found_name, found))| {
        if name != found_name {
            return Some(format!(
                "{place} has its {part}s in another order: `{found_name}` where `{name}` is expected"
            ));
        }
        match (expected, found) {
            (Some(expected), Some(found)) => between(&format!("{part} `{name}` of {place}"), expected, found),
            (None, None) => None,
            _ => Some(format!("{part} `{name}` of {place} carries a value on one side only")),
        }
    })
}

fn of_contract(resolve: &Resolve, given: &Type) -> Form {
    let of = |inner: &Type| of_contract(resolve, inner);
    let boxed = |inner: &Option<Type>| inner.as_ref().map(|inner| Box::new(of(inner)));
    let Type::Id(id) = given else { return Form::Word(format!("{given:?}").to_lowercase()) };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(inner) => of(inner),
        TypeDefKind::List(inner) => Form::List(Box::new(of(inner))),
        TypeDefKind::Option(inner) => Form::Option(Box::new(of(inner))),
        TypeDefKind::Result(result) => Form::Result(boxed(&result.ok), boxed(&result.err)),
        TypeDefKind::Tuple(tuple) => Form::Tuple(tuple.types.iter().map(of).collect()),
        TypeDefKind::Record(record) => {
            Form::Named("record", record.fields.iter().map(|field| (field.name.clone(), Some(of(&field.ty)))).collect())
        }
        TypeDefKind::Variant(variant) => Form::Named(
            "variant",
            variant.cases.iter().map(|case| (case.name.clone(), case.ty.as_ref().map(of))).collect(),
        ),
        TypeDefKind::Enum(cases) => {
            Form::Named("enum", cases.cases.iter().map(|case| (case.name.clone(), None)).collect())
        }
        other => Form::Word(other.as_str().to_owned()),
    }
}

fn of_component(found: &Found) -> Form {
    let boxed = |inner: Option<Found>| inner.map(|inner| Box::new(of_component(&inner)));
    match found {
        Found::Float32 => Form::Word("f32".to_owned()),
        Found::Float64 => Form::Word("f64".to_owned()),
        Found::List(list) => Form::List(Box::new(of_component(&list.ty()))),
        Found::Option(option) => Form::Option(Box::new(of_component(&option.ty()))),
        Found::Result(result) => Form::Result(boxed(result.ok()), boxed(result.err())),
        Found::Tuple(tuple) => Form::Tuple(tuple.types().map(|part| of_component(&part)).collect()),
        Found::Record(record) => Form::Named(
            "record",
            record.fields().map(|field| (field.name.to_owned(), Some(of_component(&field.ty)))).collect(),
        ),
        Found::Variant(variant) => Form::Named(
            "variant",
            variant.cases().map(|case| (case.name.to_owned(), case.ty.as_ref().map(of_component))).collect(),
        ),
        Found::Enum(cases) => Form::Named("enum", cases.names().map(|name| (name.to_owned(), None)).collect()),
        Found::Flags(_) => Form::Word("flags".to_owned()),
        Found::Own(_) | Found::Borrow(_) => Form::Word("resource".to_owned()),
        Found::Future(_) => Form::Word("future".to_owned()),
        Found::Stream(_) => Form::Word("stream".to_owned()),
        Found::Map(_) => Form::Word("map".to_owned()),
        Found::FixedLengthList(_) => Form::Word("list of fixed length".to_owned()),
        simple => Form::Word(format!("{simple:?}").to_lowercase()),
    }
}

/// A type in words, as deep as one line takes.
fn words(form: &Form) -> String {
    match form {
        Form::Word(word) => word.clone(),
        Form::List(inner) => format!("list<{}>", words(inner)),
        Form::Option(inner) => format!("option<{}>", words(inner)),
        Form::Result(..) => "a result".to_owned(),
        Form::Tuple(parts) => format!("tuple<{}>", parts.iter().map(words).collect::<Vec<_>>().join(", ")),
        Form::Named(kind, parts) => {
            let names: Vec<&str> = parts.iter().take(3).map(|(name, _)| name.as_str()).collect();
            let more = if parts.len() > names.len() { ", …" } else { "" };
            format!("{kind} {{{}{more}}}", names.join(", "))
        }
    }
}
