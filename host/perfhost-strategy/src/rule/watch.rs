//! A trigger over time: since when it holds, whether it has fired, and since when it is clear. Time comes in with each
//! step, so the same steps give the same events.

use std::time::Duration;

/// How long what must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The trigger, to fire.
    pub hold: Duration,
    /// The clearing, to end it.
    pub clear: Duration,
    /// Between two firings while the trigger holds; `None` for only one.
    pub every: Option<Duration>,
    /// From the end until it may fire again.
    pub cooldown: Duration,
}

/// Where one trigger stands. Times are Unix times in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    /// The trigger holds since then.
    pub met_since_ms: Option<u64>,
    /// It fired last then, and has not cleared.
    pub fired_ms: Option<u64>,
    /// It is clear since then, and was not long enough.
    pub clear_since_ms: Option<u64>,
    /// It may not fire before.
    pub rests_until_ms: u64,
}

/// What a step brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It fired, or fired again.
    Fired,
    /// It has cleared.
    Cleared,
}

impl Watch {
    /// Takes in how things stand at `now_ms`.
    pub fn step(&mut self, now_ms: u64, is_met: bool, is_clear: bool, timing: Timing) -> Option<Event> {
        self.come_back_to(now_ms, timing.cooldown);
        let has_lasted =
            |since_ms: u64, long: Duration| u128::from(now_ms.saturating_sub(since_ms)) >= long.as_millis();
        self.met_since_ms = is_met.then(|| self.met_since_ms.unwrap_or(now_ms));
        let Some(fired_ms) = self.fired_ms else {
            let has_held = self.met_since_ms.is_some_and(|since_ms| has_lasted(since_ms, timing.hold));
            if !has_held || now_ms < self.rests_until_ms {
                return None;
            }
            self.fired_ms = Some(now_ms);
            return Some(Event::Fired);
        };
        self.clear_since_ms = is_clear.then(|| self.clear_since_ms.unwrap_or(now_ms));
        if self.clear_since_ms.is_some_and(|since_ms| has_lasted(since_ms, timing.clear)) {
            *self = Self { rests_until_ms: after(now_ms, timing.cooldown), ..Self::default() };
            return Some(Event::Cleared);
        }
        if is_met && timing.every.is_some_and(|every| has_lasted(fired_ms, every)) {
            self.fired_ms = Some(now_ms);
            return Some(Event::Fired);
        }
        None
    }

    /// Nothing has begun later than now, and no rest is longer than it was made: a clock that was set back would otherwise
    /// stop everything until it is where it was.
    fn come_back_to(&mut self, now_ms: u64, cooldown: Duration) {
        for since_ms in [&mut self.met_since_ms, &mut self.fired_ms, &mut self.clear_since_ms].into_iter().flatten() {
            *since_ms = now_ms.min(*since_ms);
        }
        self.rests_until_ms = self.rests_until_ms.min(after(now_ms, cooldown));
    }

    /// Nobody looked for a while: what was counting counts from now on.
    pub fn interrupt(&mut self) {
        (self.met_since_ms, self.clear_since_ms) = (None, None);
    }
}

fn after(now_ms: u64, long: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(long.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        hold: Duration::from_secs(30),
        clear: Duration::from_secs(20),
        every: None,
        cooldown: Duration::from_secs(60),
    };

    /// Steps of ten seconds through a text: `^` met, `_` clear, `-` neither. Gives the steps with an event.
    fn events(timing: Timing, text: &str) -> Vec<(usize, Event)> {
        let mut watch = Watch::default();
        let step = |(at, sign): (usize, char)| {
            let event = watch.step(1_000_000 + at as u64 * 10_000, sign == '^', sign == '_', timing)?;
            Some((at, event))
        };
        text.chars().enumerate().filter_map(step).collect()
    }

    #[test]
    fn fires_when_it_held_without_a_gap_and_clears_as_patiently() {
        assert_eq!(events(TIMING, "^^^-^^^_^^^^"), [(11, Event::Fired)]);
        assert_eq!(events(TIMING, "^^^^-__-_^_--___"), [(3, Event::Fired), (15, Event::Cleared)]);
    }

    #[test]
    fn rests_after_clearing_and_then_needs_no_second_run_up() {
        assert_eq!(events(TIMING, "^^^^___^^^^^^^^"), [(3, Event::Fired), (6, Event::Cleared), (12, Event::Fired)]);
    }

    #[test]
    fn fires_again_only_when_asked_to_and_only_while_met() {
        let every = Timing { every: Some(Duration::from_secs(20)), ..TIMING };
        let fired = |at| (at, Event::Fired);
        assert_eq!(events(every, "^^^^^^^^--^^"), [fired(3), fired(5), fired(7), fired(10)]);
        assert_eq!(events(TIMING, "^^^^^^^^^^^^"), [fired(3)]);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        const HOUR_MS: u64 = 3_600_000;
        let mut watch = Watch::default();
        let mut events = |start_ms: u64, text: &str| -> Vec<(usize, Event)> {
            let step = |(at, sign): (usize, char)| {
                Some((at, watch.step(start_ms + at as u64 * 10_000, sign == '^', sign == '_', TIMING)?))
            };
            text.chars().enumerate().filter_map(step).collect()
        };
        assert_eq!(events(3 * HOUR_MS, "^"), []);
        assert_eq!(events(2 * HOUR_MS, "^^^^_"), [(3, Event::Fired)], "what was counting goes on");
        assert_eq!(events(HOUR_MS, "___"), [(2, Event::Cleared)]);
        assert_eq!(events(0, "^^^^^^^"), [(6, Event::Fired)], "the rest is as long as it was made");
    }

    #[test]
    fn without_a_duration_one_look_is_enough() {
        let at_once = Timing { hold: Duration::ZERO, clear: Duration::ZERO, ..TIMING };
        assert_eq!(events(at_once, "-^_"), [(1, Event::Fired), (2, Event::Cleared)]);
    }
}
