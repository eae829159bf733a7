//! How long a host's figures take to settle after a change of what requests share, measured after each such change.
//!
//! Owns the measurement and what is made of many. Which changes count, where the times are kept, and for which machine
//! and model they hold is the host's business; blocks are made of them in [`super::regime`].

use serde::{Deserialize, Serialize};

/// Longest time that one change is followed, in seconds; figures that settle within half of it are seen to.
pub const MOST_SECONDS: usize = 60;

/// A change that is followed by another sooner than this, in seconds, tells nothing.
pub const LEAST_SECONDS: usize = 8;

/// Seconds that are put together where single ones have no answers: the first of these with which none is empty.
const STEPS: [usize; 3] = [1, 2, 4];

/// Fewest windows that a time is read from.
const LEAST_WINDOWS: usize = 6;

/// Times that are kept; the oldest go first.
pub const MOST_TIMES: usize = 64;

/// Times that are needed before anything rests on them: a quartile of fewer is none.
pub const LEAST_TIMES: usize = 4;

/// Follows one change at a time. Call [`Watch::second`] once a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watch {
    since_ms: Option<u64>,
    /// Number of answers and sum of their times, by second since the change.
    seconds: Vec<(u64, f64)>,
}

/// Times that were measured, oldest first, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(Vec<u64>);

/// What the times come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Three quarters of the changes had settled after this long, in milliseconds.
    pub upper_quartile_ms: u64,
    /// Over so many changes.
    pub changes: usize,
}

impl Watch {
    /// Something that requests share was changed at `at_ms`, or a change took effect then. Returns what the one before came
    /// to, if it was followed for long enough.
    pub fn changed(&mut self, at_ms: u64) -> Option<u64> {
        let before = self.give_up();
        self.since_ms = Some(at_ms);
        before
    }

    /// Nothing is followed any more: figures are about to change for a reason that has not taken effect yet. Returns as
    /// [`Self::changed`] does.
    pub fn give_up(&mut self) -> Option<u64> {
        self.since_ms = None;
        read(&std::mem::take(&mut self.seconds))
    }

    /// Whether a change is followed.
    pub fn is_following(&self) -> bool {
        self.since_ms.is_some()
    }

    /// In the second that ended at `now_ms` there were `count` answers that took `mean_ms` on average. Returns what the
    /// change came to, once it was followed for the longest time.
    pub fn second(&mut self, now_ms: u64, count: u64, mean_ms: f64) -> Option<u64> {
        let elapsed_ms = now_ms.checked_sub(self.since_ms?)?;
        // The second in which the change was made is of both sides.
        let at = ((elapsed_ms / 1_000) as usize).checked_sub(1)?;
        if at >= MOST_SECONDS {
            return self.give_up();
        }
        self.seconds.resize(at + 1, (0, 0.0));
        if count > 0 && mean_ms.is_finite() {
            self.seconds[at] = (count, count as f64 * mean_ms);
        }
        None
    }
}

impl Times {
    /// Takes one in.
    pub fn note(&mut self, settled_ms: u64) {
        self.0.push(settled_ms);
        let excess = self.0.len().saturating_sub(MOST_TIMES);
        self.0.drain(..excess);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What they come to; `None` for fewer than [`LEAST_TIMES`].
    pub fn settled(&self) -> Option<Settled> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (3 * sorted.len()).div_ceil(4).checked_sub(1)?;
        let upper_quartile_ms = *sorted.get(at)?;
        (sorted.len() >= LEAST_TIMES).then_some(Settled { upper_quartile_ms, changes: sorted.len() })
    }
}

/// The time of one change. Figures that had not settled when they were followed no further count with the whole time: to
/// leave the slow ones out would make the others look typical.
fn read(seconds: &[(u64, f64)]) -> Option<u64> {
    if seconds.len() < LEAST_SECONDS {
        return None;
    }
    STEPS.into_iter().find_map(|step| {
        let windows = seconds.chunks_exact(step).map(|window| {
            let (count, sum) = window.iter().fold((0, 0.0), |all, second| (all.0 + second.0, all.1 + second.1));
            if count > 0 { sum / count as f64 } else { f64::NAN }
        });
        let windows: Vec<f64> = windows.collect();
        let is_whole = windows.len() >= LEAST_WINDOWS && windows.iter().all(|mean| mean.is_finite());
        // The second of the change itself belongs to the time, too.
        is_whole.then(|| match settling_ms(&windows, step as u64 * 1_000) {
            Some(0) => 0,
            Some(settled_ms) => settled_ms + 1_000,
            None => (seconds.len() as u64 + 1) * 1_000,
        })
    })
}

/// How far a figure may lie from where it ended up and count as settled: as many standard deviations, and at least this
/// part of it.
const DEVIATIONS: f64 = 3.0;
const PART: f64 = 0.05;

