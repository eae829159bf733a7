//! What admission promises: order, bounds, and no place lost whatever is dropped when.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use perfhost_strategy::{KnobId, Scope, Settings, Value};

use super::*;

fn settings(limit: i64, queue: i64) -> Settings {
    let set = |settings: Settings, id, value| settings.with(id, &Scope::global(), Value::Integer(value));
    let settings = set(Settings::default(), KnobId::ConcurrencyLimit, limit);
    let settings = set(settings, KnobId::QueueLength, queue);
    set(settings, KnobId::QueueWait, 1_000)
}

/// No deadline comes in the way.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_at_once_when_the_queue_is_full() {
    let settings = settings(1, 0);
    let admission = Admission::new(&settings);
    let held = admission.acquire(&settings, 0, far()).await.unwrap();
    let refusal = admission.acquire(&settings, 0, far()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::QueueFull { limit: 1, waiting: 0, .. }), "{refusal}");
    assert!(refusal.retry_after() >= Duration::from_secs(1));
    drop(held);
    assert!(admission.acquire(&settings, 0, far()).await.is_ok());
    assert_eq!((admission.in_flight(), admission.queued()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn refuses_after_the_longest_wait_and_leaves_the_queue() {
    let settings = settings(1, 4);
    let admission = Admission::new(&settings);
    let _held = admission.acquire(&settings, 0, far()).await.unwrap();
    let refusal = admission.acquire(&settings, 0, far()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::WaitedTooLong { .. }), "{refusal}");
    assert_eq!((admission.in_flight(), admission.queued()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_request_may_take() {
    let settings = settings(1, 4);
    let admission = Admission::new(&settings);
    let _held = admission.acquire(&settings, 0, far()).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(300);
    let refusal = admission.acquire(&settings, 0, deadline).await.unwrap_err();
    assert!(matches!(refusal, Refusal::WaitedTooLong { waited, .. } if waited.as_millis() == 300), "{refusal}");
    assert_eq!(Instant::now(), deadline);
}

#[tokio::test(start_paused = true)]
async fn higher_priority_goes_first_and_equal_ones_in_order_of_arrival() {
    let settings = Arc::new(settings(1, 8));
    let admission = Admission::new(&settings);
    let held = admission.acquire(&settings, 0, far()).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for (name, priority) in [("first", 0), ("second", 0), ("urgent", 5), ("idle", -5)] {
        let (admission, settings, order) = (admission.clone(), settings.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let permit = admission.acquire(&settings, priority, far()).await.unwrap();
            order.lock().push(name);
            drop(permit);
        }));
        settle().await;
    }
    assert_eq!(admission.queued(), 4);
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock(), ["urgent", "first", "second", "idle"]);
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_admits_those_who_wait_and_a_lowered_one_lets_the_rest_finish() {
    let low = Arc::new(settings(1, 8));
    let admission = Admission::new(&low);
    let held = admission.acquire(&low, 0, far()).await.unwrap();
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (admission, low) = (admission.clone(), low.clone());
            tokio::spawn(async move { admission.acquire(&low, 0, far()).await.unwrap() })
        })
        .collect();
    settle().await;
    assert_eq!((admission.in_flight(), admission.queued()), (1, 2));
    let high = low.with(KnobId::ConcurrencyLimit, &Scope::global(), Value::Integer(3));
    admission.apply(&high);
    let mut permits = vec![held];
    for task in tasks {
        permits.push(task.await.unwrap());
    }
    assert_eq!((admission.in_flight(), admission.queued()), (3, 0));
    // Older settings that arrive late change nothing.
    admission.apply(&low);
    assert!(admission.try_acquire().is_none());
    let lowered = high.with(KnobId::ConcurrencyLimit, &Scope::global(), Value::Integer(1));
    admission.apply(&lowered);
    permits.truncate(1);
    assert!(admission.try_acquire().is_none());
    permits.clear();
    assert!(admission.try_acquire().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_gives_its_place_to_the_next() {
    let settings = Arc::new(settings(1, 8));
    let admission = Admission::new(&settings);
    let held = admission.acquire(&settings, 0, far()).await.unwrap();
    let waiting = |admission: Arc<Admission>, settings: Arc<Settings>| {
        tokio::spawn(async move { admission.acquire(&settings, 0, far()).await })
    };
    let gone = waiting(admission.clone(), settings.clone());
    settle().await;
    let next = waiting(admission.clone(), settings.clone());
    settle().await;
    gone.abort();
    settle().await;
    assert_eq!(admission.queued(), 1);
    drop(held);
    assert!(next.await.unwrap().is_ok());
    assert_eq!((admission.in_flight(), admission.queued()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_takes_is_given_back() {
    let settings = settings(1, 8);
    let admission = Admission::new(&settings);
    let held = admission.acquire(&settings, 0, far()).await.unwrap();
    {
        let mut waiting = Box::pin(admission.acquire(&settings, 0, far()));
        assert!(poll_once(&mut waiting).await.is_pending());
        drop(held);
        assert_eq!((admission.in_flight(), admission.queued()), (1, 0));
    }
    assert_eq!((admission.in_flight(), admission.queued()), (0, 0));
}

#[test]
fn under_contention_the_limit_holds_and_no_place_is_lost() {
    const THREADS: usize = 4;
    let settings = Arc::new(settings(3, 1_000));
    let admission = Admission::new(&settings);
    let most = Arc::new(AtomicUsize::new(0));
    let under_way = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (admission, settings) = (admission.clone(), settings.clone());
            let (most, under_way) = (most.clone(), under_way.clone());
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    let rounds = (0..8).map(|task| {
                        let (admission, settings) = (admission.clone(), settings.clone());
                        let (most, under_way) = (most.clone(), under_way.clone());
                        async move {
                            for round in 0..200 {
                                let acquiring = admission.acquire(&settings, (thread + task) as i32, far());
                                // Every few rounds the wait is given up half-way.
                                if round % 7 == task {
                                    let mut acquiring = Box::pin(acquiring);
                                    let _ = poll_once(&mut acquiring).await;
                                    continue;
                                }
                                let permit = acquiring.await.unwrap();
                                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                                tokio::task::yield_now().await;
                                under_way.fetch_sub(1, Ordering::SeqCst);
                                drop(permit);
                            }
                        }
                    });
                    futures_util::future::join_all(rounds).await;
                });
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_eq!((admission.in_flight(), admission.queued()), (0, 0));
}
