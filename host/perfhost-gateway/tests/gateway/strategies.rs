//! No strategy, however broken, fails a request.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use perfhost_strategy::KnobId::PlanBudget;
use perfhost_strategy::generation::Demotion;
use perfhost_strategy::{Generation, Plan, StrategyError};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::support::{Double, FakeProvider, Host, chat_answer, fixed_chat};

const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

async fn served_by(strategy: Double) -> (Host, FakeProvider) {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).strategy(strategy).start();
    (host, provider)
}

#[tokio::test]
async fn one_that_fails_is_served_around_and_counted() {
    let trap = || StrategyError::Trap { call: "plan", message: "unreachable".to_owned() };
    let (host, _provider) = served_by(Double::planning(move |_, _| Err(trap()))).await;
    for _ in 0..3 {
        assert_eq!(host.client().chat(ASK).await.status, 200);
    }
    let counts = host.services.generation.load().planning.read();
    assert_eq!((counts.calls, counts.failures), (3, 3));
}

#[tokio::test]
async fn nonsense_is_not_followed() {
    for order in [vec![], vec![7], vec![0, 0], vec![u32::MAX]] {
        let nonsense = order.clone();
        let (host, _provider) = served_by(Double::changing(move |plan| plan.order.clone_from(&nonsense))).await;
        assert_eq!(host.client().chat(ASK).await.status, 200, "{order:?}");
        assert_eq!(host.services.generation.load().planning.read().failures, 1, "{order:?}");
    }
}

/// Keeps the processor busy for so long.
fn work(time: Duration) {
    let now = || clock_gettime(ClockId::ThreadCPUTime);
    let begun = now();
    while now() - begun < Timespec::try_from(time).expect("a short time") {}
}

/// A strategy that takes at least 100 µs for each plan, and how often it was asked.
fn slow() -> (Double, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let slow = Double::planning(move |asked, candidates| {
        counted.fetch_add(1, Ordering::SeqCst);
        work(Duration::from_micros(100));
        Ok(Plan::default_for(asked, candidates))
    });
    (slow, calls)
}

/// Asks often enough that each of the two workers can judge by its own last hundred calls.
async fn ask_often(host: &Host) {
    for _ in 0..250 {
        assert_eq!(host.client().chat(ASK).await.status, 200);
    }
}

#[tokio::test]
async fn one_that_is_always_over_its_budget_is_no_longer_asked() {
    let (slow, calls) = slow();
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).strategy(slow).knob(PlanBudget, 1).start();
    ask_often(&host).await;
    let generation = host.services.generation.load();
    assert_eq!(generation.planning.demotion(), Some(Demotion::TooSlow { budget_us: 1 }));
    let status = host.client().get("/api/system/status").await.json();
    assert_eq!(status["planning"]["demotion"]["cause"], "too-slow");
    let asked = calls.load(Ordering::SeqCst);
    assert_eq!(host.client().chat(ASK).await.status, 200);
    assert_eq!(calls.load(Ordering::SeqCst), asked);
}

#[tokio::test]
async fn a_budget_of_its_own_holds_where_it_is_less_than_the_knobs() {
    let slow = Double::planning(|asked, candidates| {
        work(Duration::from_micros(100));
        Ok(Plan::default_for(asked, candidates))
    });
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let slow = slow.within(Duration::from_micros(1));
    let host = Host::before(provider.address).strategy(slow).knob(PlanBudget, 100_000).start();
    assert_eq!(host.client().chat(ASK).await.status, 200);
    assert_eq!(host.services.generation.load().planning.read().overruns, 1);
}

