//! Bits that llama.cpp's quantizations spend on one weight, scales included. Source: the table that `llama-quantize --help`
//! prints and the block layouts in ggml's `ggml-common.h`.

/// Mean bits per weight of a quantization by its llama.cpp name; `None` for one that is not known here.
pub fn bits_per_weight(quantization: &str) -> Option<f32> {
    Some(match quantization {
        "F32" => 32.0,
        "F16" | "BF16" => 16.0,
        "Q8_0" => 8.5,
        "Q6_K" => 6.56,
        "Q5_1" => 6.0,
        "Q5_K_M" => 5.69,
        "Q5_K_S" => 5.54,
        "Q5_0" => 5.5,
        "Q4_1" => 5.0,
        "Q4_K_M" => 4.89,
        "Q4_K_S" => 4.67,
        "Q4_0" | "IQ4_NL" => 4.5,
        "IQ4_XS" => 4.25,
        "Q3_K_L" => 4.3,
        "Q3_K_M" => 4.0,
        "Q3_K_S" => 3.64,
        "Q2_K" => 3.16,
        _ => return None,
    })
}
