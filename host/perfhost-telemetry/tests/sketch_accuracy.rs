//! The sketch against exact quantiles, on random data of several shapes and sizes.

use perfhost_telemetry::sketch::{DDSketch, RELATIVE_ERROR};

type Shape = (&'static str, fn(&mut fastrand::Rng) -> f64);

const SHAPES: [Shape; 6] = [
    ("uniform", |rng| rng.f64() * 1_000.0),
    ("exponential", |rng| -(1.0 - rng.f64()).ln() * 20.0),
    ("lognormal", |rng| ((0..12).map(|_| rng.f64()).sum::<f64>() - 6.0).exp() * 50.0),
    ("heavy tail", |rng| (1.0 - rng.f64()).powf(-2.0).min(1e12)),
    ("two humps", |rng| if rng.bool() { 1.0 + rng.f64() } else { 5_000.0 + rng.f64() }),
    ("with zeros", |rng| if rng.u8(..) < 100 { 0.0 } else { rng.f64() * 1e-3 }),
];

const QUANTILES: [f64; 9] = [0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];

#[test]
fn quantiles_are_within_the_relative_error_and_totals_exact() {
    for (shape, draw) in SHAPES {
        for (seed, size) in [1, 2, 3, 10, 100, 1_000, 20_000].into_iter().enumerate() {
            let mut rng = fastrand::Rng::with_seed(seed as u64);
            let mut values: Vec<f64> = (0..size).map(|_| draw(&mut rng)).collect();
            let mut sketch = DDSketch::new();
            values.iter().for_each(|value| sketch.add(*value));
            let sum: f64 = values.iter().sum();
            values.sort_by(f64::total_cmp);

            assert_eq!(sketch.count(), size as u64);
            assert_eq!((sketch.min(), sketch.max()), (values[0], values[size - 1]), "{shape}");
            assert_eq!(sketch.sum(), sum, "{shape}");
            for q in QUANTILES {
                let exact = values[(q * (size - 1) as f64) as usize];
                let estimate = sketch.quantile(q);
                let is_close = (estimate - exact).abs() <= exact * RELATIVE_ERROR * (1.0 + 1e-9);
                assert!(is_close, "{shape}, {size} values, quantile {q}: {estimate} for {exact}");
            }
        }
    }
}

#[test]
fn merging_parts_gives_what_adding_all_gives() {
    for (shape, draw) in SHAPES {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut whole = DDSketch::new();
        let mut parts = vec![DDSketch::new(); 9];
        for _ in 0..5_000 {
            let value = draw(&mut rng);
            whole.add(value);
            // The last part stays empty.
            parts[rng.usize(..8)].add(value);
        }
        let mut merged = DDSketch::new();
        for (at, part) in parts.iter().enumerate() {
            if at % 2 == 0 {
                merged.merge(part);
            } else {
                merged.merge_encoded(&part.encode()).unwrap();
            }
        }
        for q in QUANTILES {
            assert_eq!(merged.quantile(q), whole.quantile(q), "{shape}, quantile {q}");
        }
        assert_eq!((merged.count(), merged.min(), merged.max()), (whole.count(), whole.min(), whole.max()));
        assert!((merged.sum() / whole.sum() - 1.0).abs() < 1e-12);
    }
}

#[test]
fn weights_count_as_repetitions() {
    let (mut weighted, mut repeated) = (DDSketch::new(), DDSketch::new());
    for (value, weight) in [(1.0, 3), (0.0, 2), (250.0, 5)] {
        weighted.add_weighted(value, weight);
        (0..weight).for_each(|_| repeated.add(value));
    }
    assert_eq!(weighted.encode(), repeated.encode());
}

#[test]
fn random_bytes_are_refused() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let length = rng.usize(..80);
        let mut bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
        if rng.bool() && !bytes.is_empty() {
            bytes[0] = 1;
        }
        accepted += usize::from(DDSketch::decode(&bytes).is_ok());
    }
    // Only the written form of an empty sketch is short enough to be met by chance.
    assert!(accepted < 20, "{accepted} of 20,000");
}
