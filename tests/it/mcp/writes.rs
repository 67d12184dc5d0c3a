//! Adding to playlists: order, batches, resume points, and writes whose confirmation is lost.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::rig::Rig;
use crate::fake::{Answer, Seen};

const LIST: &str = "37i9dQZF1DXcBWIGoYBM5M";

/// What happens to a write.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Done,
    Refused,
    /// Done, and the confirmation is lost.
    DoneSilently,
    /// Lost before it was done.
    Lost,
}

/// A Spotify with one playlist, where the how-many-eth write meets its fate.
#[derive(Default)]
struct State {
    rows: Vec<String>,
    sizes: Vec<usize>,
    made: Vec<String>,
}

type Shared = Arc<Mutex<State>>;

fn uri(n: usize) -> String {
    format!("spotify:track:{n:022}")
}

async fn rig(rows: usize, fate: impl Fn(usize) -> Fate + Send + Sync + 'static) -> (Rig, Shared) {
    let state = Arc::new(Mutex::new(State { rows: (0..rows).map(uri).collect(), ..State::default() }));
    let shared = state.clone();
    let rig = Rig::new(move |_, seen| {
        let mut state = shared.lock().unwrap();
        match (seen.method.as_str(), seen.target.split('?').next().unwrap()) {
            ("GET", "/v1/me/playlists") => state.lists(),
            ("GET", path) if !path.contains("/items") => state.head(),
            ("GET", _) => state.page(seen),
            ("POST", "/v1/me/playlists") => {
                let fate = fate(state.made.len());
                state.make(fate)
            }
            ("POST", _) => {
                let fate = fate(state.sizes.len());
                state.write(seen, fate)
            }
            _ => panic!("{} {}", seen.method, seen.target),
        }
    })
    .await;
    (rig, state)
}

impl State {
    fn head(&self) -> Answer {
        Answer::json(
            200,
            &json!({"id": LIST, "name": "List", "items": {"total": self.rows.len()}}).to_string(),
        )
    }

    fn page(&self, seen: &Seen) -> Answer {
        let number = |name: &str| {
            let (_, rest) = seen.target.split_once(&format!("{name}=")).unwrap();
            rest.split('&').next().unwrap().parse::<usize>().unwrap()
        };
        let (limit, offset) = (number("limit"), number("offset"));
        let rows: Vec<_> = self
            .rows
            .iter()
            .skip(offset)
            .take(limit)
            .map(|uri| json!({"item": {"uri": uri, "name": "n"}}))
            .collect();
        let page = json!({"items": rows, "total": self.rows.len(), "limit": limit, "offset": offset});
        Answer::json(200, &page.to_string())
    }

    fn write(&mut self, seen: &Seen, fate: Fate) -> Answer {
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        let uris: Vec<_> =
            body["uris"].as_array().unwrap().iter().map(|uri| uri.as_str().unwrap().to_owned()).collect();
        self.sizes.push(uris.len());
        if matches!(fate, Fate::Done | Fate::DoneSilently) {
            let at = body["position"].as_u64().map_or(self.rows.len(), |at| usize::try_from(at).unwrap());
            self.rows.splice(at..at, uris);
        }
        self.answer(fate, &json!({"snapshot_id": format!("s{}", self.sizes.len())}))
    }

    fn make(&mut self, fate: Fate) -> Answer {
        if matches!(fate, Fate::Done | Fate::DoneSilently) {
            self.made.push(LIST.to_owned());
        }
        self.answer(fate, &json!({"id": LIST, "name": "New", "items": {"total": 0}}))
    }

    fn lists(&self) -> Answer {
        let lists: Vec<_> =
            self.made.iter().map(|id| json!({"id": id, "name": "New", "items": {"total": 0}})).collect();
        Answer::json(200, &json!({"items": lists, "total": lists.len()}).to_string())
    }