#[tokio::test]
async fn one_that_was_too_slow_is_asked_again_when_the_budget_rises_or_it_is_swapped_in_again() {
    let (slow, calls) = slow();
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).strategy(slow).knob(PlanBudget, 1).start();
    ask_often(&host).await;
    let generation = host.services.generation.load();
    assert!(generation.planning.is_demoted());

    host.turn(PlanBudget, 100_000);
    let asked = calls.load(Ordering::SeqCst);
    ask_often(&host).await;
    assert_eq!(calls.load(Ordering::SeqCst), asked + 250, "within the new budget it stays in charge");
    assert_eq!(generation.planning.demotion(), None);

    host.turn(PlanBudget, 1);
    ask_often(&host).await;
    assert!(generation.planning.is_demoted(), "the lower budget counts again");
    host.services.generation.store(Arc::new(Generation::new(2, generation.strategy.clone())));
    let asked = calls.load(Ordering::SeqCst);
    assert_eq!(host.client().chat(ASK).await.status, 200);
    assert_eq!(calls.load(Ordering::SeqCst), asked + 1, "a swap starts afresh");
}

#[tokio::test]
async fn one_that_is_over_its_budget_now_and_then_stays_in_charge() {
    const BUDGET_US: i64 = 5_000;
    thread_local! {
        // Of each worker, as it is each worker that judges what it sees.
        static CALLS: Cell<usize> = const { Cell::new(0) };
    }
    let uneven = Double::planning(move |asked, candidates| {
        if CALLS.replace(CALLS.get() + 1).is_multiple_of(4) {
            work(Duration::from_millis(10));
        }
        Ok(Plan::default_for(asked, candidates))
    });
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).strategy(uneven).knob(PlanBudget, BUDGET_US).start();
    ask_often(&host).await;
    let planning = &host.services.generation.load().planning;
    assert!(planning.read().overruns >= 60 && !planning.is_demoted(), "{:?}", planning.read());
}

#[tokio::test]
async fn one_that_was_kept_off_the_processor_stays_in_charge() {
    let waiting = Double::planning(|asked, candidates| {
        std::thread::sleep(Duration::from_millis(6));
        Ok(Plan::default_for(asked, candidates))
    });
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).strategy(waiting).knob(PlanBudget, 3_000).start();
    ask_often(&host).await;
    let read = host.services.generation.load().planning.read();
    assert!(read.overruns > 0 && read.overruns < 50 && !read.is_demoted, "{read:?}");
}

#[tokio::test]
async fn the_plan_says_what_the_cache_may_do() {
    let (host, provider) = served_by(Double::changing(|plan| {
        plan.cache_read = true;
        plan.cache_write = true;
    }))
    .await;
    // Not deterministic by itself; this strategy caches it all the same.
    assert_eq!(host.client().chat(ASK).await.header("x-perfhost-cache"), "miss");
    assert_eq!(host.client().chat(ASK).await.header("x-perfhost-cache"), "hit");
    assert_eq!(provider.calls(), 1);

    let (host, _provider) = served_by(Double::changing(|plan| {
        plan.cache_read = false;
        plan.cache_write = false;
    }))
    .await;
    for _ in 0..2 {
        assert_eq!(host.client().chat(fixed_chat("q")).await.header("x-perfhost-cache"), "bypass");
    }
}

#[tokio::test]
async fn the_plans_order_is_followed() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let last_first = Double::changing(|plan| plan.order.sort_unstable_by(|a, b| b.cmp(a)));
    let host =
        Host::empty().provider("a", provider.address).provider("b", provider.address).strategy(last_first).start();
    assert_eq!(host.client().chat(ASK).await.header("x-perfhost-provider"), "b");
}

#[tokio::test]
async fn a_swap_under_load_fails_nothing() {
    let (host, provider) = served_by(Double::plain()).await;
    let client = host.client();
    let load: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..25 {
                    assert_eq!(client.chat(ASK).await.status, 200);
                }
            })
        })
        .collect();
    for number in 2..20 {
        let next = Generation::new(number, Arc::new(Double::plain()));
        host.services.generation.store(Arc::new(next));
        tokio::task::yield_now().await;
    }
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(provider.calls(), 200);
}
