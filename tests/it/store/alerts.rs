//! Alerts in the store: the bound on what waits, what is on record of that which nobody was told, and what goes when.

use std::collections::BTreeSet;
use std::time::Duration;

use spotify_mcp::ambient::{Clock, Dice, Timestamp};
use spotify_mcp::domain::AlertId;
use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::policy::AlertRule;
use spotify_mcp::policy::alerts::BUILT_IN;
use spotify_mcp::store::{Counted, Cursor, Recorded, Tried};

use crate::support::database::{TestDatabase, on_both};

const NOW: Timestamp = Timestamp::from_secs(1_795_233_600);
const DAY: Duration = Duration::from_secs(86_400);

fn counted(rule: &AlertRule, about: &str) -> Counted<'static> {
    let rule = BUILT_IN.iter().find(|one| one.name == rule.name).unwrap();
    Counted {
        rule,
        about: about.to_owned(),
        slot: rule.slot(NOW.secs()),
        events: i64::from(rule.threshold),
        code: rule.events[0].name(),
        at: NOW,
        records: "e_1 ".to_owned(),
        id: AlertId::mint(Dice::system().bytes()),
    }
}

/// The event of an alert that is given up on a channel.
fn given_up(one: &Counted<'_>, channel: &str) -> Option<Recorded> {
    let event = Event::new(EventCode::AlertUndelivered).subject(channel).detail("alert", one.id.as_str());
    Some(Recorded::now(event, &Clock::system(), &Dice::system()))
}

/// Judges one that is due on these channels, and gives its id.
async fn raise(
    db: &TestDatabase,
    place: (Option<u64>, u64),
    about: &str,
    channels: &[&'static str],
) -> AlertId {
    let rule = BUILT_IN.iter().find(|rule| rule.name == "blocked_host").unwrap();
    let one = counted(rule, about);
    let at = |position| Cursor { segment: 1, position };
    let place = ("writer", place.0.map(at), at(place.1));
    let raised = db.judge(place, &[one], (channels, &given_up), NOW).await.unwrap().unwrap();
    raised.into_iter().next().unwrap()
}

/// So many deliveries that wait on a channel, to be tried again at this instant.
async fn waiting(db: &TestDatabase, channel: &str, count: u32, next_at: Timestamp) {
    let raw = db.raw().await;
    let numbers =
        format!("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})");
    let (raised, next) = (NOW.secs(), next_at.millis());
    raw.run(&format!(
        "INSERT INTO alerts (id, rule, about, code, events, records, happened_at, raised_at)
        {numbers} SELECT 'al_{channel}' || n, 'r', '', 'c', 1, '', 0, {raised} FROM n"
    ))
    .await;
    raw.run(&format!(
        "INSERT INTO alert_deliveries (alert_id, channel, state, tries, next_at)
        {numbers} SELECT 'al_{channel}' || n, '{channel}', 'due', 1, {next} FROM n"
    ))
    .await;
}

async fn states(db: &TestDatabase, id: &AlertId) -> Vec<(String, String, Option<String>)> {
    let all = db.alert_deliveries(None, 10_000).await.unwrap();
    let of = all.into_iter().filter(|row| row.alert.id == id.as_str());
    of.map(|row| (row.channel, row.state, row.error)).collect()
}

#[tokio::test]
async fn a_thousand_wait_on_a_channel_and_the_next_one_is_on_record_as_told_to_nobody() {
    on_both(async |db| {
        waiting(db, "webhook", 999, NOW.plus(DAY)).await;
        let due = |channel: &str| (channel.to_owned(), "due".to_owned(), None);
        let first = raise(db, (None, 1), "a.example", &["webhook", "email"]).await;
        assert_eq!(states(db, &first).await, [due("email"), due("webhook")]);
        assert!(db.outbox(10).await.unwrap().is_empty());
        let second = raise(db, (Some(1), 2), "b.example", &["webhook", "email"]).await;
        let dead = ("webhook".to_owned(), "dead".to_owned(), Some("queue_full".to_owned()));
        assert_eq!(
            states(db, &second).await,
            [due("email"), dead],
            "one that is full takes nothing from the others"
        );
        let recorded = db.outbox(10).await.unwrap();
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0].event.code(), EventCode::AlertUndelivered);
        assert_eq!(recorded[0].event.subject_text(), Some("webhook"));
        // It is told like any other once somebody says so.
        let event = |count: u64| {
            let event = Event::new(EventCode::AlertsResent).detail("deliveries", count.to_string());
            Recorded::now(event, &Clock::system(), &Dice::system())
        };
        assert_eq!(db.resend_alerts(Some(&second), NOW, event).await.unwrap(), 1);
        assert_eq!(db.resend_alerts(Some(&second), NOW, event).await.unwrap(), 0);
        assert_eq!(
            states(db, &second).await,
            [due("email"), ("webhook".into(), "due".into(), Some("queue_full".into()))]
        );
        assert_eq!(db.outbox(10).await.unwrap().len(), 2, "nothing resent is nothing on record");
    })
    .await;
}

