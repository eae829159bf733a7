//! While an experiment runs, each request is served by its arm alone, and every counted one is reported once.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use perfhost_gateway::experiment::{Inlet, LiveArm, LiveExperiment, outlet, request_number};
use perfhost_strategy::experiment::regime::{self, Pace};
use perfhost_strategy::experiment::spec::Objective;
use perfhost_strategy::experiment::{
    Allocation, Arm, Assigned, Ending, Event, Experiment, Metric, Outcome, Ramp, Spec, Unit,
};
use perfhost_strategy::{Generation, KnobId, Scope, Value};

use crate::support::{Double, FakeProvider, Host, chat_answer, eventually, fixed_chat};

/// Two arms with equal shares of all traffic.
fn allocation() -> Allocation {
    enrolling(Vec::new())
}

/// Two arms, a challenger with these shares of traffic.
fn enrolling(shares: Vec<f64>) -> Allocation {
    let arm = |name: &str| Arm { name: name.to_owned(), identity: String::new(), turns: vec!["retries".to_owned()] };
    let arms = vec![arm("one"), arm("two")];
    let choice = regime::choose(&arms, &Pace { settling_ms: 0, response_p95_ms: 0, requests_per_second: 1.0 });
    let objective = Objective { metric: Metric::Goodput, minimum_effect: 0.0 };
    let ramp = Ramp { shares, ..Ramp::default() };
    let spec = Spec { ramp, ..Spec::new("ab", 7, arms, choice, objective) };
    Experiment::start(spec, 0).unwrap().allocation().clone()
}

/// Puts an experiment of the strategy in service and another one in front of `provider`.
async fn experimenting(unit: Unit, most_events: usize) -> (Host, FakeProvider, Inlet) {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).strategy(Double::plain().named("one")).start();
    let inlet = begin(&host, unit, most_events);
    (host, provider, inlet)
}

fn begin(host: &Host, unit: Unit, most_events: usize) -> Inlet {
    let (outlet, inlet) = outlet(most_events);
    let challenger = Generation::new(2, Arc::new(Double::plain().named("two")));
    let arms = vec![
        LiveArm { generation: host.services.generation.load(), settings: None },
        LiveArm { generation: Arc::new(challenger), settings: None },
    ];
    let live = LiveExperiment { allocation: allocation(), unit, arms, outlet };
    host.services.experiment.store(Arc::new(Some(live)));
    inlet
}

/// Both events of each request, by its number.
fn paired(events: Vec<Event>) -> BTreeMap<u64, (Assigned, Outcome)> {
    let mut assigned = BTreeMap::new();
    let mut pairs = BTreeMap::new();
    for event in events {
        match event {
            Event::Assigned(request) => assert!(assigned.insert(request.id, request).is_none()),
            Event::Finished { id, outcome, .. } => {
                let request = assigned.remove(&id).expect("an end without a beginning, or a second one");
                pairs.insert(id, (request, outcome));
            }
            Event::Scored { .. } => panic!("nobody gave a score"),
        }
    }
    assert!(assigned.is_empty(), "without an end: {assigned:?}");
    pairs
}

