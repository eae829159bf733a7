//! The language of rules through its public surface: what is read, what is refused with which words, and that no text
//! whatever makes the reader panic or point outside it.

use std::time::Duration;

use perfhost_strategy::rule::{
    Aim, Amount, NAMED_ACTIONS, Operation, Place, Problem, Rule, Statistic, Step, Trigger, parse_duration, parse_name,
};
use perfhost_strategy::{KnobId, Scope, Value};
use proptest::prelude::*;

fn rule(text: &str) -> Rule {
    Rule::parse_all(text).unwrap_or_else(|error| panic!("{text}: {error}")).remove(0)
}

fn refusal(text: &str) -> String {
    match Rule::parse_all(text) {
        Err(error) => error.to_string(),
        Ok(rules) => panic!("{text} was read as {rules:?}"),
    }
}

#[test]
fn a_rule_with_everything_is_read() {
    let text = "hot-cpu: cpu_usage > 7.0 and response_time_p95@local >= 5s for 5m → reduce_concurrency, \
                set engine_kv_type@local = q8_0 until cpu_usage < 5.0 for 2m every 10m cooldown 1h keep # why not";
    let rule = rule(text);
    assert_eq!(rule.name.as_deref(), Some("hot-cpu"));
    let [cpu, slow] = &rule.trigger.conditions[..] else { panic!("{rule:?}") };
    assert_eq!((cpu.metric, cpu.threshold, &cpu.scope), ("cpu_usage", 0.07, &None));
    assert_eq!((slow.metric, slow.statistic, slow.threshold), ("response_time_ms", Statistic::P95, 5_000.0));
    assert_eq!(
        (slow.scope.as_ref(), slow.written.as_str()),
        (Some(&Scope::provider("local")), "response_time_p95@local")
    );
    assert_eq!(rule.trigger.hold, Duration::from_secs(300));
    let until = rule.until.as_ref().expect("given");
    assert_eq!((until.conditions[0].threshold, until.hold), (0.05, Duration::from_secs(120)));
    assert_eq!((rule.every, rule.cooldown), (Some(Duration::from_secs(600)), Duration::from_secs(3_600)));
    assert!(rule.is_kept);
    assert_eq!(rule.actions.iter().map(|action| action.steps.len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(
        rule.text,
        "cpu_usage > 7.0 and response_time_p95@local >= 5s for 5m -> reduce_concurrency, set engine_kv_type@local = q8_0 \
         until cpu_usage < 5.0 for 2m every 10m cooldown 1h keep"
    );
}

#[test]
fn the_text_of_a_rule_means_the_same_again() {
    for text in ["cpu_usage>7->shed_load,reduce_slots keep", "error_rate@a:1 > 5 % -> avoid_provider  # comment"] {
        let first = rule(text);
        assert_eq!(Rule { text: first.text.clone(), ..rule(&first.text) }, first);
        assert_eq!(rule(&first.text).text, first.text);
    }
}

#[test]
fn comments_and_empty_lines_are_no_rules() {
    assert_eq!(Rule::parse_all("\n# nothing\n   \r\n\t# here\n"), Ok(Vec::new()));
    let two = Rule::parse_all("# first\r\ncpu_usage > 7 -> shed_load\r\n\r\nb: cpu_usage > 8 -> shed_load")
        .expect("two rules");
    assert_eq!(two.iter().map(|rule| rule.title()).collect::<Vec<_>>(), ["cpu_usage > 7 -> shed_load", "b"]);
}

#[test]
fn every_way_to_turn_a_knob_is_read() {
    let step = |action: &str| rule(&format!("queue_length > 1 -> {action}")).actions[0].steps[0].clone();
    let here = |knob, operation| Step { knob, operation, place: Place::Unsaid };
    let integer = |value| Aim::Value(Value::Integer(value));
    let capacity = KnobId::CacheCapacity;
    assert_eq!(step("set cache_capacity_bytes = 256MiB"), here(capacity, Operation::Set(integer(256 << 20))));
    assert_eq!(
        step("raise cache_capacity_bytes by 64MiB"),
        here(capacity, Operation::RaiseBy(Amount::By(67_108_864.0)))
    );
    assert_eq!(step("raise engine_slots by 2x"), here(KnobId::EngineSlots, Operation::RaiseBy(Amount::Times(2.0))));
    assert_eq!(step("lower queue_wait_ms by 10%"), here(KnobId::QueueWait, Operation::LowerBy(Amount::Share(0.1))));
    assert_eq!(step("lower queue_wait_ms to 2s"), here(KnobId::QueueWait, Operation::LowerTo(integer(2_000))));
    assert_eq!(step("restore retries"), here(KnobId::Retries, Operation::Restore));
    let share = Aim::Share { share: 0.75, metric: "in_flight", statistic: Statistic::Mean };
    assert_eq!(
        step("lower concurrency_limit to 75% of in_flight"),
        here(KnobId::ConcurrencyLimit, Operation::LowerTo(share))
    );
    let weight = step("set candidate_weight@gpu-box = 0.5");
    assert_eq!(
        (weight.place, weight.operation),
        (Place::Provider("gpu-box".to_owned()), Operation::Set(Aim::Value(Value::Number(0.5))))
    );
    assert_eq!(rule("queue_length > 1 -> restore all").actions[0].steps.len(), KnobId::ALL.len());
}

#[test]
fn a_provider_behind_a_named_action_goes_to_what_providers_have() {
    let steps = |action: &str| rule(&format!("cpu_usage > 7 -> {action}")).actions.remove(0).steps;
    let places: Vec<Place> = steps("switch_to_lightweight_models@local").into_iter().map(|step| step.place).collect();
    assert_eq!(places, [Place::Heavier, Place::Provider("local".to_owned())]);
    assert_eq!(steps("increase_slots@local")[0].place, Place::Provider("local".to_owned()));
    // The trigger's own provider is where an action acts that names none.
    assert_eq!(rule("error_rate@a > 5% -> avoid_provider").actions[0].steps[0].place, Place::Unsaid);
}

#[test]
fn mistakes_are_named_with_their_place_and_what_is_allowed() {
    for (text, message) in [
        (
            "cpu_usge > 7 -> shed_load",
            "rule 1, line 1, column 1: no metric is called `cpu_usge`; did you mean `cpu_usage`?",
        ),
        (
            "a: cpu_usage > 7 for 5 -> shed_load",
            "rule 1 (a), line 1, column 22: found `5`, expected a duration such as 30s, 5m or 1h, at most 30d",
        ),
        ("cpu_usage 7 -> shed_load", "rule 1, line 1, column 11: found `7`, expected one of > >= < <="),
        ("cpu_usage > -> shed_load", "rule 1, line 1, column 13: found `->`, expected a threshold"),
        ("cpu_usage > 7 shed_load", "rule 1, line 1, column 15: found `shed_load`, expected `and`, `for` or `->`"),
        ("cpu_usage > 7 for 5m", "rule 1, line 1, column 21: found the end, expected `->` and what to do"),
        (
            "cpu_usage > 7 -> shed_laod",
            "rule 1, line 1, column 18: no action is called `shed_laod`; did you mean `shed_load`?",
        ),
        ("cpu_usage > 7 ->", "rule 1, line 1, column 17: found the end, expected an action"),
        (
            "cpu_usage > 7 -> shed_load reduce_slots",
            "rule 1, line 1, column 28: found `reduce_slots`, expected `,`, `until`, `every`, `cooldown`, `keep` or the end",
        ),
        (
            "cpu_usage > 7 -> set engine_slot = 2",
            "rule 1, line 1, column 22: no knob is called `engine_slot`; did you mean `engine_slots`?",
        ),
        ("cpu_usage > 7 -> set engine_slots = 200", "rule 1, line 1, column 37: engine_slots: 200 is outside 1 to 64"),
        (
            "cpu_usage > 7 -> set engine_slots = many",
            "rule 1, line 1, column 37: engine_slots: \"many\" where a whole number from 1 to 64 is expected",
        ),
        (
            "cpu_usage > 7 -> set engine_kv_type = q5",
            "rule 1, line 1, column 39: engine_kv_type: \"q5\" is none of f16, q8_0, q4_0",
        ),
        (
            "cpu_usage > 7 -> raise engine_slots by 1x",
            "rule 1, line 1, column 40: engine_slots: a factor must be above 1",
        ),
        (
            "cpu_usage > 7 -> lower queue_length by 100%",
            "rule 1, line 1, column 40: queue_length: it cannot be lowered by 100 % or more",
        ),
        (
            "cpu_usage > 7 -> raise retries@a by 1",
            "rule 1, line 1, column 31: retries applies to the whole host, not to one provider: leave out `@`",
        ),
        (
            "cpu_usage > 7 -> shed_load@a",
            "rule 1, line 1, column 27: this action turns nothing that one provider has of its own: leave out `@`",
        ),
        (
            "cpu_usage > 7 -> avoid_provider",
            "rule 1, line 1, column 18: `avoid_provider` needs a provider: name one with `@` behind it, or in the trigger",
        ),
        (
            "cpu_usage > 7 -> reduce_slots@a/m",
            "rule 1, line 1, column 30: knobs belong to a provider, not to one of its models: write `@a`",
        ),
        (
            "response_time > 5GiB -> shed_load",
            "rule 1, line 1, column 17: `5GiB` is not in a unit of response_time_ms; allowed is a number of milliseconds, or one with ms, s, m, h or d",
        ),
        (
            "error_rate > 1 -> shed_load",
            "rule 1, line 1, column 14: this can never hold: error_rate is a share, so never above 1, which is 100 %",
        ),
        (
            "cpu_usage > 7 -> shed_load until cpu_usage < 9",
            "rule 1, line 1, column 34: `until` would hold while the trigger still does; allowed is `<` with a threshold that is not above the trigger's",
        ),
        ("cpu_usage > 7 -> shed_load keep keep", "rule 1, line 1, column 33: `keep` is given twice"),
        (
            "cpu_usage > 7 -> set queue_wait_ms = 50% of in_flight",
            "rule 1, line 1, column 45: queue_wait_ms: in_flight is measured in count, queue_wait_ms is set in ms",
        ),
        (
            "# one\n\nb: cpu_usage > 7 -> shed_load\nb: cpu_usage > 8 -> shed_load",
            "rule 2 (b), line 4, column 1: it has the name or the text of rule 1",
        ),
        (
            "cpu_usage > 7 -> shed_load; reduce_slots",
            "rule 1, line 1, column 27: found `;`, expected a name, a number, or one of > >= < <= -> , : =",
        ),
    ] {
        assert_eq!(refusal(text), message);
    }
    assert!(refusal("vibes > 7 -> shed_load").contains("there are response_time, time_to_first_token, "));
}

#[test]
fn number_and_length_of_rules_are_bounded() {
    let line = |at: usize| format!("cpu_usage > {at}% -> shed_load\n");
    let most: String = (1..=64).map(line).collect();
    assert_eq!(Rule::parse_all(&most).expect("as many as are allowed").len(), 64);
    assert_eq!(refusal(&(most + &line(65))), "rule 65, line 65, column 1: too many rules; allowed are 64");
    assert!(refusal(&"shed_load, ".repeat(50)).ends_with("the rule is too long; allowed are 500 bytes"));
}

#[test]
fn parts_are_read_alone_as_configuration_and_alerts_write_them() {
    let alert = Trigger::parse("response_time_p95 > 5000 for 3m").expect("as features write it");
    assert_eq!((alert.conditions[0].threshold, alert.hold), (5_000.0, Duration::from_secs(180)));
    assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
    assert_eq!(parse_name("hot_cpu-2").as_deref(), Ok("hot_cpu-2"));
    let wrong =
        [Trigger::parse("cpu_usage > 7 # hot").err(), parse_duration("soon").err(), parse_name("hot cpu").err()];
    let messages = wrong.map(|error| error.expect("a mistake").to_string());
    assert_eq!(messages[0], "column 15: found `#`, expected a name, a number, or one of > >= < <= -> , : =");
    assert_eq!(messages[1], "column 1: found `soon`, expected a duration such as 30s, 5m or 1h, at most 30d");
    assert_eq!(messages[2], "column 5: found `cpu`, expected the end");
}

/// Lines of pieces of the language in any order, with a few foreign ones.
fn pieces() -> impl Strategy<Value = String> {
    let fixed = [
        "cpu_usage",
        "response_time_p95",
        "error_rate@local",
        "queue_length",
        ">",
        ">=",
        "<",
        "<=",
        "->",
        "→",
        "7",
        "7.0",
        "5%",
        "5 %",
        "90s",
        "5m",
        "2x",
        "1GiB",
        "and",
        "for",
        "until",
        "every",
        "cooldown",
        "keep",
        ",",
        ":",
        "=",
        "set",
        "raise",
        "lower",
        "restore",
        "all",
        "by",
        "to",
        "of",
        "engine_slots",
        "engine_kv_type",
        "candidate_weight@a",
        "q8_0",
        "@heavier",
        "@",
        "#",
        "-",
        "é",
        "\n",
        "\r\n",
        " ",
        "hot:",
        "999999999999999999999999",
        "0",
        "0.0000000001",
    ];
    let named: Vec<&str> = NAMED_ACTIONS.iter().map(|named| named.name).chain(fixed).collect();
    prop::collection::vec(prop::sample::select(named), 0..24).prop_map(|pieces| pieces.join(" "))
}

/// A rule that is right, with one stretch of it replaced by something else.
fn damaged() -> impl Strategy<Value = String> {
    let whole = "hot: cpu_usage > 7.0 and error_rate@a < 5% for 5m -> set cache_ttl_ms = 1h, lower engine_slots@a by 2x, \
                 shed_load until cpu_usage < 5% for 2m every 1m cooldown 3m keep";
    (0..whole.len(), 0..12_usize, ".{0,3}").prop_map(move |(at, length, other)| {
        let end = (at + length).min(whole.len());
        format!("{}{other}{}", &whole[..at], &whole[end..])
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_or_point_outside(text in prop_oneof!["\\PC{0,80}", "(?s).{0,80}", pieces(), damaged()]) {
        match Rule::parse_all(&text) {
            Ok(rules) => {
                let lines = text.lines().filter(|line| !line.split('#').next().unwrap_or("").trim().is_empty());
                prop_assert_eq!(rules.len(), lines.count());
                for rule in rules {
                    prop_assert!(rule.trigger.conditions.iter().all(|condition| condition.threshold.is_finite()));
                    prop_assert!(rule.actions.iter().all(|action| !action.steps.is_empty()));
                    let again = Rule::parse_all(&rule.text).map(|mut rules| rules.remove(0));
                    prop_assert_eq!(again, Ok(Rule { name: None, ..rule }));
                }
            }
            Err(error) => {
                let position = &error.position;
                let line = text.lines().nth(position.line - 1);
                prop_assert!(line.is_some(), "{error} in {text:?}");
                prop_assert!((1..=line.unwrap_or("").chars().count() + 1).contains(&position.column), "{error} in {text:?}");
                prop_assert!(position.rule.is_some_and(|rule| rule >= 1));
                prop_assert!(!error.to_string().contains('\n'), "{error:?}");
                let is_named = matches!(*error.problem, Problem::Alike { .. } | Problem::TooMany { .. } | Problem::TooLong { .. });
                prop_assert!(!is_named || position.column == 1);
            }
        }
    }

    #[test]
    fn parts_point_inside_as_well(text in prop_oneof!["(?s).{0,60}", pieces()]) {
        for error in [Trigger::parse(&text).err(), parse_duration(&text).err()].into_iter().flatten() {
            let line = text.split('\n').nth(error.position.line - 1);
            prop_assert!(line.is_some_and(|line| error.position.column <= line.chars().count() + 1), "{error} in {text:?}");
        }
    }
}
