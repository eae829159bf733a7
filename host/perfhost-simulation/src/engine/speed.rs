//! How long a step of generation takes for so many requests at once.

use crate::scenario::{EngineSpec, Generation};

/// Speeds of one engine, of the model with speed 1.
#[derive(Debug, Clone)]
pub(super) struct Speed {
    pub(super) prompt_tokens_per_second: f64,
    /// Requests at once, and the seconds that a token for each of them takes.
    steps: Vec<(f64, f64)>,
}

impl Speed {
    pub(super) fn new(engine: &EngineSpec) -> Self {
        let step = |point: &Generation| {
            let requests = f64::from(point.requests);
            (requests, requests / point.tokens_per_second)
        };
        Self {
            prompt_tokens_per_second: engine.prompt_tokens_per_second,
            steps: engine.generation.iter().map(step).collect(),
        }
    }

    /// Seconds in which each of so many requests gets one token. Between measured points the time of a step grows evenly:
    /// the weights are read once for all, the rest is work for each. Past the last point nothing more is gained, which
    /// is an assumption on the safe side.
    pub(super) fn step_seconds(&self, requests: usize) -> f64 {
        let requests = requests.max(1) as f64;
        let Some(above) = self.steps.iter().position(|(at, _)| *at >= requests) else {
            return self.steps.last().map_or(0.0, |(at, seconds)| seconds * requests / at);
        };
        let (high, slow) = self.steps[above];
        let Some((low, fast)) = above.checked_sub(1).map(|below| self.steps[below]) else { return slow };
        fast + (slow - fast) * (requests - low) / (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_points_are_kept_and_what_lies_between_and_beyond_follows() {
        let speed = Speed::new(&EngineSpec::default());
        let rate = |requests: usize| (requests as f64 / speed.step_seconds(requests)).round();
        assert_eq!([1, 2, 4, 8, 16, 64].map(rate), [84.0, 114.0, 138.0, 190.0, 190.0, 190.0]);
    }
}
