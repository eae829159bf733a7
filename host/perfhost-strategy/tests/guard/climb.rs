//! A start-up: one engine with one slot, eight clients, a strategy that always asks for twice the slots.

use perfhost_strategy::{Settings, Verdict};

use crate::fixture::{Host, Traffic, slots};

/// Tokens per second of a 270M model on two cores with that many slots.
fn tokens_per_second(slots: u32) -> f64 {
    match slots {
        1 => 79.0,
        2 => 100.0,
        4 => 125.0,
        _ => 166.0,
    }
}

/// Eight clients that ask again as soon as they are answered, 64 tokens each, `since_ms` after they began; windows
/// that reach back to before that hold less. Answers begin when a slot is free.
fn eight_clients(slots: u32, since_ms: u64) -> Traffic {
    let share = (since_ms as f64 / 10_000.0).min(1.0);
    let tokens = tokens_per_second(slots);
    let generating_ms = 64_000.0 * f64::from(slots) / tokens;
    let response_ms = (8.0 * 64_000.0 / tokens).min(generating_ms + since_ms as f64);
    Traffic {
        requests: (tokens / 6.4 * share) as u64,
        response_ms,
        first_token_ms: response_ms - generating_ms + 50.0,
        tokens: tokens * share,
        load: 8.0 * share,
        ..Traffic::IDLE
    }
}

/// Time from the first request to eight slots in effect, at one decision every `interval_ms`.
fn time_to_eight_slots(interval_ms: u64, reload_ms: u64) -> u64 {
    let mut host = Host::new();
    host.settings = Settings::default();
    let start_ms = host.now_ms;
    let mut running = (1, None);
    while running.0 < 8 {
        host.now_ms += interval_ms;
        let since_ms = host.now_ms - start_ms;
        assert!(since_ms < 300_000, "stuck at {} slots", running.0);
        if let (_, Some((decision, at_ms))) = running
            && host.now_ms >= at_ms
        {
            host.guard.took_effect(decision, at_ms);
            running = (host.slots(), None);
        }
        let traffic = eight_clients(running.0, since_ms);
        let review = host.review_after(0, traffic);
        assert!(review.updates.iter().all(|update| update.verdict != Verdict::RolledBack), "{review:?}");
        let decision = host.judge_seeing(traffic, vec![slots(2 * i64::from(host.slots()))]).decisions.remove(0);
        if decision.verdict == Verdict::Applied {
            running.1 = Some((decision.id, host.now_ms + reload_ms));
        }
    }
    host.now_ms - start_ms
}

#[test]
fn one_slot_becomes_eight_within_a_minute() {
    for interval_ms in [2_000, 3_000, 5_000] {
        let took_ms = time_to_eight_slots(interval_ms, 3_000);
        assert!(took_ms <= 60_000, "{took_ms} ms at one decision every {interval_ms} ms");
    }
}
