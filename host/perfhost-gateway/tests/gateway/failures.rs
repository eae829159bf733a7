//! Providers that die, hang or say no; what the client is told; what is tried again.

use perfhost_strategy::KnobId::{FirstByteTimeout, HedgeAfter, Retries, RetryBackoff, TotalTimeout};
use perfhost_upstream::Health;

use crate::support::{Call, Double, FakeProvider, Host, chat_answer, chat_event, eventually};

const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const ASK_STREAM: &str = r#"{"model":"m","stream":true,"messages":[]}"#;

/// Tries `a` before `b`, whatever is known of them.
fn in_order() -> Double {
    Double::changing(|plan| plan.order.sort_unstable())
}

#[tokio::test]
async fn with_nobody_there_the_message_says_so() {
    let host = Host::before(FakeProvider::nobody()).knob(RetryBackoff, 1).start();
    let answer = host.client().chat(ASK).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "upstream_unreachable"));
    assert!(answer.text().contains("local"), "{}", answer.text());
    assert_eq!(answer.header("x-perfhost-provider"), "local");
}

#[tokio::test]
async fn without_providers_and_for_unknown_models_the_message_helps() {
    let host = Host::empty().start();
    let answer = host.client().chat(ASK).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "no_provider"));
    let provider = FakeProvider::answering("{}").await;
    let host = Host::before(provider.address).provider("other", provider.address).start();
    let answer = host.client().chat(r#"{"model":"unknown","messages":[]}"#).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "model_not_found"));
    assert!(answer.text().contains("offered are m"), "{}", answer.text());
}

#[tokio::test]
async fn death_before_the_first_byte_is_tried_again() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        // The first one's connection is closed without a word.
        if call.number > 0 {
            call.json(200, &chat_answer("hi")).await;
        }
    })
    .await;
    let host = Host::before(provider.address).knob(RetryBackoff, 1).start();
    assert_eq!(host.client().chat(ASK).await.status, 200);
    assert_eq!((provider.calls(), provider.body(1) == ASK.as_bytes()), (2, true));
}

#[tokio::test]
async fn another_candidate_takes_over_from_one_that_is_gone_or_unwell() {
    let well = FakeProvider::answering(&chat_answer("hi")).await;
    let gone = FakeProvider::nobody();
    let host = Host::empty().provider("a", gone).provider("b", well.address).strategy(in_order()).start();
    let answer = host.client().chat(ASK).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-perfhost-provider")), (200, "b"));

    let unwell = FakeProvider::start(|mut call: Call| async move { call.json(503, r#"{"error":{}}"#).await }).await;
    let host = Host::empty().provider("a", unwell.address).provider("b", well.address).strategy(in_order()).start();
    let answer = host.client().chat(ASK).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-perfhost-provider")), (200, "b"));
    assert_eq!(unwell.calls(), 1);
}

#[tokio::test]
async fn a_lone_providers_own_error_is_passed_on_as_it_is() {
    let body = r#"{"error":{"message":"loading model","code":503}}"#;
    let provider = FakeProvider::start(move |mut call: Call| async move { call.json(503, body).await }).await;
    let host = Host::before(provider.address).start();
    let answer = host.client().chat(ASK).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (503, body));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn death_in_mid_answer_cuts_the_clients_connection() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        call.begin_stream().await;
        call.chunk(&chat_event("one")).await;
    })
    .await;
    let host = Host::before(provider.address).start();
    let mut stream = host.client().begin_chat(ASK_STREAM).await;
    assert_eq!(stream.next().await.unwrap().unwrap(), chat_event("one"));
    assert!(stream.next().await.unwrap().is_err(), "a cut stream looked like a whole one");
    // Nothing is sent again once an answer has begun.
    assert_eq!(provider.calls(), 1);
    eventually("the place is given back", || host.in_flight() == 0).await;
}

