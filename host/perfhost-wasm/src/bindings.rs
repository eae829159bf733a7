//! Rust types and call wrappers generated from the contract in `wit/`. They never leave this crate: `convert` turns
//! them into the words of perfhost-strategy.
//!
//! The contract has one world for each combination of exports. Here one world exports every interface, and each
//! interface's wrapper is taken by itself, so that all worlds share one set of types.
#![allow(missing_docs, unreachable_pub, reason = "generated code; the contract itself is documented in wit/")]

wasmtime::component::bindgen!({
    path: "../../wit/v0.1.0",
    inline: "
        package perfhost:host;
        world every-interface {
            import perfhost:strategy/log@0.1.0;
            import perfhost:strategy/history@0.1.0;
            export perfhost:strategy/control@0.1.0;
            export perfhost:strategy/route@0.1.0;
            export perfhost:strategy/advise@0.1.0;
        }
    ",
    world: "perfhost:host/every-interface",
    ownership: Borrowing { duplicate_if_necessary: true },
});
