//! Rules in the kit's model of an engine: they fire when they should, do what they say, and take it back.

mod disturbed;
mod elsewhere;
mod fickle;
mod saved;

use perfhost_strategy::rule::{NAMED_ACTIONS, Rule};
use strategy_kit::Instance;
use strategy_kit::testing::{Run, World};
use strategy_kit::types::Fault;

use crate::Rules;
use crate::defaults::DEFAULT_RULES;

const TOKENS: &str = "tokens_per_second";
const LIMIT: &str = "concurrency_limit";
/// Cycles of five seconds in a minute.
const MINUTE: usize = 12;

fn with(clients: usize, rules: &str) -> Run<Rules> {
    Run::new(clients, &[("rules", rules)])
}

/// A busy processor turns the limit, and nothing that the limit does shows in the processor.
fn hot(rules: &str) -> Run<Rules> {
    let mut run = with(4, rules);
    run.world.cpu_usage = Some(0.12);
    run
}

#[test]
fn the_defaults_bring_eight_clients_to_eight_slots_and_say_nothing_to_one_or_none() {
    let mut run = Run::<Rules>::new(8, &[]);
    run.world.advance(60_000);
    let before = run.mean(TOKENS);
    run.cycles(5 * MINUTE);
    assert_eq!(run.values_of("engine_slots"), [2, 4, 8], "{:#?}", run.turns);
    assert_eq!((run.turns.len(), run.guard.refusals), (3, 0), "{:#?}", run.turns);
    assert!(run.mean(TOKENS) > 2.0 * before, "{} after {before}", run.mean(TOKENS));
    for clients in [0, 1] {
        assert_eq!(Run::<Rules>::new(clients, &[]).cycles(10 * MINUTE).turns, []);
    }
}

#[test]
fn memory_bounds_slots_and_cache_whatever_a_rule_asks_for() {
    let mut run = Run::<Rules>::new(8, &[]);
    // 2,048 tokens of 128 KiB are 256 MiB a slot: with a fifth on top, 1 GiB takes three.
    run.world.hardware.memory_free_bytes = 1 << 30;
    run.cycles(10 * MINUTE);
    assert_eq!(run.world.setting("engine_slots"), 3, "{:#?}", run.turns);
    let mut run = hot("cpu_usage > 7.0 -> set cache_capacity_bytes = 10GiB");
    run.world.hardware.memory_free_bytes = 1 << 30;
    run.cycles(2 * MINUTE);
    assert_eq!(run.world.setting("cache_capacity_bytes"), 1 << 27, "{:#?}", run.turns);
}

#[test]
fn a_rule_fires_after_its_time_and_goes_back_after_that_of_until() {
    let mut run = hot("hot: cpu_usage > 7.0 for 5m -> set concurrency_limit = 200 until cpu_usage < 5.0 for 2m");
    run.cycles(5 * MINUTE);
    assert_eq!(run.turns, [], "five minutes begin with the first look");
    run.cycles(1);
    assert_eq!(run.values_of(LIMIT), [200]);
    let reason = &run.turns[0].reason;
    assert_eq!(
        reason,
        "cpu_usage is 12 % since 300 s: concurrency_limit from 256 to 200 by the rule hot `cpu_usage > 7.0 for 5m -> set \
         concurrency_limit = 200 until cpu_usage < 5.0 for 2m`"
    );
    run.world.cpu_usage = Some(0.06);
    run.cycles(10 * MINUTE);
    assert_eq!(run.world.setting(LIMIT), 200, "between the thresholds it stays");
    run.world.cpu_usage = Some(0.03);
    run.cycles(2 * MINUTE);
    assert_eq!(run.world.setting(LIMIT), 200, "so do the two minutes");
    run.cycles(1);
    assert_eq!((run.world.setting(LIMIT), run.turns.len()), (256, 2));
    assert!(
        run.turns[1].reason.starts_with("cpu_usage is 3 %: concurrency_limit from 200 back to 256 by the rule hot")
    );
}

