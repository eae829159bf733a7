//! The contract's records and functions as tables, from the doc comments in `wit/`.

use perfhost_tidy::text_of;
use wit_parser::{Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, UnresolvedPackageGroup};

const CONTRACT: &str = "wit/v0.1.0/strategy.wit";

/// One section an interface.
pub(super) fn sections() -> String {
    let group = UnresolvedPackageGroup::parse(CONTRACT, &text_of(CONTRACT)).expect("the contract is WIT");
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).expect("the contract resolves");
    let mut text = String::from("## The contract, record by record\n\n");
    text += &format!("From [`{CONTRACT}`](../{CONTRACT}), whose comments are the full text.\n");
    for (name, id) in &resolve.packages[package].interfaces {
        text += &interface(&resolve, name, *id);
    }
    text
}

fn interface(resolve: &Resolve, name: &str, id: InterfaceId) -> String {
    let interface = &resolve.interfaces[id];
    let mut text = format!("\n### Interface `{name}`\n");
    if let Some(docs) = &interface.docs.contents {
        text += &format!("\n{}\n", one_line(docs));
    }
    for (name, id) in &interface.types {
        text += &definition(resolve, name, *id);
    }
    if !interface.functions.is_empty() {
        text += "\n| function | takes | gives | meaning |\n|---|---|---|---|\n";
        for function in interface.functions.values() {
            let takes: Vec<String> = function
                .params
                .iter()
                .map(|param| format!("{}: `{}`", param.name, type_name(resolve, &param.ty)))
                .collect();
            let gives = function.result.as_ref().map_or(String::new(), |ty| format!("`{}`", type_name(resolve, ty)));
            text += &format!(
                "| `{}` | {} | {gives} | {} |\n",
                function.name,
                takes.join(", "),
                meaning(&function.name, function.docs.contents.as_deref())
            );
        }
    }
    text
}

fn definition(resolve: &Resolve, name: &str, id: TypeId) -> String {
    let definition = &resolve.types[id];
    // A type that the interface only uses stands where it is defined.
    if matches!(definition.kind, TypeDefKind::Type(_)) {
        return String::new();
    }
    let docs = format!(": {}", meaning(name, definition.docs.contents.as_deref()));
    match &definition.kind {
        TypeDefKind::Record(record) => {
            let mut text = format!("\n**`{name}`**{docs}\n\n| field | type | meaning |\n|---|---|---|\n");
            for field in &record.fields {
                let meaning = meaning(&format!("{name}.{}", field.name), field.docs.contents.as_deref());
                text += &format!("| `{}` | `{}` | {meaning} |\n", field.name, type_name(resolve, &field.ty));
            }
            text
        }
        TypeDefKind::Variant(variant) => {
            let mut text = format!("\n**`{name}`**{docs}\n\n| case | holds | meaning |\n|---|---|---|\n");
            for case in &variant.cases {
                let holds = case.ty.as_ref().map_or(String::new(), |ty| format!("`{}`", type_name(resolve, ty)));
                text += &format!(
                    "| `{}` | {holds} | {} |\n",
                    case.name,
                    meaning(&format!("{name}.{}", case.name), case.docs.contents.as_deref())
                );
            }
            text
        }
        TypeDefKind::Enum(words) => {
            let words: Vec<String> = words.cases.iter().map(|case| format!("`{}`", case.name)).collect();
            format!("\n**`{name}`**{docs} {}.\n", words.join(", "))
        }
        other => panic!("{CONTRACT}: {name} is a {}, which this page cannot show yet", other.as_str()),
    }
}

fn type_name(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}").to_lowercase() };
    let definition = &resolve.types[*id];
    if let Some(name) = &definition.name {
        return name.clone();
    }
    let of = |ty: &Type| type_name(resolve, ty);
    let maybe = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), of);
    match &definition.kind {
        TypeDefKind::List(item) => format!("list<{}>", of(item)),
        TypeDefKind::Option(item) => format!("option<{}>", of(item)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", maybe(&result.ok), maybe(&result.err)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => of(&Type::Id(*id)),
        other => other.as_str().to_owned(),
    }
}

/// # Panics
/// When there is none: the contract is all that an author has.
fn meaning(what: &str, docs: Option<&str>) -> String {
    match docs {
        Some(docs) => one_line(docs).replace('|', "\\|"),
        None => panic!("{CONTRACT}: {what} has no comment that says what it means"),
    }
}

fn one_line(docs: &str) -> String {
    docs.split_whitespace().collect::<Vec<_>>().join(" ")
}
