//! What the cache and single flight save, and for whom.

use perfhost_simulation::scenario::{Amount, Arrivals, Repeats, Requests, built_in};
use perfhost_simulation::{Scenario, Totals, Unattended, simulate};

use crate::support::{Native, is_near, knobs, plain_cloud};

/// Requests of a list of 20, all as popular, to a service.
fn repeating(per_second: f64, first_token_ms: f64, values: &[(&str, i64)]) -> Totals {
    let scenario = Scenario {
        duration_s: 3_000.0,
        arrivals: Arrivals::Poisson { per_second },
        requests: Requests {
            deterministic: 1.0,
            output_tokens: Amount::Fixed(10.0),
            repeats: Some(Repeats { share: 1.0, distinct: 20, exponent: 0.0 }),
            ..Requests::default()
        },
        providers: vec![plain_cloud("a", first_token_ms, 0.0)],
        knobs: knobs(values),
        ..Scenario::default()
    };
    simulate(&scenario, 4, Unattended::default()).unwrap().0.whole
}

#[test]
fn the_hit_rate_follows_from_rate_and_time_to_live() {
    // Of one key: a miss, then hits for the time to live. Misses per second = rate / (1 + rate * ttl).
    for ttl_s in [10.0, 60.0] {
        let totals = repeating(2.0, 1.0, &[("cache_ttl_ms", (ttl_s * 1_000.0) as i64)]);
        let rate = 2.0 / 20.0;
        let hits = 1.0 - 1.0 / (1.0 + rate * ttl_s);
        assert!(is_near(totals.cache_hit_rate, hits, 0.05), "{ttl_s} s: {} for {hits}", totals.cache_hit_rate);
    }
}

#[test]
fn a_cache_that_is_too_small_holds_what_it_can_and_one_of_no_size_nothing() {
    // An entry of ten streamed tokens takes 3.5 kB.
    let of_size = |bytes| repeating(2.0, 1.0, &[("cache_capacity_bytes", bytes)]).cache_hit_rate;
    assert!(of_size(1 << 20) > 0.98 && is_near(of_size(10 * 3_524), 0.5, 0.15), "{}", of_size(10 * 3_524));
    assert_eq!(of_size(0), 0.0);
}

#[test]
fn equal_requests_at_once_are_generated_once() {
    // Nothing holds longer than a second, and an answer takes five: what is shared is shared under way.
    let totals = repeating(20.0, 5_000.0, &[("cache_ttl_ms", 1_000)]);
    assert!(totals.cache_hit_rate > 0.75, "{totals:?}");
    let generated = totals.tokens_per_second / 10.0;
    assert!(is_near(generated, 20.0 * (1.0 - totals.cache_hit_rate), 0.02), "{totals:?}");
}

#[test]
fn the_plan_decides_who_reads_and_who_writes() {
    let scenario = Scenario { duration_s: 300.0, ..built_in::find("cache-friendly").unwrap() };
    let never = Native::new().planning(|asked, candidates| {
        let plan = perfhost_strategy::Plan::default_for(asked, candidates);
        Ok(perfhost_strategy::Plan { cache_read: false, cache_write: false, ..plan })
    });
    assert_eq!(never.run(&scenario, 1).0.whole.cache_hit_rate, 0.0);
    assert!(Native::new().run(&scenario, 1).0.whole.cache_hit_rate > 0.3);
}
