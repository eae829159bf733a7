//! What a GGUF file says of itself: the few facts that memory estimates and quantization advice need.
//!
//! Reads the metadata only, never a tensor. Every length in the file is checked before it is believed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Serialize;

use super::error::ModelError;

const MAX_FIELDS: u64 = 65_536;
const MAX_KEY_BYTES: u64 = 4_096;
const MAX_TEXT_BYTES: u64 = 64 << 20;
const MAX_ARRAY_ITEMS: u64 = 64 << 20;
/// Longer arrays (the vocabulary) are skipped.
const MAX_KEPT_ITEMS: u64 = 4_096;
const MAX_KEPT_TEXT_BYTES: u64 = 4_096;

/// Facts from a model file's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelHeader {
    /// `gemma3`, `llama`, `qwen2` and so on.
    pub architecture: String,
    /// The model's own name, where it has one.
    pub name: Option<String>,
    /// The quantization as llama.cpp names it, such as `Q4_K_M`; `None` for one that is not known here.
    pub quantization: Option<&'static str>,
    /// The context that the model was trained for, in tokens.
    pub context_tokens: u64,
    /// Layers.
    pub layers: u64,
    /// Key and value heads of the layer that has most of them.
    pub kv_heads: u64,
    /// Numbers in one head's key.
    pub key_length: u64,
    /// Numbers in one head's value.
    pub value_length: u64,
    /// Numbers that one token adds to the KV cache, over all layers. An upper bound: layers that only look back a
    /// fixed window keep less.
    pub kv_numbers_per_token: u64,
}

enum Field {
    Integer(u64),
    Text(String),
    Integers(Vec<u64>),
    Other,
}

impl ModelHeader {
    /// Reads a model file's metadata.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(ModelError::file("open", path))?;
        let size = file.metadata().map_err(ModelError::file("inspect", path))?.len();
        let mut source = Source { reader: BufReader::with_capacity(256 << 10, file), left: size };
        read_fields(&mut source)
            .and_then(|fields| from_fields(&fields))
            .map_err(|why| ModelError::NotAModel { path: path.to_owned(), why })
    }
}