#[tokio::test]
async fn each_request_is_served_and_reported_by_the_arm_that_its_answer_names() {
    let (host, _provider, inlet) = experimenting(Unit::Request, 1_000).await;
    let mut answers = BTreeMap::new();
    for _ in 0..40 {
        let answer = host.client().chat(r#"{"model":"m","messages":[]}"#).await;
        assert_eq!(answer.status, 200);
        let id = request_number(answer.header("x-perfhost-request-id")).unwrap();
        answers.insert(id, answer.header("x-perfhost-strategy").to_owned());
    }
    let reported = paired(inlet.take(usize::MAX));
    assert_eq!(reported.len(), 40);
    for (id, (request, outcome)) in &reported {
        assert_eq!(answers[id], ["one@1.2.3", "two@1.2.3"][request.arm]);
        assert_eq!((outcome.ending, outcome.output_tokens), (Ending::Answered, 2));
        assert!(outcome.response_ms > 0.0 && outcome.cost > 0.0, "{outcome:?}");
        assert!(request.covariates[0] > 0.0);
    }
    let of_two = reported.values().filter(|(request, _)| request.arm == 1).count();
    assert!((1..40).contains(&of_two), "{of_two} of 40");

    host.services.experiment.store(Arc::new(None));
    for _ in 0..10 {
        assert_eq!(host.client().chat(fixed_chat("after")).await.header("x-perfhost-strategy"), "one@1.2.3");
    }
    assert!(inlet.take(usize::MAX).is_empty());
}

#[tokio::test]
async fn a_user_stays_with_one_arm_and_users_differ() {
    let (host, _provider, _inlet) = experimenting(Unit::User, 10_000).await;
    let mut arms = BTreeMap::<String, u32>::new();
    for user in 0..20 {
        let mut first = None;
        for session in 0..3 {
            let body = format!(r#"{{"model":"m","messages":[],"user":"u{user}","session_id":"s{session}"}}"#);
            let strategy = host.client().chat(body).await.header("x-perfhost-strategy").to_owned();
            assert_eq!(first.get_or_insert_with(|| strategy.clone()), &strategy, "user {user}");
        }
        *arms.entry(first.unwrap()).or_default() += 1;
    }
    assert_eq!(arms.len(), 2, "{arms:?}");
}

#[tokio::test]
async fn no_arm_is_served_what_the_other_cached() {
    let (host, provider, _inlet) = experimenting(Unit::Request, 10_000).await;
    let mut hits = BTreeMap::<(String, String), u32>::new();
    for _ in 0..40 {
        let answer = host.client().chat(fixed_chat("q")).await;
        let of = |name| answer.header(name).to_owned();
        *hits.entry((of("x-perfhost-strategy"), of("x-perfhost-cache"))).or_default() += 1;
    }
    let count = |strategy: &str, cache: &str| hits.get(&(strategy.to_owned(), cache.to_owned())).copied();
    assert_eq!((count("one@1.2.3", "miss"), count("two@1.2.3", "miss")), (Some(1), Some(1)), "{hits:?}");
    assert_eq!((provider.calls(), hits.values().sum::<u32>()), (2, 40));
}

#[tokio::test]
async fn who_takes_no_part_keeps_the_hosts_cache_and_warms_no_arms() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).strategy(Double::plain().named("one")).start();
    assert_eq!(host.client().chat(fixed_chat("q")).await.header("x-perfhost-cache"), "miss");

    let inlet = begin(&host, Unit::Request, 10_000);
    let live = host.services.experiment.load();
    let live = live.as_ref().as_ref().unwrap();
    let (unit, arms, outlet) = (live.unit, live.arms.clone(), live.outlet.clone());
    let live = LiveExperiment { allocation: enrolling(vec![0.25]), unit, arms, outlet };
    host.services.experiment.store(Arc::new(Some(live)));
    let mut caches = BTreeMap::new();
    for _ in 0..100 {
        let answer = host.client().chat(fixed_chat("q")).await;
        let id = request_number(answer.header("x-perfhost-request-id")).unwrap();
        caches.insert(id, answer.header("x-perfhost-cache").to_owned());
    }
    let counted = paired(inlet.take(usize::MAX));
    assert!((1..100).contains(&counted.len()), "{} of 100", counted.len());
    let bystanders = caches.iter().filter(|(id, _)| !counted.contains_key(*id));
    assert!(bystanders.clone().all(|(_, cache)| cache == "hit"), "{caches:?}");
    for arm in 0..2 {
        let of_arm = counted.iter().filter(|(_, (request, _))| request.arm == arm);
        let misses = of_arm.filter(|(id, _)| caches[*id] == "miss").count();
        assert_eq!(misses, 1, "arm {arm} began with somebody else's answer");
    }
    assert_eq!(provider.calls(), 3);
}

#[tokio::test]
async fn an_arm_has_its_own_settings() {
    let (host, _provider, inlet) = experimenting(Unit::Request, 10_000).await;
    let live = host.services.experiment.load();
    let live = live.as_ref().as_ref().unwrap();
    let none = host.services.settings.load().with(KnobId::CacheCapacity, &Scope::global(), Value::Integer(0));
    let mut arms = live.arms.clone();
    arms[1].settings = Some(Arc::new(none));
    let live =
        LiveExperiment { allocation: live.allocation.clone(), unit: live.unit, arms, outlet: live.outlet.clone() };
    host.services.experiment.store(Arc::new(Some(live)));
    for _ in 0..30 {
        let answer = host.client().chat(fixed_chat("q")).await;
        let is_bypass = answer.header("x-perfhost-cache") == "bypass";
        assert_eq!(is_bypass, answer.header("x-perfhost-strategy") == "two@1.2.3");
    }
    assert_eq!(paired(inlet.take(usize::MAX)).len(), 30);
}