/// How long after a change a figure settled: the end of the last window that lies further from where the figure ended up
/// (mean of its last half) than chance explains. What chance does is read from the steps between neighbouring windows of
/// that half (von Neumann et al., 1941), so that a figure that still drifts does not look like an unsteady one. `windows`
/// are equally long and begin at the change; `None` for fewer than four, and when the figure had not settled by their
/// middle.
pub fn settling_ms(windows: &[f64], window_ms: u64) -> Option<u64> {
    let (early, late) = windows.split_at(windows.len() / 2);
    if early.len() < 2 || windows.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mean = late.iter().sum::<f64>() / late.len() as f64;
    let steps = late.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
    let deviation = (steps.sum::<f64>() / (2 * (late.len() - 1)) as f64).sqrt();
    let band = (PART * mean.abs()).max(DEVIATIONS * deviation);
    let unsettled = early.iter().rposition(|value| (value - mean).abs() > band).map_or(0, |at| at + 1);
    (unsettled < early.len()).then_some(unsettled as u64 * window_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Response times that fall from 900 to 200 ms with this time constant, with a little unrest; `every` so many seconds
    /// there is an answer.
    fn follow(seconds: u64, constant_s: f64, every: u64) -> Watch {
        let mut watch = Watch::default();
        assert_eq!(watch.changed(500), None);
        for second in 1..=seconds {
            let unrest = f64::from((second * 7 % 5) as u32) - 2.0;
            let mean_ms = 200.0 + 700.0 * (-(second as f64) / constant_s).exp() + unrest;
            let count = u64::from(second % every == 0) * 3;
            assert_eq!(watch.second(second * 1_000 + 400, count, mean_ms), None);
        }
        watch
    }

    #[test]
    fn a_slower_host_takes_longer_and_one_that_does_not_change_takes_no_time() {
        let times = [1.0, 2.0, 4.0].map(|constant_s| follow(50, constant_s, 1).give_up().unwrap());
        // 700 ms have come down to a twentieth of 200 after 4.2 time constants.
        for (time_ms, constant_s) in times.into_iter().zip([1.0, 2.0, 4.0]) {
            let expected_ms = 4.2 * constant_s * 1_000.0;
            assert!((time_ms as f64 - expected_ms).abs() <= 2_000.0, "{time_ms} for {expected_ms}");
        }
        assert_eq!(follow(50, 1e-9, 1).give_up(), Some(0));
    }

    #[test]
    fn what_is_cut_short_unsettled_counts_with_its_whole_time() {
        assert_eq!(follow(12, 8.0, 1).give_up(), Some(12_000));
        assert_eq!(follow(LEAST_SECONDS as u64, 8.0, 1).give_up(), None, "seven whole seconds after the change");
    }

    #[test]
    fn thin_traffic_is_put_together_and_too_thin_says_nothing() {
        let dense = follow(40, 2.0, 1).give_up().unwrap();
        let thin = follow(40, 2.0, 3).give_up().unwrap();
        assert!(thin.abs_diff(dense) <= 4_000, "{thin} and {dense}");
        assert_eq!(follow(40, 2.0, 9).give_up(), None);
    }

    #[test]
    fn it_ends_by_itself_and_the_next_change_ends_it_too() {
        let mut watch = follow(MOST_SECONDS as u64, 2.0, 1);
        assert!(watch.second((MOST_SECONDS as u64 + 2) * 1_000, 3, 200.0).is_some());
        assert!(!watch.is_following());
        assert!(follow(20, 1.0, 1).changed(21_000).is_some_and(|time_ms| time_ms > 0));
    }

    #[test]
    fn the_upper_quartile_needs_four_and_forgets_the_oldest() {
        let mut times = Times::default();
        [9_000, 1_000, 2_000].into_iter().for_each(|time_ms| times.note(time_ms));
        assert_eq!((times.settled(), times.count()), (None, 3));
        times.note(3_000);
        assert_eq!(times.settled(), Some(Settled { upper_quartile_ms: 3_000, changes: 4 }));
        (0..MOST_TIMES).for_each(|_| times.note(500));
        assert_eq!(times.settled(), Some(Settled { upper_quartile_ms: 500, changes: MOST_TIMES }));
    }

    #[test]
    fn settling_ends_when_a_figure_stays() {
        assert_eq!(settling_ms(&[900.0, 500.0, 210.0, 200.0, 205.0, 195.0, 200.0, 201.0], 1_000), Some(2_000));
        assert_eq!(settling_ms(&[200.0; 8], 1_000), Some(0));
        assert_eq!(settling_ms(&[900.0, 800.0, 700.0, 300.0, 205.0, 195.0, 200.0, 201.0], 1_000), None);
        assert_eq!(settling_ms(&[1.0, 2.0], 1_000), None);
    }
}
