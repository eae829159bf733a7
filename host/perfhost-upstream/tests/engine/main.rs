//! A managed engine through its public surface, with a stand-in for `llama-server`: start, crash, replacement, stop.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod setup;

use std::time::Duration;

use perfhost_upstream::Health;
use perfhost_upstream::engine::{EngineChange, EnginePhase, log_path};
use rustix::process::Signal;

use setup::{Setup, is_alive, on_one_thread};

#[test]
fn a_started_engine_serves_and_a_stopped_one_leaves_nothing() {
    on_one_thread(async {
        let setup = Setup::new(&["--fake-load-seconds", "0.2"]);
        let engine = setup.start(2);
        let provider = setup.fleet.provider("local").unwrap();
        assert_eq!((provider.health(), engine.state().phase), (Health::Down, EnginePhase::Starting));
        assert_eq!(*provider.models(), ["tiny".to_owned()]);

        let state = setup.until(&engine, |state| state.metrics.is_some()).await;
        assert_eq!((state.phase, state.settings.slots, state.restarts), (EnginePhase::Ready, 2, 0));
        assert_eq!((provider.health(), provider.endpoint().port), (Health::Up, state.port.unwrap()));
        assert_eq!(provider.queued(), 3, "what waits inside the engine is known");
        assert_eq!(setup.ask(0.0).await, Ok(2));
        let written = std::fs::read_to_string(log_path(&setup.data().join("logs"), "local")).unwrap();
        assert!(written.contains("listening with 2 slots"), "{written}");
        let json = serde_json::to_value(engine.state()).unwrap();
        assert_eq!((&json["phase"], &json["settings"]["slots"]), (&"ready".into(), &2.into()));

        let pids = engine.pids();
        assert_eq!(pids.len(), 1);
        engine.stop().await;
        assert!(!is_alive(pids[0]));
        assert_eq!(engine.state().phase, EnginePhase::Stopped);
        assert!(setup.fleet.provider("local").is_none());
        assert_eq!(std::fs::read_dir(setup.data().join("engines/run")).unwrap().count(), 0);
    });
}

#[test]
fn an_engine_that_ignores_the_request_to_end_is_killed() {
    on_one_thread(async {
        let setup = Setup::new(&["--fake-ignore-term"]);
        let engine = setup.start(1);
        setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        let pids = engine.pids();
        engine.stop().await;
        assert!(!is_alive(pids[0]));
    });
}

#[test]
fn a_dropped_engine_takes_its_process_along() {
    on_one_thread(async {
        let setup = Setup::new(&[]);
        let engine = setup.start(1);
        setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        let pid = engine.pids()[0];
        drop(engine);
        setup.until_gone(pid).await;
    });
}

#[test]
fn a_killed_engine_is_noticed_at_once_and_comes_back_by_itself() {
    on_one_thread(async {
        let setup = Setup::new(&[]);
        let engine = setup.start(1);
        let first = setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        setup.signal(first.pid.unwrap(), Signal::KILL);
        let between = setup.until(&engine, |state| state.phase == EnginePhase::Restarting).await;
        assert_eq!((between.pid, between.restarts), (None, 1));
        assert!(between.last_error.unwrap().contains("signal: 9"));
        assert_eq!(setup.fleet.provider("local").unwrap().health(), Health::Down);

        let second = setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        assert_ne!(first.pid, second.pid);
        assert_eq!(setup.fleet.provider("local").unwrap().health(), Health::Up);
        assert_eq!(setup.ask(0.0).await, Ok(1));
        engine.stop().await;
    });
}

#[test]
fn an_engine_that_cannot_start_says_why_and_is_tried_again() {
    on_one_thread(async {
        let setup = Setup::new(&["--fake-refuse-slots", "4"]);
        let engine = setup.start(4);
        let state = setup.until(&engine, |state| state.phase == EnginePhase::Failed).await;
        assert!(state.restarts >= 3);
        let error = state.last_error.unwrap();
        assert!(error.contains("exit status: 7") && error.contains("4 slots do not fit"), "{error}");

        engine.apply(setup.settings(1));
        let state = setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        assert_eq!(state.settings.slots, 1);
        assert!(matches!(setup.changes().as_slice(), [EngineChange::Applied { settings }] if settings.slots == 1));
        engine.stop().await;
    });
}

#[test]
fn an_engine_that_does_not_live_with_its_first_settings_goes_back_to_the_fallback() {
    on_one_thread(async {
        let mut setup = Setup::new(&["--fake-refuse-slots", "4"]);
        setup.config.fallback = Some(setup.settings(1));
        let engine = setup.start(4);
        let state = setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        assert_eq!(state.settings.slots, 1);
        let changes = setup.changes();
        let [EngineChange::Failed { settings, why }] = changes.as_slice() else { panic!("{changes:?}") };
        assert!(settings.slots == 4 && why.contains("4 slots do not fit"), "{why}");
        engine.stop().await;
    });
}