#[tokio::test]
async fn a_provider_that_does_not_begin_is_given_up() {
    let provider = FakeProvider::start(|mut call: Call| async move { call.wait_for_cancel().await }).await;
    let host = Host::before(provider.address).knob(FirstByteTimeout, 100).start();
    let answer = host.client().chat(ASK).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (504, "first_byte_timeout"));
    eventually("the provider sees the cancel", || provider.cancelled() == 1).await;
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_cut() {
    let provider = FakeProvider::start(|mut call: Call| async move {
        call.begin_stream().await;
        call.chunk(&chat_event("one")).await;
        call.wait_for_cancel().await;
    })
    .await;
    let host = Host::before(provider.address).knob(TotalTimeout, 1_000).start();
    let mut stream = host.client().begin_chat(ASK_STREAM).await;
    assert!(stream.next().await.unwrap().is_ok());
    assert!(stream.next().await.unwrap().is_err());
    eventually("the provider sees the cancel", || provider.cancelled() == 1).await;
}

#[tokio::test]
async fn a_slow_candidate_is_hedged_and_then_cancelled() {
    let slow = FakeProvider::start(|mut call: Call| async move { call.wait_for_cancel().await }).await;
    let fast = FakeProvider::answering(&chat_answer("hi")).await;
    let host = Host::empty()
        .provider("a", slow.address)
        .provider("b", fast.address)
        .strategy(in_order())
        .knob(HedgeAfter, 20)
        .start();
    let answer = host.client().chat(ASK).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-perfhost-provider")), (200, "b"));
    assert_eq!(slow.calls(), 1);
    eventually("the slow one is cancelled", || slow.cancelled() == 1).await;
}

#[tokio::test]
async fn without_retries_there_is_one_attempt() {
    let provider = FakeProvider::start(|_| async {}).await;
    let host = Host::before(provider.address).knob(Retries, 0).start();
    assert_eq!(host.client().chat(ASK).await.status, 502);
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn an_engine_that_is_starting_says_when_to_come_back() {
    let host = Host::empty().engine("engine", FakeProvider::nobody()).knob(RetryBackoff, 1).start();
    // It is found to be gone, and then known to be.
    for is_known in [false, true] {
        if is_known {
            host.services.fleet.provider("engine").unwrap().set_health(Health::Down);
        }
        let answer = host.client().chat(ASK).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "engine_restarting"), "{is_known}");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    assert_eq!(host.in_flight(), 0);
}

#[tokio::test]
async fn no_plan_ends_a_request_by_its_own_impatience() {
    let (slow, gate) = FakeProvider::answering_gated(&chat_answer("hi")).await;
    let impatient = || {
        Double::changing(|plan| {
            plan.order.sort_unstable();
            plan.first_byte_timeout_ms = 1;
        })
    };
    // With another candidate the plan may give one up; the last one has the time that the settings say.
    let host = Host::empty().provider("a", slow.address).provider("b", slow.address).strategy(impatient()).start();
    let client = host.client();
    let asked = tokio::spawn(async move { client.chat(ASK).await });
    eventually("the second one is asked", || slow.calls() == 2).await;
    gate.open_for(2);
    let answer = asked.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("x-perfhost-provider")), (200, "b"));

    for (retries, providers) in [(1, 1), (0, 2)] {
        let mut builder = Host::empty().knob(Retries, retries).strategy(impatient());
        for name in ["a", "b"].into_iter().take(providers) {
            builder = builder.provider(name, slow.address);
        }
        let host = builder.start();
        let before = slow.calls();
        let client = host.client();
        let asked = tokio::spawn(async move { client.chat(ASK).await.status });
        eventually("it is asked", || slow.calls() > before).await;
        // Longer than any plan's limit would be.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        gate.open_for(1);
        assert_eq!(asked.await.unwrap(), 200, "{providers} providers, {retries} retries");
    }
}

#[tokio::test]
async fn a_pause_that_leaves_no_time_to_try_again_ends_with_the_cause() {
    let host = Host::before(FakeProvider::nobody()).knob(RetryBackoff, 60_000).knob(TotalTimeout, 30_000).start();
    let answer = host.client().chat(ASK).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "upstream_unreachable"));
}
