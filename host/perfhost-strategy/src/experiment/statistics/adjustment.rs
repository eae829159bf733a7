//! What is subtracted from a value before arms are compared: its running mean, or what is known of its request.
//!
//! Half of what separates two requests' times is how long their prompts are. A baseline m(x) fitted to earlier requests
//! of both arms takes that out, and the same effect shows with fewer requests (regression adjustment, Waudby-Smith et
//! al., arXiv 2103.06476, section 3). It uses the past only and is the same for both arms, so it cannot favour one.
//!
//! Covariates must be fixed before the arm acts: prompt length, the token limit asked for, load on arrival. A length of
//! the *answer* qualifies only where no arm can alter it.

use serde::{Deserialize, Serialize};

/// Most covariates.
pub const MOST_COVARIATES: usize = 4;

/// Columns of the regression: one for the mean, one a covariate.
const COLUMNS: usize = MOST_COVARIATES + 1;

/// Coefficients are fitted anew after this many values, and no earlier than after this many.
const REFIT_EVERY: u64 = 32;

/// Weight, in observations, that pulls coefficients of covariates towards zero.
const RIDGE: f64 = 1.0;

/// A prediction of the next value from those before: ridge regression on standardised covariates.
///
/// Missing covariates are passed as 0; values that are not finite are taken as 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    count: u64,
    /// What is predicted before the first value, if anything.
    start: Option<f64>,
    /// Σ zᵢzⱼ with z = (1, x₁, …), upper triangle by rows.
    products: [[f64; COLUMNS]; COLUMNS],
    /// Σ zᵢy.
    responses: [f64; COLUMNS],
    /// Coefficients for covariates, by the last fit.
    slopes: [f64; MOST_COVARIATES],
}

impl Baseline {
    /// Predicts `start` until there are values; without one, nothing.
    pub fn new(start: Option<f64>) -> Self {
        Self {
            count: 0,
            start,
            products: [[0.0; COLUMNS]; COLUMNS],
            responses: [0.0; COLUMNS],
            slopes: [0.0; MOST_COVARIATES],
        }
    }

    /// The value expected for these covariates: y̅ + Σ slopeᵢ(xᵢ − x̅ᵢ); `None` before the first value without a start.
    pub fn predict(&self, covariates: &[f64; MOST_COVARIATES]) -> Option<f64> {
        if self.count == 0 {
            return self.start;
        }
        let count = self.count as f64;
        // The start counts as one observation, so that the first values do not swing the mean.
        let mean = match self.start {
            Some(start) => (start + self.responses[0]) / (count + 1.0),
            None => self.responses[0] / count,
        };
        let terms = self.slopes.iter().zip(covariates).zip(&self.products[0][1..]);
        let predicted = mean + terms.map(|((slope, x), sum)| slope * (finite(*x) - sum / count)).sum::<f64>();
        Some(if predicted.is_finite() { predicted } else { mean })
    }

    /// Takes in one value, of whichever arm.
    pub fn observe(&mut self, value: f64, covariates: &[f64; MOST_COVARIATES]) {
        let mut row = [1.0; COLUMNS];
        for (cell, x) in row[1..].iter_mut().zip(covariates) {
            *cell = finite(*x);
        }
        self.count += 1;
        for i in 0..COLUMNS {
            for j in i..COLUMNS {
                self.products[i][j] += row[i] * row[j];
            }
            self.responses[i] += row[i] * value;
        }
        if self.count.is_multiple_of(REFIT_EVERY) {
            self.fit();
        }
    }

    /// Solves (C + ridge) slopes = c for the covariances C of covariates with each other and c with the value, by
    /// Cholesky's method on the scale of correlations. Leaves out covariates that do not vary.
    fn fit(&mut self) {
        let count = self.count as f64;
        let mean = |i: usize| self.products[0][i] / count;
        let covariance = |i: usize, j: usize| self.products[i.min(j)][i.max(j)] / count - mean(i) * mean(j);
        let scale: [f64; MOST_COVARIATES] = std::array::from_fn(|i| {
            let variance = covariance(i + 1, i + 1);
            let is_varying = variance > 1e-12 * mean(i + 1).powi(2).max(1e-12);
            if is_varying { 1.0 / variance.sqrt() } else { 0.0 }
        });
        let mut factor = [[0.0; MOST_COVARIATES]; MOST_COVARIATES];
        let mut solved = [0.0; MOST_COVARIATES];
        for i in 0..MOST_COVARIATES {
            for j in 0..=i {
                let correlation = covariance(i + 1, j + 1) * scale[i] * scale[j];
                let ridge = if i == j { RIDGE / count + if scale[i] == 0.0 { 1.0 } else { 0.0 } } else { 0.0 };
                let rest = correlation + ridge - (0..j).map(|k| factor[i][k] * factor[j][k]).sum::<f64>();
                factor[i][j] = if i == j { rest.max(1e-9).sqrt() } else { rest / factor[j][j] };
            }
            let response = (self.responses[i + 1] / count - mean(i + 1) * self.responses[0] / count) * scale[i];
            solved[i] = (response - (0..i).map(|k| factor[i][k] * solved[k]).sum::<f64>()) / factor[i][i];
        }
        for i in (0..MOST_COVARIATES).rev() {
            solved[i] =
                (solved[i] - (i + 1..MOST_COVARIATES).map(|k| factor[k][i] * solved[k]).sum::<f64>()) / factor[i][i];
        }
        if solved.iter().all(|slope| slope.is_finite()) {
            self.slopes = std::array::from_fn(|i| solved[i] * scale[i]);
        }
    }
}

fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_value_is_predicted_and_constant_covariates_are_harmless() {
        let mut baseline = Baseline::new(None);
        assert_eq!(baseline.predict(&[1.0, 2.0, 3.0, 4.0]), None);
        for step in 0..2_000 {
            let (x, z) = (f64::from(step % 17), f64::from(step % 5));
            baseline.observe(3.0 + 2.0 * x - z, &[x, z, 1.0, f64::NAN]);
        }
        let predicted = baseline.predict(&[10.0, 1.0, 1.0, 0.0]).unwrap();
        assert!((predicted - 22.0).abs() < 0.05, "{predicted}");
    }

    #[test]
    fn without_covariates_it_is_the_running_mean() {
        let mut baseline = Baseline::new(Some(0.5));
        for value in [1.0, 0.0, 1.0] {
            baseline.observe(value, &[0.0; MOST_COVARIATES]);
        }
        assert_eq!(baseline.predict(&[0.0; MOST_COVARIATES]), Some(2.5 / 4.0));
    }
}
