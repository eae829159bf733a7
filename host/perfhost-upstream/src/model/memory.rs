//! How much memory a model needs with given engine settings, and how much there is.

use std::path::Path;

use perfhost_strategy::settings::EngineSettings;

use super::gguf::ModelHeader;

/// Compute buffers and the program itself.
const PROGRAM_BYTES: u64 = 256 << 20;

/// Bytes of the KV cache for all slots together.
pub fn kv_cache_bytes(header: &ModelHeader, settings: &EngineSettings) -> u64 {
    let tokens = u64::from(settings.context_tokens) * u64::from(settings.slots);
    // Blocks of 32 numbers with a two-byte scale: 34 bytes at 8 bits, 18 at 4 bits.
    let bytes_per_32_numbers = match settings.kv_type.as_str() {
        "q8_0" => 34,
        "q4_0" => 18,
        _ => 64,
    };
    (header.kv_numbers_per_token.saturating_mul(tokens) / 32).saturating_mul(bytes_per_32_numbers)
}

/// Bytes that a model file needs with these settings: weights, KV cache (where the file says how large one is),
/// compute buffers.
pub fn memory_estimate_bytes(weights_bytes: u64, header: Option<&ModelHeader>, settings: &EngineSettings) -> u64 {
    let kv = header.map_or(0, |header| kv_cache_bytes(header, settings));
    weights_bytes.saturating_add(kv).saturating_add(PROGRAM_BYTES)
}

/// Memory that can be had without swapping, as the operating system counts it; `None` where it does not say.
pub fn available_memory_bytes() -> Option<u64> {
    available_in(&std::fs::read_to_string(Path::new("/proc/meminfo")).ok()?)
}

fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(slots: u32, kv_type: &str) -> EngineSettings {
        EngineSettings { slots, kv_type: kv_type.to_owned(), ..perfhost_strategy::Settings::default().engine("x") }
    }

    #[test]
    fn the_kv_cache_grows_with_slots_and_shrinks_with_its_type() {
        let header = ModelHeader {
            architecture: "gemma3".to_owned(),
            name: None,
            quantization: None,
            context_tokens: 32_768,
            layers: 18,
            kv_heads: 1,
            key_length: 256,
            value_length: 256,
            kv_numbers_per_token: 18 * 512,
        };
        let one = kv_cache_bytes(&header, &settings(1, "f16"));
        assert_eq!(one, 18 * 512 * 2 * 2_048);
        assert_eq!(kv_cache_bytes(&header, &settings(4, "f16")), 4 * one);
        assert_eq!(kv_cache_bytes(&header, &settings(1, "q8_0")), one * 34 / 64);
        assert_eq!(memory_estimate_bytes(10, None, &settings(1, "f16")), PROGRAM_BYTES + 10);
    }

    #[test]
    fn available_memory_is_read_from_meminfo() {
        assert_eq!(available_in("MemTotal: 9 kB\nMemAvailable:     4 kB\n"), Some(4096));
        assert_eq!(available_in("MemTotal: 9 kB\n"), None);
    }
}
