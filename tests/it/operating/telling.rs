//! Alerts from the event to whoever is told: a real receiver, a real program, and all that may be wrong with them.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use sha2::Sha256;
use spotify_mcp::ambient::Clock;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::{command, refusal, result, told};
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer, folder, free_port};

pub(super) const URL: &str = "SPOTIFY_MCP__ALERTS__WEBHOOK_URL";
pub(super) const SECRET: &str = "SPOTIFY_MCP__ALERTS__WEBHOOK_SECRET";
pub(super) const RULES: &str = "SPOTIFY_MCP__ALERTS__RULES";
pub(super) const ATTEMPTS: &str = "SPOTIFY_MCP__ALERTS__MAX_ATTEMPTS";
pub(super) const COMMAND: &str = "SPOTIFY_MCP__ALERTS__COMMAND";
/// The file of authorities that vouch for receivers.
pub(super) const CA: &str = "SPOTIFY_MCP__ALERTS__CA";
/// Whether receivers may be in the operator's own network.
pub(super) const PRIVATE: &str = "SPOTIFY_MCP__ALERTS__ALLOW_PRIVATE";
const KEY: &[u8; 32] = b"a secret of thirty-two bytes, ok";

pub(super) fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

/// What one request brought.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub body: Value,
}

/// A receiver of webhooks, which answers as it is told and checks every signature by itself.
#[derive(Clone, Default)]
pub struct Receiver {
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// Listens; its address.
    pub async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?from=us", listener.local_addr().unwrap());
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    pub fn answer(&self, statuses: &[u16]) {
        let statuses = statuses.iter().map(|status| StatusCode::from_u16(*status).unwrap());
        self.answers.lock().unwrap().extend(statuses);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until so many came, and a little longer for one too many.
    pub async fn expect(&self, count: usize) -> Vec<Received> {
        let until = Instant::now() + Duration::from_secs(20);
        while self.received().len() < count && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_millis(1_500)).await;
        let received = self.received();
        assert_eq!(received.len(), count, "{received:#?}");
        received
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, at) = (text("webhook-id"), text("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(&body);
    assert_eq!(text("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    assert_eq!(text("content-type"), "application/json");
    let now = Clock::system().now().secs();
    assert!(now.abs_diff(at.parse().unwrap()) < 60, "{at}");
    receiver.received.lock().unwrap().push(Received { id, body: serde_json::from_slice(&body).unwrap() });
    let status = receiver.answers.lock().unwrap().pop_front().unwrap_or(StatusCode::NO_CONTENT);
    (status, [(header::LOCATION, "http://127.0.0.1:1/elsewhere")]).into_response()
}

pub(super) fn setup(url: &str) -> Setup {
    Setup::default().env(URL, url).env(SECRET, &secret()).env(RULES, "failed_logins=3/10m")
}

/// The records of one event, as soon as there are so many.
pub(super) async fn records(server: &TestServer, code: &str, count: usize) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let found = told(server, code);
        if found.len() >= count || Instant::now() > until {
            assert_eq!(found.len(), count, "{code}: {found:#?}");
            return found;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Logins that nobody began here.
pub(super) async fn fail_logins(server: &TestServer, origin: &str, count: usize) {
    for n in 0..count {
        let url = format!("{origin}/auth/callback?code=x&state=made-up-{n}");
        assert!(server.http.get(url).send().await.unwrap().status().is_client_error());
    }
}

#[tokio::test]
async fn what_happened_is_told_signed_once_and_without_anybody_in_it() {
    let (receiver, url) = Receiver::start().await;
    let server = setup(&url).start().await;
    let origin = server.origin.clone();
    fail_logins(&server, &origin, 2).await;
    assert!(receiver.expect(0).await.is_empty(), "below the threshold nobody is told");
    fail_logins(&server, &origin, 4).await;
    let alert = receiver.expect(1).await.remove(0);
    assert!(alert.id.starts_with("al_") && alert.body["data"]["id"] == alert.id.as_str(), "{alert:?}");
    let data = &alert.body["data"];
    assert_eq!(
        (&alert.body["type"], &data["rule"], &data["severity"]),
        (&"alert".into(), &"failed_logins".into(), &"medium".into())
    );
    assert_eq!((&data["threshold"], &data["window_seconds"]), (&3.into(), &600.into()));
    assert!((3..=6).contains(&data["events"].as_i64().unwrap()), "{data}");
    assert_eq!((&data["server"], &data["environment"]), (&origin.clone().into(), &"development".into()));
    let record = data["audit_records"][0].as_str().unwrap();
    assert!(told(&server, "authn_login_fail").iter().any(|line| line.contains(record)), "{record}");
    let said = alert.body.to_string().replace(&origin, "");
    assert!(!said.contains("127.0.0.1") && !said.contains("made-up") && !said.contains("u_"), "{said}");
    // Silence about the same for as long as the window; the row is kept.
    fail_logins(&server, &origin, 7).await;
    receiver.expect(1).await;
    let list = result(&server, &["alerts", "list"]).await;
    assert_eq!(
        (list.as_array().unwrap().len(), &list[0]["state"], &list[0]["id"]),
        (1, &"sent".into(), &alert.id.into())
    );
    let log = server.logged();
    assert!(!log.contains(&secret()) && !log.contains("from=us"), "the log has neither secret nor address");
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_given_up_and_sent_again_by_hand() {
    let (receiver, url) = Receiver::start().await;
    receiver.answer(&[500, 302, 204]);
    let rules = "failed_logins=3/10m,undelivered=off";
    let server = setup(&url).env(ATTEMPTS, "2").env(RULES, rules).start().await;
    let origin = server.origin.clone();
    fail_logins(&server, &origin, 3).await;
    let tries = receiver.expect(2).await;
    assert_eq!(tries[0].id, tries[1].id, "the id stays the same");
    let dead = result(&server, &["alerts", "list", "--state", "dead"]).await;
    assert_eq!(
        (&dead[0]["tries"], &dead[0]["error"], &dead[0]["channel"]),
        (&2.into(), &"redirected".into(), &"webhook".into())
    );
    let given_up = records(&server, "alert_undelivered", 1).await.remove(0);
    assert!(given_up.contains("redirected") && given_up.contains("failed_logins"), "{given_up}");
    let id = dead[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(result(&server, &["alerts", "resend", "--all", "--dry-run"]).await["would_resend"], 1);
    assert_eq!(result(&server, &["alerts", "resend", &id]).await["resent"], 1);
    assert!(records(&server, "alerts_resent", 1).await[0].contains(&id));
    let tries = receiver.expect(3).await;
    assert_eq!(tries[2].id, id);
    assert_eq!(result(&server, &["alerts", "list", "--state", "sent"]).await[0]["id"], id.as_str());
    let (status, said) = refusal(&server, &["alerts", "resend", &id]).await;
    assert_eq!((status, &said["code"]), (3, &"ALERT_UNKNOWN".into()));
    let (status, said) = refusal(&server, &["alerts", "resend", "x"]).await;
    assert_eq!((status, &said["code"]), (2, &"ALERT_ID".into()));
    assert_eq!(refusal(&server, &["alerts", "resend"]).await.0, 2, "no selector is never all");
    server.says("given up").await;
}

#[tokio::test]
async fn a_kill_at_any_instant_loses_no_alert_and_raises_none_twice() {
    const ROUNDS: u64 = 6;
    let (receiver, url) = Receiver::start().await;
    let mut server = setup(&url).env(RULES, "failed_logins=1/1s").prepare().await;
    for round in 0..ROUNDS {
        server.start().await;
        // What the kill before left is told, and the silence after it is over.
        sleep(Duration::from_millis(2_500)).await;
        let origin = server.origin.clone();
        let before = told(&server, "authn_login_fail").len();
        fail_logins(&server, &origin, 1).await;
        // In the trail, and then gone: before it was judged, while it is told, after it was.
        while told(&server, "authn_login_fail").len() == before {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(round * 140)).await;
        server.kill().await;
    }
    server.start().await;
    let events = told(&server, "authn_login_fail").len();
    let raw = server.place.raw().await;
    let until = Instant::now() + Duration::from_secs(90);
    let unsent = "SELECT COUNT(*) FROM alert_deliveries WHERE state <> 'sent'";
    let all = "SELECT COUNT(*) FROM alerts";
    while (raw.number(all).await < i64::try_from(events).unwrap() || raw.number(unsent).await > 0)
        && Instant::now() < until
    {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(raw.number(all).await, i64::try_from(events).unwrap());
    assert_eq!(raw.number(unsent).await, 0);
    let mut ids: Vec<_> = receiver.received().into_iter().map(|one| one.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), events, "each was told, some perhaps twice under one id");
}

#[tokio::test]
async fn two_servers_count_together_and_one_tells() {
    let Some(place) = Place::postgres().await else { return };
    let (receiver, url) = Receiver::start().await;
    let setup = Setup::on(place).env(URL, &url).env(SECRET, &secret());
    let server = setup.env(RULES, "failed_logins=6/10m").start().await;
    let port = free_port();
    let mut other = server.command();
    other.env("SERVER_PORT", port.to_string()).env("DATA_DIR", server.data.join("second"));
    let _child = other.spawn().unwrap();
    let second = format!("http://127.0.0.1:{port}");
    while server.http.get(format!("{second}/readyz")).send().await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
    let first = server.origin.clone();
    fail_logins(&server, &first, 3).await;
    receiver.expect(0).await;
    fail_logins(&server, &second, 3).await;
    let alert = receiver.expect(1).await.remove(0);
    assert_eq!(alert.body["data"]["events"], 6);
    tokio::join!(fail_logins(&server, &first, 9), fail_logins(&server, &second, 9));
    receiver.expect(1).await;
}

/// A program that keeps what it is given.
fn program(folder: &Path, words: &str) -> String {
    let path = folder.join("told");
    std::fs::write(&path, format!("#!/bin/sh\n{words}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_program_is_told_on_its_standard_input_and_sees_nothing_else() {
    let folder = folder();
    let kept = folder.display();
    let program = program(
        &folder,
        &format!("cat > {kept}/alert\nenv > {kept}/environment\necho \"$@\" > {kept}/arguments"),
    );
    let server = Setup::default()
        .env(COMMAND, &format!("{program} --to me; touch {kept}/shell"))
        .env(RULES, "failed_logins=1/1h")
        .start()
        .await;
    let origin = server.origin.clone();
    fail_logins(&server, &origin, 1).await;
    let until = Instant::now() + Duration::from_secs(20);
    while !folder.join("arguments").exists() && Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
    }
    let alert: Value = serde_json::from_slice(&std::fs::read(folder.join("alert")).unwrap()).unwrap();
    assert_eq!((&alert["type"], &alert["data"]["rule"]), (&"alert".into(), &"failed_logins".into()));
    let environment = std::fs::read_to_string(folder.join("environment")).unwrap();
    assert!(!environment.contains("SPOTIFY") && !environment.contains("DATABASE"), "{environment}");
    assert!(!folder.join("shell").exists(), "no shell reads its arguments");
    let arguments = std::fs::read_to_string(folder.join("arguments")).unwrap();
    assert_eq!(arguments.trim(), format!("--to me; touch {kept}/shell"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_test_says_of_each_channel_what_became_of_it() {
    let (receiver, url) = Receiver::start().await;
    receiver.answer(&[204, 500, 302, 410]);
    let folder = folder();
    let program = program(&folder, "cat > /dev/null; exit 3");
    let server =
        Setup::default().env(URL, &url).env(SECRET, &secret()).env(COMMAND, &program).prepare().await;
    let test = async |more: &[&str]| {
        let output =
            command(&server, &[&["alerts", "test", "--format", "json", "--quiet"], more].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
        (output.status.code().unwrap(), document)
    };
    let (status, both) = test(&[]).await;
    assert_eq!(
        (status, &both["channels"][0]["told"], &both["channels"][1]["told"]),
        (3, &true.into(), &false.into())
    );
    assert_eq!(both["channels"][1]["why"], "it ended with status 3");
    for (code, why) in [("server_error", "500"), ("redirected", "302"), ("gone", "410")] {
        let (status, one) = test(&["--channel", "webhook"]).await;
        assert_eq!((status, &one["channels"][0]["code"]), (3, &code.into()), "{one}");
        assert!(one["channels"][0]["why"].as_str().unwrap().contains(why));
    }
    assert_eq!(test(&["--channel", "webhook"]).await.0, 0);
    let received = receiver.received();
    assert_eq!(received.len(), 5, "a redirect is not followed");
    assert_eq!(received[0].body["type"], "alert.test");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_is_old_goes_and_what_finds_no_room_is_listed_and_on_record() {
    let (receiver, url) = Receiver::start().await;
    let mut server = setup(&url).env(RULES, "failed_logins=1/1h").start().await;
    server.stop().await;
    let (raw, now) = (server.place.raw().await, Clock::system().now());
    let numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)";
    let (raised, next) = (now.secs(), now.millis() + 86_400_000);
    raw.run(&format!(
        "INSERT INTO alerts {numbers} SELECT 'al_' || n, 'r', '', 'c', 1, '', 0, {raised} FROM n"
    ))
    .await;
    let waits = format!("{numbers} SELECT 'al_' || n, 'webhook', 'due', 1, {next}, NULL, NULL FROM n");
    raw.run(&format!("INSERT INTO alert_deliveries {waits}")).await;
    let month_ago = raised - 30 * 86_400;
    raw.run(&format!("INSERT INTO alerts VALUES ('al_old', 'r', '', 'c', 1, '', 0, {month_ago})")).await;
    raw.run("INSERT INTO alert_deliveries VALUES ('al_old', 'webhook', 'sent', 1, 0, NULL, 0)").await;
    server.start().await;
    let origin = server.origin.clone();
    fail_logins(&server, &origin, 1).await;
    let given_up = records(&server, "alert_undelivered", 1).await.remove(0);
    assert!(given_up.contains("queue_full") && given_up.contains("webhook"), "{given_up}");
    let dead = result(&server, &["alerts", "list", "--state", "dead"]).await;
    let first = dead.as_array().unwrap().iter().find(|one| one["rule"] == "failed_logins").unwrap();
    assert_eq!(first["error"], "queue_full");
    assert_eq!(raw.number("SELECT COUNT(*) FROM alerts WHERE id = 'al_old'").await, 0);
    assert!(receiver.received().is_empty());
    let id = first["id"].as_str().unwrap();
    assert_eq!(result(&server, &["alerts", "resend", id]).await["resent"], 1);
    assert_eq!(receiver.expect(1).await[0].id, id);
}

#[tokio::test]
async fn what_could_never_be_told_is_refused_at_the_start() {
    let server = Setup::default().prepare().await;
    let (url, secret) = ("https://hooks.example.org/x", secret());
    for (set, code) in [
        (vec![(URL, url)], "CONFIG_MISSING"),
        (vec![(SECRET, secret.as_str())], "CONFIG_MISSING"),
        (vec![(URL, "http://hooks.example.org/token-in-path"), (SECRET, secret.as_str())], "CONFIG_VALUE"),
        (vec![(URL, url), (SECRET, "whsec_short")], "CONFIG_VALUE"),
        (vec![(RULES, "failed_logs=1/1h")], "CONFIG_VALUE"),
        (vec![(ATTEMPTS, "0")], "CONFIG_VALUE"),
        (vec![(URL, "https://10.0.0.1/x"), (SECRET, secret.as_str())], "CONFIG_HOST"),
        (vec![(URL, url), (SECRET, secret.as_str()), (CA, "/no/such/file")], "CONFIG_HOST"),
    ] {
        let mut command = crate::support::server::binary();
        command.arg("serve").envs(&server.environment).envs(set.iter().copied()).kill_on_drop(true);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{set:?}: {said}");
        assert!(said.contains(code) && said.contains("alerts."), "{set:?}: {said}");
        assert!(!said.contains("token-in-path") && !said.contains("whsec_short"), "{said}");
    }
    let (status, said) = refusal(&server, &["alerts", "test"]).await;
    assert_eq!((status, &said["code"]), (2, &"ALERTS_NO_CHANNEL".into()));
    let rules = result(&server, &["alerts", "rules"]).await;
    assert!(rules.as_array().unwrap().len() >= 7 && rules[0]["on"] == true);
}