#[test]
fn an_engine_that_never_gets_ready_is_given_up() {
    on_one_thread(async {
        let mut setup = Setup::new(&["--fake-never-ready"]);
        setup.config.start_timeout = Some(Duration::from_millis(300));
        let engine = setup.start(1);
        let state = setup.until(&engine, |state| state.restarts > 0).await;
        assert!(state.last_error.unwrap().contains("not ready after"));
        engine.stop().await;
    });
}

#[test]
fn a_replacement_fails_no_request() {
    on_one_thread(async {
        let setup = Setup::new(&["--fake-load-seconds", "0.3"]);
        let engine = setup.start(1);
        let old = setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;

        let long = setup.ask_beside(1.0);
        let (stop_asking, asking) = setup.keep_asking();
        engine.apply(setup.settings(4));
        let new = setup.until(&engine, |state| state.replacements == 1).await;
        assert_eq!((new.phase, new.settings.slots), (EnginePhase::Ready, 4));
        assert_eq!(new.draining_pids, [old.pid.unwrap()], "the long request is still with the old process");
        assert_eq!(setup.ask(0.0).await, Ok(4), "new requests go to the new one");
        assert_eq!(long.await.unwrap(), Ok(1));
        setup.until(&engine, |state| state.draining_pids.is_empty()).await;
        assert!(!is_alive(old.pid.unwrap()));

        stop_asking.send(true).unwrap();
        let answers = asking.await.unwrap();
        let failed: Vec<_> = answers.iter().filter(|answer| answer.is_err()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert!(answers.contains(&Ok(1)));
        assert!(matches!(setup.changes().as_slice(), [EngineChange::Applied { settings }] if settings.slots == 4));
        engine.stop().await;
    });
}

#[test]
fn a_replacement_that_does_not_start_leaves_the_old_one_serving() {
    on_one_thread(async {
        let setup = Setup::new(&["--fake-refuse-slots", "4"]);
        let engine = setup.start(1);
        let old = setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        engine.apply(setup.settings(4));
        let state = setup.until(&engine, |state| state.last_error.is_some()).await;
        assert_eq!((state.pid, state.settings.slots, state.restarts), (old.pid, 1, 0));
        assert_eq!(setup.ask(0.0).await, Ok(1));
        match setup.changes().as_slice() {
            [EngineChange::Failed { settings, why }] => {
                assert_eq!(settings.slots, 4);
                assert!(why.contains("4 slots do not fit"), "{why}");
            }
            other => panic!("{other:?}"),
        }
        engine.stop().await;
    });
}

#[test]
fn a_replacement_that_memory_has_no_room_for_is_refused() {
    on_one_thread(async {
        let mut setup = Setup::new(&[]);
        setup.config.available_memory = || Some(1_000_000);
        let engine = setup.start(1);
        let old = setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        engine.apply(setup.settings(4));
        let state = setup.until(&engine, |state| state.last_error.is_some()).await;
        assert_eq!(state.pid, old.pid);
        assert!(matches!(setup.changes().as_slice(), [EngineChange::Failed { why, .. }] if why.contains("memory")));
        engine.stop().await;
    });
}

#[test]
fn of_several_changes_during_a_replacement_the_last_counts() {
    on_one_thread(async {
        let setup = Setup::new(&["--fake-load-seconds", "0.3"]);
        let engine = setup.start(1);
        setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        engine.apply(setup.settings(2));
        setup.until(&engine, |state| state.phase == EnginePhase::Replacing).await;
        for slots in [3, 4, 5] {
            engine.apply(setup.settings(slots));
        }
        setup.until(&engine, |state| state.settings.slots == 5).await;
        let changes = setup.until_changes(4).await;
        let told: Vec<_> = changes
            .iter()
            .map(|change| match change {
                EngineChange::Applied { settings } => ("applied", settings.slots),
                EngineChange::Failed { settings, .. } => ("failed", settings.slots),
                EngineChange::Superseded { settings } => ("superseded", settings.slots),
            })
            .collect();
        assert_eq!(told, [("superseded", 3), ("superseded", 4), ("applied", 2), ("applied", 5)]);
        assert_eq!(engine.state().replacements, 2);
        engine.stop().await;
    });
}

#[test]
fn an_engine_that_dies_while_its_replacement_loads_is_taken_over_from() {
    on_one_thread(async {
        let setup = Setup::new(&["--fake-load-seconds", "0.5"]);
        let engine = setup.start(1);
        let old = setup.until(&engine, |state| state.phase == EnginePhase::Ready).await;
        engine.apply(setup.settings(2));
        setup.until(&engine, |state| state.starting_pid.is_some()).await;
        setup.signal(old.pid.unwrap(), Signal::KILL);
        let state = setup.until(&engine, |state| state.replacements == 1).await;
        assert_eq!((state.settings.slots, state.restarts), (2, 0));
        assert_eq!(setup.ask(0.0).await, Ok(2));
        engine.stop().await;
    });
}