#[tokio::test]
async fn failures_and_clients_that_hang_up_are_reported_as_such() {
    let failing = Host::before(FakeProvider::nobody()).start();
    let inlet = begin(&failing, Unit::Request, 10_000);
    assert_eq!(failing.client().chat(fixed_chat("q")).await.status, 502);
    let reported = paired(inlet.take(usize::MAX));
    assert!(reported.values().all(|(_, outcome)| outcome.ending == Ending::Failed), "{reported:?}");
    assert_eq!(reported.len(), 1);

    let silent = FakeProvider::start(|mut call| async move { call.wait_for_cancel().await }).await;
    let host = Host::before(silent.address).start();
    let inlet = begin(&host, Unit::Request, 10_000);
    let body = fixed_chat("q");
    let client = host.client();
    let asking = tokio::spawn(async move { client.chat(body).await.status });
    eventually("the provider is asked", || silent.calls() == 1).await;
    asking.abort();
    let seen = std::cell::RefCell::new(Vec::new());
    eventually("the end is reported", || {
        seen.borrow_mut().extend(inlet.take(usize::MAX));
        seen.borrow().len() == 2
    })
    .await;
    let reported = paired(seen.into_inner());
    assert!(reported.values().all(|(_, outcome)| outcome.ending == Ending::ClientGone), "{reported:?}");
}

#[tokio::test]
async fn requests_beyond_the_room_are_served_and_not_counted() {
    let (host, _provider, inlet) = experimenting(Unit::Request, 4).await;
    for _ in 0..5 {
        assert_eq!(host.client().chat(fixed_chat("q")).await.status, 200);
    }
    assert_eq!((paired(inlet.take(usize::MAX)).len(), inlet.refused()), (2, 3));
}

#[tokio::test]
async fn the_api_passes_questions_on_and_refuses_what_does_not_read() {
    let provider = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::before(provider.address).start();
    let post = |path: &'static str, body: &'static str| {
        let client = host.client();
        async move { client.send(Method::POST, path, &[], body).await.status.as_u16() }
    };
    assert_eq!(post("/api/experiments", r#"{"arms":["a","b"]}"#).await, 200);
    assert_eq!(post("/api/experiments/3/stop", r#"{"why":"enough"}"#).await, 200);
    assert_eq!(post("/api/experiments/3/stop", "").await, 200);
    assert_eq!(post("/api/feedback", r#"{"request_id":"r","score":0.5}"#).await, 200);
    for (path, body, status) in [
        ("/api/experiments", "[", 400),
        ("/api/experiments/3", "", 405),
        ("/api/experiments/x/stop", "", 400),
        ("/api/experiments/3/other", "", 404),
        ("/api/feedback", r#"{"request_id":"r","score":1.5}"#, 400),
        ("/api/feedback", r#"{"score":1}"#, 400),
        ("/api/experimental", "", 404),
    ] {
        assert_eq!(post(path, body).await, status, "{path} {body}");
    }
    for (path, status) in [
        ("/api/experiments", 200),
        ("/api/experiments?limit=5", 200),
        ("/api/experiments?limit=0", 400),
        ("/api/experiments/3", 200),
        ("/api/experiments/404", 404),
        ("/api/experiments/3/report?format=pdf", 400),
    ] {
        assert_eq!(host.client().get(path).await.status, status, "{path}");
    }
    let report = host.client().get("/api/experiments/3/report?format=html").await;
    assert_eq!((report.header("content-type"), &report.body[..]), ("text/html; charset=utf-8", &b"Html of 3"[..]));
    assert_eq!(
        *host.control.experiments.lock().unwrap(),
        [
            r#"start {"arms":["a","b"]}"#,
            "stop 3: enough",
            "stop 3: somebody stopped it",
            "feedback r 0.5",
            "list 20",
            "list 5",
            "status 3",
        ]
    );
}
