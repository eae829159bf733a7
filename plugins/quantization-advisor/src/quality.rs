//! What quantization costs in quality where nobody has measured it.

/// Bits per weight and the rise of perplexity that Llama-3.1-8B showed with them in llama.cpp: Q2_K, Q4_K_M, Q6_K, Q8_0
/// and F16, fewest bits first. Small models lose more.
const LOSSES: [(f64, f64); 5] = [(3.16, 0.565), (4.89, 0.028), (6.56, 0.0035), (8.5, 0.0004), (16.0, 0.0)];

/// Expected rise of perplexity with so many bits per weight. Between two known points it is taken to fall evenly, which
/// errs on the side of loss, since the true curve sags; below the first it rises on. What is
/// not a number loses as much as the fewest bits known.
pub fn expected_loss(bits_per_weight: f64) -> f64 {
    if !bits_per_weight.is_finite() {
        return LOSSES[0].1;
    }
    let above = LOSSES.iter().position(|(bits, _)| *bits >= bits_per_weight);
    let at = match above {
        None => return 0.0,
        Some(at) => at.max(1),
    };
    let ((few, much), (many, little)) = (LOSSES[at - 1], LOSSES[at]);
    much + (little - much) * (bits_per_weight - few) / (many - few)
}

/// Expected rise of perplexity by the type of the KV cache, on top of the weights'.
pub fn kv_loss(kv_type: &str) -> f64 {
    match kv_type {
        "q8_0" => 0.002,
        "q4_0" => 0.03,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_are_met_and_fewer_bits_never_lose_less() {
        assert_eq!((expected_loss(16.0), expected_loss(32.0)), (0.0, 0.0));
        for (bits, loss) in LOSSES {
            assert!((expected_loss(bits) - loss).abs() < 1e-12);
        }
        let losses: Vec<f64> = (10..170).map(|tenths| expected_loss(f64::from(tenths) / 10.0)).collect();
        assert!(losses.windows(2).all(|pair| pair[1] <= pair[0]));
        assert!(expected_loss(2.0) > 0.8);
    }
}