#[test]
fn without_until_a_tenth_beyond_the_threshold_ends_it() {
    let mut run = hot("cpu_usage > 7.0 -> set concurrency_limit = 200");
    run.cycles(3);
    run.world.cpu_usage = Some(0.065);
    run.cycles(MINUTE);
    assert_eq!(run.world.setting(LIMIT), 200);
    run.world.cpu_usage = Some(0.06);
    run.cycles(MINUTE);
    assert_eq!(run.world.setting(LIMIT), 256);
}

#[test]
fn a_change_larger_than_the_host_allows_at_once_is_made_in_steps_and_taken_back_in_steps() {
    let mut run = hot("cpu_usage > 7.0 -> set concurrency_limit = 20");
    run.cycles(3 * MINUTE);
    assert_eq!(run.values_of(LIMIT), [20; 4], "halved to 128, 64, 32, and there");
    assert_eq!(run.world.setting(LIMIT), 20);
    run.world.cpu_usage = Some(0.0);
    run.cycles(3 * MINUTE);
    assert_eq!(run.world.setting(LIMIT), 256);
}

#[test]
fn what_is_kept_stays_until_it_is_restored() {
    let mut run = hot("cpu_usage > 7.0 -> raise cache_ttl_ms by 2x, lower concurrency_limit by 10% keep\n\
         error_rate > 5% -> restore cache_ttl_ms");
    run.cycles(2 * MINUTE);
    run.world.cpu_usage = Some(0.0);
    run.cycles(2 * MINUTE);
    assert_eq!((run.world.setting("cache_ttl_ms"), run.world.setting(LIMIT)), (1_200_000, 230));
    run.world.error_rate = 0.5;
    run.cycles(2 * MINUTE);
    assert_eq!((run.world.setting("cache_ttl_ms"), run.world.setting(LIMIT)), (600_000, 230), "{:#?}", run.turns);
}

#[test]
fn what_did_not_help_is_not_repeated() {
    let mut run = hot("cpu_usage > 7.0 -> lower concurrency_limit by 10% every 1m");
    run.cycles(10 * MINUTE);
    assert_eq!(run.values_of(LIMIT), [230], "the processor stayed as busy: {:#?}", run.turns);
}

#[test]
fn parameters_are_refused_with_the_rule_and_the_place() {
    let fault = |name: &str, value: &str| {
        let given = [(name.to_owned(), value.to_owned())];
        match Rules::default().configure(&given, World::knobs()) {
            Err(Fault::InvalidParameter(message)) => message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        fault("rules", "# first\nhot: cpu_usge > 7 -> shed_load"),
        "parameter `rules`: rule 1 (hot), line 2, column 6: no metric is called `cpu_usge`; did you mean `cpu_usage`?"
    );
    assert_eq!(fault("rule", "x"), "unknown parameter `rule`; allowed are rules, kv_bytes_per_token");
    let mut run = hot("cpu_usage > 7.0 -> set concurrency_limit = 200");
    let wrong = [("rules".to_owned(), "nonsense".to_owned())];
    assert!(run.strategy.configure(&wrong, World::knobs()).is_err());
    run.cycles(3);
    assert_eq!(run.values_of(LIMIT), [200], "a refused configuration changes nothing");
}

#[test]
fn the_readme_lists_the_default_rules_and_every_named_action() {
    let readme = include_str!("../README.md");
    assert!(Rule::parse_all(DEFAULT_RULES).is_ok_and(|rules| rules.len() == 5));
    assert!(readme.contains(DEFAULT_RULES.trim()), "the default rules");
    for named in NAMED_ACTIONS {
        let row = format!("| `{}` | {} | {} |", named.name, code(named.steps), named.meaning);
        assert!(readme.contains(&row), "{row}");
    }
}

fn code(steps: &[&str]) -> String {
    steps.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ")
}
