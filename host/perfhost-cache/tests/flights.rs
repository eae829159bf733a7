//! Single flight through its public surface: nobody waits for ever, nobody misses a byte, nothing is made for nobody.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use bytes::Bytes;
use perfhost_cache::flight::MAX_FLIGHT_BYTES;
use perfhost_cache::{Aborted, Flights, Follower, Form, Head, Join, Key, Leader};
use tokio::task::yield_now;

fn key(number: u8) -> Key {
    Key::from_bytes([number; 32])
}

fn head() -> Head {
    Head { form: Form::Stream, content_type: Bytes::from_static(b"text/event-stream"), provider: "local".into() }
}

fn lead(flights: &Arc<Flights>, key: Key) -> Leader {
    match flights.join(key) {
        Join::Leader(leader) => leader,
        Join::Follower(_) => panic!("should lead"),
    }
}

fn follow(flights: &Arc<Flights>, key: Key) -> Follower {
    match flights.join(key) {
        Join::Leader(_) => panic!("should follow"),
        Join::Follower(follower) => follower,
    }
}

fn is_pending(future: impl Future) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

async fn rest(follower: &mut Follower) -> Result<Vec<u8>, Aborted> {
    let mut all = Vec::new();
    while let Some(chunk) = follower.next().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

#[tokio::test]
async fn followers_get_everything_from_the_beginning_however_late_they_come() {
    let flights = Flights::new();
    let leader = lead(&flights, key(1));
    let mut early = follow(&flights, key(1));
    assert!(is_pending(early.head()));
    leader.start(head());
    assert_eq!(early.head().await, Ok(head()));
    assert!(is_pending(early.next()));
    leader.push(Bytes::from_static(b"one "));
    assert_eq!(early.next().await, Ok(Some(Bytes::from_static(b"one "))));
    leader.push(Bytes::new());
    leader.push(Bytes::from_static(b"two"));
    let mut late = follow(&flights, key(1));
    assert_eq!(late.head().await, Ok(head()));
    assert_eq!(leader.collected().unwrap().concat(), b"one two");
    leader.finish();
    assert_eq!(rest(&mut early).await.unwrap(), b"two");
    assert_eq!(rest(&mut late).await.unwrap(), b"one two");
    assert_eq!(late.next().await, Ok(None), "the end stays the end");
    assert_eq!(flights.count(), 0);
    drop(lead(&flights, key(1)));
}

#[tokio::test]
async fn different_keys_do_not_meet() {
    let flights = Flights::new();
    let _one = lead(&flights, key(1));
    let _two = lead(&flights, key(2));
    assert_eq!(flights.count(), 2);
}

#[tokio::test]
async fn a_leader_that_ends_early_aborts_and_one_of_its_followers_leads_next() {
    let flights = Flights::new();
    let leader = lead(&flights, key(1));
    let mut waits_for_head = follow(&flights, key(1));
    let mut waits_for_bytes = follow(&flights, key(1));
    assert!(is_pending(waits_for_head.head()));
    drop(leader);
    assert_eq!(waits_for_head.head().await, Err(Aborted::LeaderGone));
    assert_eq!(waits_for_bytes.next().await, Err(Aborted::LeaderGone));
    let next = lead(&flights, key(1));
    let mut follower = follow(&flights, key(1));
    next.start(head());
    next.push(Bytes::from_static(b"half"));
    drop(next);
    assert_eq!(follower.head().await, Ok(head()));
    assert_eq!(follower.next().await.unwrap().unwrap(), "half");
    assert_eq!(follower.next().await, Err(Aborted::LeaderGone), "never a silent end");
}

#[tokio::test]
async fn an_answer_is_unwanted_once_its_client_and_all_followers_are_gone() {
    let flights = Flights::new();
    let leader = lead(&flights, key(1));
    let one = follow(&flights, key(1));
    let two = follow(&flights, key(1));
    drop(one);
    assert!(is_pending(leader.unwanted()));
    leader.client_left();
    assert!(leader.is_wanted() && is_pending(leader.unwanted()));
    let waits = async { leader.unwanted().await };
    let leaves = async {
        yield_now().await;
        drop(two);
    };
    tokio::join!(waits, leaves);
    assert!(!leader.is_wanted());
}

#[tokio::test]
async fn an_answer_without_followers_is_unwanted_when_its_client_leaves() {
    let flights = Flights::new();
    let leader = lead(&flights, key(1));
    let leaves = async {
        yield_now().await;
        leader.client_left();
    };
    tokio::join!(leader.unwanted(), leaves);
    let back = follow(&flights, key(1));
    assert!(leader.is_wanted(), "a follower that comes in time keeps it going");
    drop(back);
}

fn large(number: usize) -> Bytes {
    Bytes::from(vec![number as u8; 1 << 20])
}

#[tokio::test]
async fn an_answer_over_the_buffer_goes_on_for_those_who_keep_up() {
    let flights = Flights::new();
    let leader = lead(&flights, key(1));
    let mut quick = follow(&flights, key(1));
    let mut slow = follow(&flights, key(1));
    leader.start(head());
    let chunks = 3 * MAX_FLIGHT_BYTES / (1 << 20);
    for number in 0..chunks {
        leader.push(large(number));
        assert_eq!(quick.next().await.unwrap().unwrap(), large(number));
    }
    assert!(leader.collected().is_none());
    assert_eq!(slow.next().await, Err(Aborted::Lagged));
    let other = lead(&flights, key(1));
    leader.finish();
    assert_eq!(quick.next().await, Ok(None));
    drop(follow(&flights, key(1)));
    drop(other);
}

#[tokio::test]
async fn a_follower_within_the_buffer_of_an_answer_over_it_still_gets_all() {
    let flights = Flights::new();
    let leader = lead(&flights, key(1));
    let mut behind = follow(&flights, key(1));
    let mut read = 0;
    for number in 0..40 {
        leader.push(large(number));
        if number >= 7 {
            assert_eq!(behind.next().await.unwrap().unwrap(), large(read));
            read += 1;
        }
    }
    leader.finish();
    assert_eq!(rest(&mut behind).await.unwrap().len(), (40 - read) << 20);
}

#[tokio::test]
async fn small_chunks_do_not_hold_on_to_the_buffer_they_were_cut_from() {
    let flights = Flights::new();
    let leader = lead(&flights, key(1));
    let read_buffer = Bytes::from(vec![1; 8_192]);
    leader.push(read_buffer.slice(..200));
    leader.push(read_buffer.slice(200..400));
    assert!(read_buffer.is_unique());
    assert_eq!(leader.collected().unwrap().concat(), vec![1; 400]);
}

/// What a leader writes, so that every follower can check every byte.
fn chunk(key: u8, number: u8) -> Bytes {
    Bytes::from(vec![key ^ number; 1 + usize::from(number)])
}

#[derive(Default)]
struct Tally {
    led: AtomicUsize,
    answered: AtomicUsize,
    left: AtomicUsize,
}

/// One request as the gateway would serve it: leads, or follows and joins again when the leader is gone.
async fn request(flights: Arc<Flights>, number: u8, tally: Arc<Tally>, mut random: fastrand::Rng) {
    const CHUNKS: u8 = 20;
    loop {
        match flights.join(key(number)) {
            Join::Leader(leader) => {
                let breaks_at = if random.u8(..4) == 0 { random.u8(..CHUNKS) } else { CHUNKS };
                leader.start(head());
                for at in 0..breaks_at {
                    if random.bool() {
                        yield_now().await;
                    }
                    leader.push(chunk(number, at));
                }
                if breaks_at == CHUNKS {
                    tally.led.fetch_add(1, Ordering::Relaxed);
                    leader.finish();
                    break;
                }
            }
            Join::Follower(mut follower) => {
                if random.u8(..10) == 0 {
                    tally.left.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                let mut at = 0;
                let result = loop {
                    match follower.next().await {
                        Ok(Some(bytes)) => {
                            assert_eq!(bytes, chunk(number, at));
                            at += 1;
                        }
                        Ok(None) => break Ok(at),
                        Err(error) => break Err(error),
                    }
                    if random.u8(..8) == 0 {
                        yield_now().await;
                    }
                };
                if let Ok(at) = result {
                    assert_eq!(at, CHUNKS);
                    tally.answered.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    }
}

#[test]
fn many_requests_on_many_threads_all_end_with_the_whole_answer() {
    let flights = Flights::new();
    let tally = Arc::new(Tally::default());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (flights, tally) = (flights.clone(), tally.clone());
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    let tasks: Vec<_> = (0..1_000)
                        .map(|at| {
                            let random = fastrand::Rng::with_seed(thread * 1_000 + at);
                            tokio::spawn(request(flights.clone(), (at % 3) as u8, tally.clone(), random))
                        })
                        .collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            });
        }
    });
    assert_eq!(flights.count(), 0);
    let ended = [&tally.led, &tally.answered, &tally.left].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(ended.iter().sum::<usize>(), 8_000, "{ended:?}");
}

#[test]
fn leaders_on_many_threads_hear_when_they_become_unwanted() {
    let flights = Flights::new();
    std::thread::scope(|scope| {
        for round in 0..200_u8 {
            let leader = lead(&flights, key(round));
            let followers: Vec<_> = (0..4).map(|_| follow(&flights, key(round))).collect();
            let waits = scope.spawn(move || {
                tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
                    tokio::join!(leader.unwanted(), async { leader.client_left() });
                });
            });
            for follower in followers {
                scope.spawn(move || drop(follower));
            }
            waits.join().unwrap();
        }
    });
}
