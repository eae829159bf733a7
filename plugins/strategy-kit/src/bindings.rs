//! Types and traits generated from the contract's `strategy` world, once for all built-in strategies.
//!
//! Owns nothing but the invocation. An advisor generates its own world and maps the shared `types` interface to these:
//! the export macros of two worlds in one crate would clash.

#![allow(unsafe_code, unreachable_pub, missing_docs, clippy::all)] // generated: calls across the component boundary

wit_bindgen::generate!({
    path: "../../wit/v0.1.0",
    world: "strategy",
    pub_export_macro: true,
    export_macro_name: "export_strategy_world",
    default_bindings_module: "strategy_kit::bindings",
});