#[tokio::test]
async fn giving_up_is_recorded_once_with_the_change_and_not_by_who_lost_it() {
    on_both(async |db| {
        raise(db, (None, 1), "a.example", &["webhook"]).await;
        let one = db.alerts_due("webhook", NOW, 10).await.unwrap().remove(0);
        let until = NOW.plus(Duration::from_secs(60));
        assert!(db.take_delivery(&one, until).await.unwrap());
        let events = || {
            vec![Recorded::now(Event::new(EventCode::AlertUndelivered), &Clock::system(), &Dice::system())]
        };
        // Somebody else has it by now: what this one found out counts for nothing.
        let lost = until.plus(Duration::from_secs(1));
        db.delivery_tried(&one, lost, (Tried::Dead("timeout"), NOW), &events()).await.unwrap();
        assert!(db.outbox(10).await.unwrap().is_empty());
        db.delivery_tried(&one, until, (Tried::Dead("timeout"), NOW), &events()).await.unwrap();
        db.delivery_tried(&one, until, (Tried::Dead("timeout"), NOW), &events()).await.unwrap();
        assert_eq!(db.outbox(10).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn alerts_go_after_thirty_days_but_not_while_somebody_tries_to_tell_them() {
    on_both(async |db| {
        let raw = db.raw().await;
        let old = NOW.minus(30 * DAY);
        for (id, raised, state, next_at) in [
            ("old_sent", old, "sent", old),
            ("old_dead", old, "dead", old),
            ("old_tried", old, "due", NOW.plus(DAY)),
            ("old_tried_lately", old, "due", NOW.minus(DAY)),
            ("old_of_a_channel_that_is_no_more", old, "due", old),
            ("young_sent", old.plus(Duration::from_secs(1)), "sent", old),
        ] {
            let (raised, next_at) = (raised.secs(), next_at.millis());
            raw.run(&format!("INSERT INTO alerts VALUES ('{id}', 'r', '', 'c', 1, '', 0, {raised})")).await;
            let delivery = format!("('{id}', 'webhook', '{state}', 1, {next_at}, NULL, NULL)");
            raw.run(&format!("INSERT INTO alert_deliveries VALUES {delivery}")).await;
        }
        let now = NOW.secs();
        for at in [now, now + 1] {
            raw.run(&format!("INSERT INTO alert_counts VALUES ('r', '', {at}, 1, {at})")).await;
            raw.run(&format!("INSERT INTO alert_silences VALUES ('r', '{at}', {at})")).await;
        }
        db.purge_alerts(NOW, old).await.unwrap();
        let left: BTreeSet<_> = raw.texts("SELECT id FROM alerts").await.into_iter().collect();
        assert_eq!(left, ["old_tried", "old_tried_lately", "young_sent"].map(str::to_owned).into());
        assert_eq!(raw.number("SELECT COUNT(*) FROM alert_deliveries").await, 3);
        assert_eq!(raw.number("SELECT COUNT(*) FROM alert_counts").await, 1);
        assert_eq!(raw.number("SELECT COUNT(*) FROM alert_silences").await, 1);
    })
    .await;
}