    fn answer(&self, fate: Fate, body: &Value) -> Answer {
        match fate {
            Fate::Done => Answer::json(201, &body.to_string()),
            Fate::Refused => Answer::json(403, r#"{"error":{"status":403,"message":"Forbidden"}}"#),
            Fate::DoneSilently | Fate::Lost => Answer::Cut(Vec::new()),
        }
    }
}

fn arguments(range: std::ops::Range<usize>, more: Value) -> Value {
    let mut arguments = json!({"playlist_id": LIST, "track_uris": range.map(uri).collect::<Vec<_>>()});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

async fn add(rig: &Rig, range: std::ops::Range<usize>, more: Value) -> Value {
    rig.call("add_tracks_to_playlist", arguments(range, more)).await
}

#[tokio::test]
async fn more_than_a_hundred_arrive_in_order_at_the_end_and_in_the_middle() {
    for (more, expected) in [
        (json!({}), (0..1_005).collect::<Vec<_>>()),
        (json!({"position": 2}), (0..2).chain(5..1_005).chain(2..5).collect()),
    ] {
        let (rig, state) = rig(5, |_| Fate::Done).await;
        let output = add(&rig, 5..1_005, more).await["structuredContent"].clone();
        assert_eq!((&output["status"], &output["added"]), (&json!("accepted"), &json!(1_000)));
        assert_eq!(output["snapshot_id"], "s10");
        let state = state.lock().unwrap();
        assert_eq!(state.sizes, [100; 10]);
        assert_eq!(state.rows, expected.into_iter().map(uri).collect::<Vec<_>>());
    }
    let (rig, state) = rig(0, |_| Fate::Done).await;
    let refused = add(&rig, 0..1_001, json!({})).await;
    assert_eq!(refused["structuredContent"]["error"]["code"], "INVALID_ARGUMENT");
    assert!(state.lock().unwrap().sizes.is_empty());
}

#[tokio::test]
async fn a_failure_in_the_middle_gives_the_exact_point_and_going_on_there_completes_it() {
    let (rig, state) = rig(0, |n| if n == 1 { Fate::Refused } else { Fate::Done }).await;
    let first = add(&rig, 0..250, json!({"skip_duplicates": false, "position": 0})).await;
    assert_eq!(first["isError"], false);
    let output = &first["structuredContent"];
    assert_eq!((&output["status"], &output["added"]), (&json!("partial"), &json!(100)));
    assert_eq!(output["resume"], json!({"from_index": 100, "remaining": 150, "position": 100}));
    assert_eq!(output["failure"]["code"], "FORBIDDEN");
    assert_eq!(state.lock().unwrap().sizes, [100, 100]);
    let rest = add(&rig, 100..250, json!({"skip_duplicates": false, "position": 100})).await;
    assert_eq!(rest["structuredContent"]["status"], "accepted");
    assert_eq!(state.lock().unwrap().rows, (0..250).map(uri).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_resume_point_counts_in_the_list_as_given_also_with_duplicates() {
    // The first 30 are there already.
    let (rig, _) = rig(30, |n| if n == 1 { Fate::Refused } else { Fate::Done }).await;
    let output = add(&rig, 0..200, json!({})).await["structuredContent"].clone();
    assert_eq!((&output["skipped_duplicates"], &output["added"]), (&json!(30), &json!(100)));
    assert_eq!(output["resume"], json!({"from_index": 130, "remaining": 70}));
}

#[tokio::test]
async fn a_lost_confirmation_is_settled_by_reading_and_the_rest_follows() {
    for more in [json!({}), json!({"skip_duplicates": false}), json!({"position": 3})] {
        let (rig, state) = rig(7, |n| if n == 1 { Fate::DoneSilently } else { Fate::Done }).await;
        let output = add(&rig, 7..257, more).await["structuredContent"].clone();
        assert_eq!((&output["status"], &output["added"]), (&json!("verified"), &json!(250)), "{output}");
        let state = state.lock().unwrap();
        assert_eq!(state.sizes, [100, 100, 50], "no batch was sent twice");
        assert_eq!(state.rows.len(), 257);
    }
}

#[tokio::test]
async fn what_cannot_be_proven_is_ambiguous_and_never_repeated() {
    let (rig, state) = rig(7, |n| if n == 1 { Fate::Lost } else { Fate::Done }).await;
    let output = add(&rig, 7..257, json!({})).await["structuredContent"].clone();
    assert_eq!((&output["status"], &output["added"]), (&json!("ambiguous"), &json!(100)));
    assert_eq!(output["resume"], json!({"from_index": 100, "remaining": 150}));
    assert_eq!(output["failure"]["code"], "AMBIGUOUS_WRITE");
    assert_eq!(state.lock().unwrap().sizes, [100, 100]);
    assert!(rig.trail().await.contains("AMBIGUOUS_WRITE"));
}

#[tokio::test]
async fn duplicates_are_left_out_and_nothing_to_add_is_verified() {
    let (rig, state) = rig(120, |_| Fate::Done).await;
    let output = add(&rig, 0..120, json!({})).await["structuredContent"].clone();
    assert_eq!((&output["status"], &output["skipped_duplicates"]), (&json!("verified"), &json!(120)));
    assert!(state.lock().unwrap().sizes.is_empty());
    let again = json!({"playlist_id": LIST, "track_uris": [uri(500), uri(500)]});
    let output = rig.call("add_tracks_to_playlist", again).await["structuredContent"].clone();
    assert_eq!((&output["added"], &output["skipped_duplicates"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_refused_first_batch_is_simply_an_error() {
    let (rig, _) = rig(0, |_| Fate::Refused).await;
    let result = add(&rig, 0..3, json!({})).await;
    assert_eq!(
        (&result["isError"], &result["structuredContent"]["error"]["code"]),
        (&json!(true), &json!("FORBIDDEN"))
    );
}

#[tokio::test]
async fn a_playlist_is_made_once_whatever_becomes_of_the_answer() {
    let tracks: Vec<_> = (0..3).map(uri).collect();
    let arguments = json!({"name": "New", "description": "d", "track_uris": tracks});
    for (fate, status, rows) in [(Fate::Done, "accepted", 3), (Fate::DoneSilently, "ambiguous", 0)] {
        let (rig, state) = rig(0, move |_| fate).await;
        let result = rig.call("create_playlist", arguments.clone()).await;
        assert_eq!(result["structuredContent"]["status"], status, "{result}");
        assert_eq!(result["structuredContent"]["playlist"]["id"], LIST);
        let state = state.lock().unwrap();
        assert_eq!((state.made.len(), state.rows.len()), (1, rows));
    }
    let (rig, state) = rig(0, |_| Fate::Lost).await;
    let result = rig.call("create_playlist", arguments).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "AMBIGUOUS_WRITE");
    assert!(state.lock().unwrap().made.is_empty());
    let posts = rig.fake.seen().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!(posts, 1);
}
