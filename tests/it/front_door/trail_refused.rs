//! A trail whose folder is put away, becomes read-only or takes no further file while the server runs; and a database that
//! cannot say whom a call is of. What must be on record fails and says so, the rest waits, and all is well again by itself.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use spotify_mcp::ambient::Clock;
use tokio::time::{Instant, sleep};

use super::api_keys::command;
use crate::support::database::at_both;
use crate::support::server::{Setup, TestServer};
use crate::support::trail::{lived_before, records, segments};

fn folder(server: &TestServer) -> PathBuf {
    server.data_dir().join("audit")
}

fn setup() -> Setup {
    Setup::default().env("SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE", "0")
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn count(dir: &Path, code: &str) -> usize {
    records(dir).iter().filter(|record| record["metadata"]["event_code"] == code).count()
}

const REFUSED: &str = "nothing can be done at the moment: try again";

/// What the disk does, and how it is mended.
struct Trouble<'a> {
    begins: &'a dyn Fn(),
    ends: &'a dyn Fn(),
}

/// Has a server meet trouble under load, and looks at what callers, operators and the trail are told. Somebody is
/// listening already.
async fn meets(server: &TestServer, trouble: Trouble<'_>) {
    let dir = folder(server);
    let before = count(&dir, "tool_called");
    let ada = server.listener("ada").await;
    ada.call("get_current_track", json!({})).await.content();
    (trouble.begins)();
    let mut answered = 1;
    // One that is on its way just then is refused within the protocol.
    while !ada.call("get_current_track", json!({})).await.text.contains(REFUSED) {
        answered += 1;
        assert!(answered < 2000, "nobody notices");
        sleep(Duration::from_millis(5)).await;
    }
    let refused = ada.call("get_current_track", json!({})).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
    assert!(refused.text.contains(REFUSED), "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    // By a thread of its own.
    until("the log says so", async || server.logged().contains("the audit trail cannot be written")).await;
    // Whoever logs in now is told that it will pass, and is not let in.
    let browser = server.browser();
    let page = browser.open("/auth/login").await;
    let page = browser.agree_as(&page, "ben").await;
    assert_eq!((page.status, page.code()), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"), "{}", page.text);
    assert_eq!(super::status(&browser).await["authenticated"], json!(false));
    // What is saved together with its event is done, and the event waits.
    let newcomer = server.client().await;

    (trouble.ends)();
    // Nobody has to come for it.
    until("it does not go on", async || server.ready().await == Some(StatusCode::OK)).await;
    ada.call("get_current_track", json!({})).await.content();
    until("calls are missing", async || count(&dir, "tool_called") > before + answered).await;
    until("the registration is missing", async || {
        records(&dir).iter().any(|record| record.to_string().contains(&newcomer.id))
    })
    .await;
    until("the end is not on record", async || count(&dir, "audit_write_recovered") == 1).await;
    assert_eq!((count(&dir, "tool_called"), count(&dir, "audit_write_failed")), (before + answered + 1, 1));
    let all = records(&dir);
    let of = |code: &str| all.iter().find(|record| record["metadata"]["event_code"] == code).unwrap();
    let why = &of("audit_write_failed")["status_detail"];
    assert!(why.as_str().is_some_and(|why| !why.is_empty()), "{why}");
    let refused: u32 =
        of("audit_write_recovered")["unmapped"]["details"]["refused"].as_str().unwrap().parse().unwrap();
    assert!(refused >= 1, "the login");
    // The mark of the newest checkpoint follows.
    until("it does not verify", async || {
        let verified = command(server, &["audit", "verify"]).await;
        verified.status.code() == Some(0)
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_was_put_away_stops_what_must_be_on_record_until_it_is_back() {
    let server = setup().start().await;
    let (dir, aside) = (folder(&server), server.data.join("aside"));
    let begins = || {
        std::fs::rename(&dir, &aside).unwrap();
        std::fs::write(&dir, "no folder").unwrap();
    };
    let ends = || {
        std::fs::remove_file(&dir).unwrap();
        std::fs::rename(&aside, &dir).unwrap();
    };
    meets(&server, Trouble { begins: &begins, ends: &ends }).await;
}

#[tokio::test]
async fn a_deleted_segment_is_noticed_and_nothing_goes_into_it_any_more() {
    let server = setup().start().await;
    let ada = server.listener("ada").await;
    std::fs::remove_file(segments(&folder(&server)).pop().unwrap()).unwrap();
    until("nobody notices", async || {
        ada.call("get_current_track", json!({})).await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    server.says("not in its folder any more").await;
}

/// Makes a file one that not even root writes to; false where this file system or user cannot.
fn freeze(path: &Path, frozen: bool) -> bool {
    let flag = if frozen { "+i" } else { "-i" };
    let done = std::process::Command::new("chattr").arg(flag).arg(path).output();
    done.is_ok_and(|output| output.status.success())
}

/// Thaws, whatever becomes of the test, so that its folder can be removed.
struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        freeze(&self.0, false);
    }
}

#[tokio::test]
async fn a_segment_that_became_read_only_stops_what_must_be_on_record_until_it_is_not() {
    let server = setup().start().await;
    let segment = segments(&folder(&server)).pop().unwrap();
    if !freeze(&segment, true) {
        eprintln!("SKIPPED: no right to make a file immutable here");
        return;
    }
    freeze(&segment, false);
    let thaw = Frozen(segment.clone());
    let begins = || assert!(freeze(&segment, true));
    let ends = || assert!(freeze(&segment, false));
    meets(&server, Trouble { begins: &begins, ends: &ends }).await;
    drop(thaw);
}

/// Gives everything to a user who may not do what permissions forbid.
fn hand_over(path: &Path, id: u32) {
    chown(path, Some(id), Some(id)).unwrap();
    if path.is_dir() {
        for entry in path.read_dir().unwrap() {
            hand_over(&entry.unwrap().path(), id);
        }
    }
}

/// `nobody`.
const UNPRIVILEGED: u32 = 65_534;

#[tokio::test]
async fn a_folder_that_takes_no_further_segment_stops_what_must_be_on_record_until_it_does() {
    let server = setup().env("SPOTIFY_MCP__AUDIT__SEGMENT_MEGABYTES", "1").prepare().await;
    let dir = folder(&server);
    // Nearly a segment.
    let full =
        |_| segments(&dir).first().is_some_and(|path| path.metadata().unwrap().len() > (1 << 20) - 12_000);
    lived_before(&server, (Clock::system().now(), 1 << 30), full).await;
    let mut serve = server.command();
    if rustix::process::geteuid().is_root() {
        hand_over(&server.data, UNPRIVILEGED);
        hand_over(server.place.file().parent().unwrap(), UNPRIVILEGED);
        serve.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    let Ok(mut child) = serve.spawn() else {
        eprintln!("SKIPPED: another user may not run the program where it was built");
        return;
    };
    until("it does not start", async || server.ready().await == Some(StatusCode::OK)).await;
    let mode = |mode| std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
    let (begins, ends) = (|| mode(0o500), || mode(0o700));
    meets(&server, Trouble { begins: &begins, ends: &ends }).await;
    assert_eq!(segments(&dir).len(), 2);
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_call_whose_caller_the_trail_cannot_name_is_not_made() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        // What it remembers of people is gone.
        server.stop().await;
        server.start().await;
        let raw = server.place.raw().await;
        raw.run("ALTER TABLE audit_keys RENAME TO audit_keys_away").await;
        let asked = server.asked("/v1/me/player/currently-playing", 200);
        let refused = ada.call("get_current_track", json!({})).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
        assert!(refused.text.contains(REFUSED), "{refused:?}");
        assert_eq!(server.asked("/v1/me/player/currently-playing", 200), asked, "nothing happened");
        raw.run("ALTER TABLE audit_keys_away RENAME TO audit_keys").await;
        ada.call("get_current_track", json!({})).await.content();
        assert_eq!(server.stop().await.code(), Some(0));
        let all = records(&folder(&server));
        let calls = all.iter().filter(|record| record["metadata"]["event_code"] == "tool_called");
        let names: Vec<&str> = calls.map(|call| call["actor"]["user"]["uid"].as_str().unwrap()).collect();
        assert!(names.len() == 1 && names[0].starts_with("p_") && names[0].len() == 34, "{names:?}");
    })
    .await;
}
