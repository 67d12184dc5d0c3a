//! Limits of calls: rates, classes, calls at once, fairness between people.

use std::time::Duration;

use super::*;
use crate::ambient::Clock;

fn user(n: u8) -> UserId {
    UserId::mint([n; 16])
}

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

fn limits(calls: CallLimits) -> (Arc<Limits>, crate::ambient::Hand) {
    let (clock, hand) = Clock::moved_by_hand(Timestamp::from_secs(6_000));
    (Limits::of_calls(calls, &clock), hand)
}

async fn look(limits: &Limits, n: u8) -> Result<Admission, CallRefused> {
    limits.call(&user(n), &client("c_one"), ToolClass::Look).await
}

#[tokio::test]
async fn people_do_not_share_and_the_next_minute_is_a_new_one() {
    let (limits, hand) = limits(CallLimits { per_minute: 60, ..CallLimits::default() });
    for left in (0..60).rev() {
        let budget = look(&limits, 1).await.unwrap().budget;
        assert_eq!(budget.user.unwrap().left, left);
        assert_eq!((budget.tool, budget.client), (None, None));
    }
    hand.advance(Duration::from_secs(48));
    let refused = look(&limits, 1).await.unwrap_err();
    let CallRefused::Rate { limit, first: true } = refused else { panic!("{refused:?}") };
    assert_eq!((limit.name, limit.standing.left, limit.standing.resets_in), ("user", 0, 12));
    assert!(matches!(look(&limits, 1).await, Err(CallRefused::Rate { first: false, .. })));
    assert!(look(&limits, 2).await.is_ok());
    assert_eq!(limits.look(&user(2)).user.unwrap().left, 59);
    assert_eq!(limits.look(&user(3)).user.unwrap().left, 60);
    hand.advance(Duration::from_secs(12));
    assert!(look(&limits, 1).await.is_ok());
}

#[tokio::test]
async fn classes_and_clients_have_limits_of_their_own_and_a_refused_call_counts_nowhere() {
    let (limits, _) = limits(CallLimits {
        per_minute: 10,
        writes_per_minute: 2,
        player_calls_per_minute: 3,
        per_client: 5,
        ..CallLimits::default()
    });
    let call = async |n, name: &str, class| limits.call(&user(n), &client(name), class).await;
    let refused = |call: Result<Admission, CallRefused>| match call.unwrap_err() {
        CallRefused::Rate { limit, .. } => limit.name,
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        assert!(call(1, "c_one", ToolClass::Change).await.unwrap().budget.tool.is_some());
    }
    for _ in 0..5 {
        assert_eq!(refused(call(1, "c_one", ToolClass::Change).await), "writes");
    }
    for _ in 0..3 {
        assert!(call(1, "c_one", ToolClass::Control).await.is_ok());
    }
    assert_eq!(refused(call(1, "c_one", ToolClass::Look).await), "client");
    assert_eq!(refused(call(2, "c_one", ToolClass::Look).await), "client");
    for _ in 0..5 {
        assert!(call(1, "c_two", ToolClass::Look).await.is_ok());
    }
    assert_eq!(refused(call(1, "c_three", ToolClass::Look).await), "user");
    // Neither its class nor its person paid for what was refused.
    assert_eq!(limits.look(&user(2)).user.unwrap().left, 10);
}

#[tokio::test]
async fn a_call_that_ends_makes_room() {
    let (limits, _) = limits(CallLimits { concurrent: 2, ..CallLimits::default() });
    let first = look(&limits, 1).await.unwrap();
    let _second = look(&limits, 1).await.unwrap();
    assert_eq!(look(&limits, 1).await.unwrap_err(), CallRefused::Concurrency { first: true });
    assert_eq!(look(&limits, 1).await.unwrap_err(), CallRefused::Concurrency { first: false });
    assert!(look(&limits, 2).await.is_ok());
    drop(first);
    assert!(look(&limits, 1).await.is_ok());
}

#[tokio::test]
async fn a_full_process_still_has_room_for_who_runs_nothing() {
    let (limits, _) = limits(CallLimits { concurrent: 32, concurrent_in_all: 64, ..CallLimits::default() });
    let mut running = Vec::new();
    for n in 0..4 {
        while let Ok(admission) = look(&limits, n).await {
            running.push(admission);
        }
    }
    assert!((32..64).contains(&running.len()), "{}", running.len());
    // Four greedy people leave room for many who want one each.
    let mut newcomers = 0;
    for n in 10..=255 {
        match look(&limits, n).await {
            Ok(admission) => running.push(admission),
            Err(refused) => {
                assert_eq!(refused, CallRefused::Overload { first: true });
                break;
            }
        }
        newcomers += 1;
    }
    assert!(newcomers >= 16, "{newcomers}");
    assert_eq!(running.len(), 64);
    running.clear();
    assert!(look(&limits, 1).await.is_ok());
    assert_eq!(limits.calls.running.0.load(Ordering::SeqCst), 0);
}
