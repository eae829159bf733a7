//! The limits by name, as configuration and the API know them: what each may be set to, and whether one strategy can have
//! less of it than the others.

use std::time::Duration;

use super::Limits;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// One limit's name and bounds. The unit is the name's ending (`_bytes`, `_ms`); without one it is a count.
#[derive(Debug, Clone, Copy)]
pub struct LimitKey {
    /// Its name.
    pub name: &'static str,
    /// The least it may be set to.
    pub lowest: u64,
    /// The most it may be set to.
    pub highest: u64,
    /// It holds before a strategy has said its name, or for all of them together, so that none can have its own.
    pub is_host_only: bool,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

macro_rules! keys {
    ($($name:literal = $field:ident as $kind:ident, $lowest:expr, $highest:expr, $reach:ident;)*) => {
        /// Every limit, in the order of [`Limits`].
        pub const KEYS: &[LimitKey] = &[$(LimitKey {
            name: $name,
            lowest: $lowest,
            highest: $highest,
            is_host_only: keys!(@reach $reach),
            get: |limits| keys!(@get $kind limits.$field),
            set: |limits, value| limits.$field = keys!(@set $kind value),
        }),*];
    };
    (@reach host) => { true };
    (@reach strategy) => { false };
    (@get bytes $field:expr) => { $field };
    (@get size $field:expr) => { $field as u64 };
    (@get count $field:expr) => { u64::from($field) };
    (@get time $field:expr) => { u64::try_from($field.as_millis()).unwrap_or(u64::MAX) };
    (@set bytes $value:expr) => { $value };
    (@set size $value:expr) => { usize::try_from($value).unwrap_or(usize::MAX) };
    (@set count $value:expr) => { u32::try_from($value).unwrap_or(u32::MAX) };
    (@set time $value:expr) => { Duration::from_millis($value) };
}

keys! {
    "max_file_bytes" = max_file_bytes as bytes, KIB, GIB, host;
    "memory_bytes" = memory_bytes as bytes, 64 * KIB, 4 * GIB, strategy;
    "table_elements" = table_elements as bytes, 100, 10_000_000, strategy;
    "stack_bytes" = stack_bytes as size, 64 * KIB, MIB, host;
    "plan_timeout_ms" = plan_timeout as time, 1, 1_000, strategy;
    "call_timeout_ms" = call_timeout as time, 10, 60_000, strategy;
    "load_timeout_ms" = load_timeout as time, 100, 600_000, host;
    "max_output_bytes" = max_output_bytes as size, 4 * KIB, GIB, strategy;
    "max_proposals" = max_proposals as size, 0, 10_000, strategy;
    "max_order" = max_order as size, 1, 100_000, strategy;
    "max_advice" = max_advice as size, 0, 10_000, strategy;
    "max_text_bytes" = max_text_bytes as size, 64, MIB, strategy;
    "max_description_items" = max_description_items as size, 16, 10_000, host;
    "max_state_bytes" = max_state_bytes as size, 0, 64 * MIB, strategy;
    "warm_max" = warm_max as size, 1, 10_000, strategy;
    "retire_after_calls" = retire_after_calls as bytes, 1, 1_000_000_000, strategy;
    "retire_after_growth_bytes" = retire_after_growth_bytes as bytes, 64 * KIB, 4 * GIB, strategy;
    "log_lines" = log_lines as size, 1, 100_000, host;
    "log_lines_per_second" = log_lines_per_second as count, 0, 100_000, host;
    "max_log_line_bytes" = max_log_line_bytes as size, 64, MIB, host;
    "cache_bytes" = cache_bytes as bytes, 0, 1_024 * GIB, host;
}

impl LimitKey {
    /// The limit of that name.
    pub fn by_name(name: &str) -> Option<&'static LimitKey> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// `bytes`, `ms` or `count`.
    pub fn unit(&self) -> &'static str {
        let last = self.name.rsplit('_').next();
        ["bytes", "ms"].into_iter().find(|unit| last == Some(unit)).unwrap_or("count")
    }

    /// Its value in `limits`, in the name's unit; a time is rounded down.
    pub fn get(&self, limits: &Limits) -> u64 {
        (self.get)(limits)
    }

    /// Sets it.
    pub fn set(&self, limits: &mut Limits, value: u64) {
        (self.set)(limits, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_what_is_set_is_read_back() {
        let mut limits = Limits::default();
        for key in KEYS {
            assert!((key.lowest..=key.highest).contains(&key.get(&limits)), "{}", key.name);
            for value in [key.lowest, key.highest] {
                key.set(&mut limits, value);
                assert_eq!(key.get(&limits), value, "{}", key.name);
            }
        }
        let unit = |name| LimitKey::by_name(name).map(LimitKey::unit);
        assert_eq!(
            [unit("memory_bytes"), unit("plan_timeout_ms"), unit("max_description_items")],
            [Some("bytes"), Some("ms"), Some("count")]
        );
        assert!(LimitKey::by_name("memory_bytes").is_some_and(|key| !key.is_host_only));
        assert!(LimitKey::by_name("memory").is_none());
    }
}
