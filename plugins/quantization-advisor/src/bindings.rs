//! Types and traits generated from the contract's `advisor` world. The `types` interface is the kit's.

#![allow(unsafe_code, unreachable_pub, missing_docs, clippy::all)] // generated: calls across the component boundary

wit_bindgen::generate!({
    path: "../../wit/v0.1.0",
    world: "advisor",
    with: { "perfhost:strategy/types@0.1.0": strategy_kit::types },
    pub_export_macro: true,
    export_macro_name: "export_advisor_world",
});

pub use exports::perfhost::strategy::{advise, control};