fn from_fields(fields: &BTreeMap<String, Field>) -> Result<ModelHeader, String> {
    let text = |key: &str| match fields.get(key) {
        Some(Field::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let architecture = text("general.architecture").ok_or("it names no architecture")?;
    let of = |key: &str| fields.get(&format!("{architecture}.{key}"));
    let integer = |key: &str| match of(key) {
        Some(Field::Integer(value)) => Some(*value),
        _ => None,
    };
    // A number for all layers, or one a layer.
    let heads = |key: &str| match of(key) {
        Some(Field::Integer(value)) => Some(vec![*value]),
        Some(Field::Integers(values)) if !values.is_empty() => Some(values.clone()),
        _ => None,
    };
    let layers = integer("block_count").unwrap_or(0);
    let query_heads = heads("attention.head_count").unwrap_or_else(|| vec![1]);
    let kv_heads = heads("attention.head_count_kv").unwrap_or_else(|| query_heads.clone());
    let most_query_heads = query_heads.iter().copied().max().unwrap_or(1).max(1);
    let head_length = integer("embedding_length").unwrap_or(0) / most_query_heads;
    let key_length = integer("attention.key_length").unwrap_or(head_length);
    let value_length = integer("attention.value_length").unwrap_or(head_length);
    let heads_of_all_layers = match kv_heads.as_slice() {
        [one] => one.saturating_mul(layers),
        each => each.iter().fold(0, |sum: u64, heads| sum.saturating_add(*heads)),
    };
    Ok(ModelHeader {
        name: text("general.name"),
        quantization: match fields.get("general.file_type") {
            Some(Field::Integer(file_type)) => quantization_name(*file_type),
            _ => None,
        },
        context_tokens: integer("context_length").unwrap_or(0),
        layers,
        kv_heads: kv_heads.iter().copied().max().unwrap_or(0),
        key_length,
        value_length,
        kv_numbers_per_token: heads_of_all_layers.saturating_mul(key_length.saturating_add(value_length)),
        architecture,
    })
}

fn read_fields(source: &mut Source) -> Result<BTreeMap<String, Field>, String> {
    if &source.bytes::<4>()? != b"GGUF" {
        return Err("it does not start with GGUF".to_owned());
    }
    let version = u32::from_le_bytes(source.bytes()?);
    if !(2..=3).contains(&version) {
        return Err(format!("it has format version {version}; 2 and 3 can be read"));
    }
    let _tensors = source.number(8)?;
    let count = source.number(8)?;
    if count > MAX_FIELDS {
        return Err(format!("it claims {count} metadata fields"));
    }
    let mut fields = BTreeMap::new();
    for _ in 0..count {
        let key = source.text(MAX_KEY_BYTES)?.ok_or("a metadata key is too long")?;
        let kind = u32::from_le_bytes(source.bytes()?);
        let field = source.field(kind)?;
        fields.insert(key, field);
    }
    Ok(fields)
}

/// The file, with what is left of it, so that no length can lead beyond its end.
struct Source {
    reader: BufReader<File>,
    left: u64,
}

impl Source {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.take(N as u64)?;
        self.reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// A little-endian number of 1 to 8 bytes.
    fn number(&mut self, size: usize) -> Result<u64, String> {
        let mut bytes = [0; 8];
        self.take(size as u64)?;
        self.reader.read_exact(&mut bytes[..size]).map_err(|error| error.to_string())?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A text, or `None` for one longer than `keep`, which is skipped.
    fn text(&mut self, keep: u64) -> Result<Option<String>, String> {
        let length = self.number(8)?;
        if length > MAX_TEXT_BYTES {
            return Err(format!("it claims a text of {length} bytes"));
        }
        if length > keep {
            return self.skip(length).map(|()| None);
        }
        self.take(length)?;
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn field(&mut self, kind: u32) -> Result<Field, String> {
        match kind {
            8 => Ok(self.text(MAX_KEPT_TEXT_BYTES)?.map_or(Field::Other, Field::Text)),
            9 => self.array(),
            _ => {
                let value = self.number(scalar_size(kind)?)?;
                Ok(if is_whole(kind) { Field::Integer(value) } else { Field::Other })
            }
        }
    }

    fn array(&mut self) -> Result<Field, String> {
        let kind = u32::from_le_bytes(self.bytes()?);
        let count = self.number(8)?;
        if count > MAX_ARRAY_ITEMS {
            return Err(format!("it claims an array of {count} items"));
        }
        if kind == 8 {
            for _ in 0..count {
                self.text(0)?;
            }
            return Ok(Field::Other);
        }
        let size = scalar_size(kind)?;
        if !is_whole(kind) || count > MAX_KEPT_ITEMS {
            self.skip(count * size as u64)?;
            return Ok(Field::Other);
        }
        (0..count).map(|_| self.number(size)).collect::<Result<_, _>>().map(Field::Integers)
    }

    fn skip(&mut self, length: u64) -> Result<(), String> {
        self.take(length)?;
        self.reader.seek_relative(length as i64).map_err(|error| error.to_string())
    }

    fn take(&mut self, length: u64) -> Result<(), String> {
        self.left = self.left.checked_sub(length).ok_or("it is cut short")?;
        Ok(())
    }
}

fn scalar_size(kind: u32) -> Result<usize, String> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(format!("it has a metadata field of unknown type {kind}")),
    }
}

/// Whole numbers that this module needs are never negative, so the signed types are read as unsigned.
fn is_whole(kind: u32) -> bool {
    matches!(kind, 0..=5 | 10 | 11)
}

/// llama.cpp's `llama_ftype`.
fn quantization_name(file_type: u64) -> Option<&'static str> {
    Some(match file_type {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        19 => "IQ2_XXS",
        20 => "IQ2_XS",
        21 => "Q2_K_S",
        22 => "IQ3_XS",
        23 => "IQ3_XXS",
        24 => "IQ1_S",
        25 => "IQ4_NL",
        26 => "IQ3_S",
        27 => "IQ3_M",
        28 => "IQ2_S",
        29 => "IQ2_M",
        30 => "IQ4_XS",
        31 => "IQ1_M",
        32 => "BF16",
        36 => "TQ1_0",
        37 => "TQ2_0",
        38 => "MXFP4",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A metadata-only file, built field by field.
    struct Builder(Vec<u8>, u64);

    impl Builder {
        fn text(bytes: &mut Vec<u8>, text: &str) {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        }

        fn field(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
            Self::text(&mut self.0, key);
            self.0.extend(kind.to_le_bytes());
            self.0.extend(value);
            self.1 += 1;
            self
        }

        fn word(self, key: &str, value: &str) -> Self {
            let mut bytes = Vec::new();
            Self::text(&mut bytes, value);
            self.field(key, 8, &bytes)
        }

        fn number(self, key: &str, value: u32) -> Self {
            self.field(key, 4, &value.to_le_bytes())
        }

        fn finish(self) -> Vec<u8> {
            let mut bytes = b"GGUF".to_vec();
            bytes.extend(3u32.to_le_bytes());
            bytes.extend(0u64.to_le_bytes());
            bytes.extend(self.1.to_le_bytes());
            bytes.extend(self.0);
            bytes
        }
    }

    fn gemma() -> Builder {
        let vocabulary: Vec<u8> = [8u32.to_le_bytes().as_slice(), &2u64.to_le_bytes(), &[1, 0, 0, 0, 0, 0, 0, 0, b'a']]
            .concat()
            .into_iter()
            .chain([0; 8])
            .collect();
        Builder(Vec::new(), 0)
            .word("general.architecture", "gemma3")
            .number("general.file_type", 15)
            .field("tokenizer.ggml.tokens", 9, &vocabulary)
            .number("gemma3.context_length", 32_768)
            .number("gemma3.block_count", 18)
            .number("gemma3.embedding_length", 640)
            .number("gemma3.attention.head_count", 4)
            .number("gemma3.attention.head_count_kv", 1)
            .number("gemma3.attention.key_length", 256)
            .number("gemma3.attention.value_length", 256)
    }

    fn read(bytes: &[u8]) -> Result<ModelHeader, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        ModelHeader::read(&path)
    }

    #[test]
    fn the_facts_are_read_past_the_vocabulary() {
        let header = read(&gemma().finish()).unwrap();
        assert_eq!((header.architecture.as_str(), header.quantization), ("gemma3", Some("Q4_K_M")));
        assert_eq!((header.layers, header.kv_heads, header.context_tokens), (18, 1, 32_768));
        assert_eq!(header.kv_numbers_per_token, 18 * 512);
    }

    #[test]
    fn one_head_count_a_layer_is_summed() {
        let mut counts = 4u32.to_le_bytes().to_vec();
        counts.extend(2u64.to_le_bytes());
        counts.extend([2u32, 8].iter().flat_map(|count| count.to_le_bytes()));
        let header = read(
            &Builder(Vec::new(), 0)
                .word("general.architecture", "x")
                .number("x.block_count", 2)
                .number("x.embedding_length", 64)
                .number("x.attention.head_count", 8)
                .field("x.attention.head_count_kv", 9, &counts)
                .finish(),
        )
        .unwrap();
        assert_eq!((header.kv_heads, header.key_length, header.kv_numbers_per_token), (8, 8, 10 * 16));
    }

    #[test]
    fn every_cut_and_every_absurd_length_is_refused() {
        let whole = gemma().finish();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "cut at {length}");
        }
        let mut absurd = whole.clone();
        absurd[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read(&absurd).unwrap_err().to_string().contains("metadata fields"));
        let mut absurd = whole;
        absurd[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read(&absurd).unwrap_err().to_string().contains("a text of"));
    }
}
