//! Reads a plugin file's outermost structure, and makes a component of a core module that carries its component type.

use std::borrow::Cow;

use wasmparser::{Encoding, Parser, Payload};

use crate::error::LoadFailure;
use crate::load::component::Shape;

/// First bytes of every WebAssembly file.
const WASM: &[u8] = b"\0asm";
/// Custom sections in which `wit-bindgen` leaves the component type.
const COMPONENT_TYPE: &str = "component-type";
/// The import module of WASI's first preview, which core modules made for `wasm32-wasip1` need.
pub(crate) const PREVIEW_1: &str = "wasi_snapshot_preview1";

/// A plugin that has the outer form of a component.
pub(crate) struct Parsed<'a> {
    pub(crate) component: Cow<'a, [u8]>,
    pub(crate) shape: Shape,
}

/// Reads `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed<'_>, LoadFailure> {
    if !bytes.starts_with(WASM) {
        let detail = if bytes.is_empty() {
            "the file is empty".to_owned()
        } else if bytes.iter().take(512).all(u8::is_ascii) {
            "it is a text file".to_owned()
        } else {
            "it does not begin with the bytes of a WebAssembly file".to_owned()
        };
        return Err(LoadFailure::NotWasm { detail });
    }
    let outline = outline(bytes)?;
    if !outline.shape.is_core_module {
        return Ok(Parsed { component: Cow::Borrowed(bytes), shape: outline.shape });
    }
    if !outline.has_component_type {
        return Err(LoadFailure::NotAComponent {
            detail: "it is a core module without a component type".to_owned(),
            is_untyped: true,
        });
    }
    let component = encode(bytes)?;
    let shape = Shape { is_core_module: true, ..self::outline(&component)?.shape };
    Ok(Parsed { component: Cow::Owned(component), shape })
}

struct Outline {
    shape: Shape,
    has_component_type: bool,
}

fn outline(bytes: &[u8]) -> Result<Outline, LoadFailure> {
    let damaged = |error: wasmparser::BinaryReaderError| LoadFailure::NotWasm {
        detail: format!("{error}; the file may be cut short or damaged"),
    };
    let mut outline = Outline { shape: Shape::default(), has_component_type: false };
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding, .. } if depth == 0 => {
                outline.shape.is_core_module = encoding == Encoding::Module;
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    outline.shape.imports.push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    outline.shape.exports.push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 0 => {
                outline.has_component_type |= section.name().starts_with(COMPONENT_TYPE);
            }
            _ => {}
        }
    }
    Ok(outline)
}

fn encode(module: &[u8]) -> Result<Vec<u8>, LoadFailure> {
    let encoded = wit_component::ComponentEncoder::default().module(module).and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| {
        let detail = format!("{error:#}");
        if detail.contains(PREVIEW_1) {
            return LoadFailure::ImportNotGranted { import: PREVIEW_1.to_owned() };
        }
        LoadFailure::NotAComponent {
            detail: format!("its component type and its code do not fit: {detail}"),
            is_untyped: false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> &'static str {
        parse(bytes).map_or_else(|failure| failure.code(), |_| "ok")
    }

    #[test]
    fn what_is_not_a_component_is_told_apart() {
        let empty_module = b"\0asm\x01\0\0\0";
        let empty_component = b"\0asm\x0d\0\x01\0";
        assert_eq!(code(b""), "not-wasm");
        assert_eq!(code(b"#!/bin/sh"), "not-wasm");
        assert_eq!(code(b"\x7fELF\x80"), "not-wasm");
        assert_eq!(code(&empty_module[..6]), "not-wasm");
        assert_eq!(code(empty_module), "not-a-component");
        assert_eq!(code(empty_component), "ok");
    }
}
