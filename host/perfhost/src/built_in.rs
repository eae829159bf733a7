//! The strategies that the binary carries inside, as the WebAssembly that `build.rs` built.

/// Name and bytes of each built-in strategy.
pub const BUILT_IN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/built_in.rs"));

/// The strategy that runs when none is named, and that takes over when a loaded one fails again and again.
pub const DEFAULT: &str = "balanced";

/// The bytes of a built-in strategy. The name may carry `.wasm`: `aggressive.wasm` means the built-in one where no such
/// file exists.
pub fn find(name: &str) -> Option<&'static [u8]> {
    let bare = stem(name);
    BUILT_IN.iter().find(|(known, _)| *known == bare).map(|(_, bytes)| *bytes)
}

/// The name of the strategy that a plugin's file name stands for: no folder, no ending, hyphens.
pub fn stem(plugin: &str) -> String {
    let file = plugin.rsplit('/').next().unwrap_or(plugin);
    file.strip_suffix(".wasm").unwrap_or(file).replace('_', "-")
}

/// The names, for messages.
pub fn names() -> String {
    BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_with_and_without_its_ending() {
        assert!(find("aggressive.wasm").is_some() && find("quantization_advisor").is_some());
        assert!(find(DEFAULT).is_some() && find("unknown").is_none());
    }
}
