//! Alerts by e-mail: through the real binary to a mail server that speaks SMTP and TLS, and what happens where it is
//! away.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::telling::{ATTEMPTS, CA, RULES, Receiver, SECRET, URL, fail_logins, records, secret};
use super::{result, told};
use crate::support::mail::{Authority, Given, MailServer, Tls, Ways};
use crate::support::server::{Setup, TestServer, free_port};

/// A key of the mail's configuration, as the environment has it.
pub(super) fn key(name: &str) -> String {
    format!("SPOTIFY_MCP__ALERTS__MAIL__{}", name.to_uppercase())
}

/// A server that tells these two through the mail server at a port.
pub(super) fn mailing(setup: Setup, port: u16, tls: &str) -> Setup {
    let told = "ops@example.org, oncall@example.net";
    let port = port.to_string();
    let said =
        [("host", "127.0.0.1"), ("port", &port), ("tls", tls), ("from", "music@example.org"), ("to", told)];
    said.into_iter().fold(setup, |setup, (name, value)| setup.env(&key(name), value))
}

/// Writes what vouches for a server, and says where.
pub(super) fn vouch(server: &mut TestServer, authority: &Authority) {
    let file = server.data.join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    server.environment.insert(CA.to_owned(), file.display().to_string());
}

#[tokio::test]
async fn an_alert_comes_by_mail_under_tls_to_everybody_who_is_told() {
    let authority = Authority::new();
    for (tls, name, mechanisms) in
        [(Tls::Always, "implicit", "PLAIN LOGIN"), (Tls::Asked, "starttls", "LOGIN")]
    {
        let ways = Ways { tls, login: Some(("music", "a pass.word")), mechanisms, ..Ways::default() };
        let mails = MailServer::start(ways, Some(authority.acceptor("127.0.0.1"))).await;
        let setup = mailing(Setup::default(), mails.port, name).env(&key("username"), "music");
        let mut server = setup.env(RULES, "failed_logins=2/10m").prepare().await;
        let password = server.data.join("password");
        std::fs::write(&password, "a pass.word\n").unwrap();
        server.environment.insert(key("password_file"), password.display().to_string());
        vouch(&mut server, &authority);
        server.start().await;
        let origin = server.origin.clone();
        fail_logins(&server, &origin, 3).await;
        let given = mails.expect(1).await.remove(0);
        assert_is_the_alert(&server, &given);
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let list = result(&server, &["alerts", "list"]).await;
            if list[0]["state"] == "sent" || Instant::now() > until {
                assert_eq!(
                    (&list[0]["channel"], &list[0]["state"]),
                    (&json!("email"), &json!("sent")),
                    "{list}"
                );
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        let log = server.logged();
        assert!(
            !log.contains("a pass.word") && !log.contains("ops@example.org"),
            "neither password nor address"
        );
        assert_eq!(told(&server, "blocked_host").len(), 0);
    }
}

fn assert_is_the_alert(server: &TestServer, given: &Given) {
    assert!(given.secure && given.login.as_deref() == Some("music"), "{given:?}");
    assert_eq!((given.from.as_str(), given.hello.as_str()), ("FROM:<music@example.org>", "[127.0.0.1]"));
    assert_eq!(given.to, ["TO:<ops@example.org>", "TO:<oncall@example.net>"]);
    assert_eq!(given.header("Subject"), "[spotify-mcp development] medium: Many logins failed");
    assert_eq!(given.header("To"), "ops@example.org, oncall@example.net");
    assert!(given.header("Message-ID").starts_with("<al_"), "{given:?}");
    assert!(given.header("Message-ID").ends_with("@example.org>"), "{given:?}");
    assert_eq!(given.header("Auto-Submitted"), "auto-generated");
    let body = given.mail.split_once("\r\n\r\n").unwrap().1;
    let record = told(server, "authn_login_fail").remove(0);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    for words in [
        "Severity: medium",
        "authn_login_fail",
        "What to do: Look at authn_login_fail",
        record["metadata"]["uid"].as_str().unwrap(),
    ] {
        // A line of quoted-printable may end in the middle of a word.
        assert!(body.replace("=\r\n", "").contains(words), "{words} is not in\n{body}");
    }
    let said = given.mail.replace(&server.origin, "").replace("[127.0.0.1]", "");
    assert!(!said.contains("127.0.0.1") && !said.contains("made-up"), "{said}");
}

#[tokio::test]
async fn while_the_mail_server_is_away_the_others_are_told_and_it_hears_later() {
    let (receiver, url) = Receiver::start().await;
    let port = free_port();
    let setup = mailing(Setup::default(), port, "none").env(URL, &url).env(SECRET, &secret());
    let server = setup.env(ATTEMPTS, "2").env(RULES, "failed_logins=1/1h").start().await;
    let origin = server.origin.clone();
    fail_logins(&server, &origin, 1).await;
    // The alert itself, and that it could not be told by mail.
    let heard = receiver.expect(2).await;
    assert_eq!(heard[0].body["data"]["rule"], "failed_logins");
    let data = &heard[1].body["data"];
    assert_eq!((&data["rule"], &data["about"]), (&json!("undelivered"), &json!("email")));
    let given_up = records(&server, "alert_undelivered", 1).await.remove(0);
    assert!(given_up.contains("connect_failed") && given_up.contains(&heard[0].id), "{given_up}");
    // That one cannot be told by mail either, and nothing comes of it: the log alone says so.
    let until = Instant::now() + Duration::from_secs(20);
    let dead = async || result(&server, &["alerts", "list", "--state", "dead"]).await;
    while dead().await.as_array().unwrap().len() < 2 {
        assert!(Instant::now() < until, "{}", dead().await);
        sleep(Duration::from_millis(200)).await;
    }
    let mails = MailServer::start_at(port, Ways::default(), None).await;
    assert_eq!(result(&server, &["alerts", "resend", "--all"]).await["resent"], 2);
    let mut given = mails.expect(2).await;
    given.sort_by_key(|given| given.header("Subject").contains("could not be told"));
    let subjects: Vec<&str> = given.iter().map(|given| given.header("Subject")).collect();
    assert!(subjects[0].contains("Many logins failed"), "{subjects:?}");
    assert!(subjects[1].contains("could not be told"), "{subjects:?}");
    assert!(given[1].mail.contains("email") && !given[0].secure);
    records(&server, "alerts_resent", 1).await;
    records(&server, "alert_undelivered", 1).await;
    receiver.expect(2).await;
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_recorded_and_told_to_the_others() {
    if !leads_here("localhost").await {
        println!("skipped: localhost has no address here");
        return;
    }
    let (receiver, url) = Receiver::start().await;
    let mails = MailServer::start(Ways::default(), None).await;
    let setup = mailing(Setup::default(), mails.port, "starttls").env(&key("host"), "localhost");
    let server = setup.env(URL, &url).env(SECRET, &secret()).env(RULES, "failed_logins=1/1h").start().await;
    let origin = server.origin.clone();
    fail_logins(&server, &origin, 1).await;
    let heard = receiver.expect(2).await;
    let data = &heard[1].body["data"];
    assert_eq!((&data["rule"], &data["about"]), (&json!("blocked_host"), &json!("localhost")), "{data}");
    assert_eq!((&data["severity"], &data["event"]), (&json!("high"), &json!("blocked_host")));
    let record = data["audit_records"][0].as_str().unwrap();
    assert!(
        told(&server, "blocked_host").iter().any(|line| line.contains(record) && line.contains("loopback"))
    );
    assert!(mails.given().is_empty());
}

async fn leads_here(name: &str) -> bool {
    let found = tokio::net::lookup_host((name, 25)).await;
    found.is_ok_and(|mut all| all.any(|address| address.ip().is_loopback()))
}

#[tokio::test]
async fn mail_under_a_file_of_settings_is_checked_whole() {
    let server = Setup::default().prepare().await;
    let check = async |text: &str| {
        let file = server.data.join("server.toml");
        std::fs::write(&file, format!("[alerts.mail]\n{text}")).unwrap();
        refusals(&server, &file).await
    };
    let good = "host = \"smtp.example.org\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n";
    assert_eq!(check(good).await, Vec::<String>::new());
    let many = (0..11).map(|n| format!("\"a{n}@example.org\"")).collect::<Vec<_>>().join(",");
    for (text, problem) in [
        ("to = [\"b@example.org\"]\n".to_owned(), "alerts.mail.host CONFIG_MISSING"),
        (good.replace("from", "#"), "alerts.mail.from CONFIG_MISSING"),
        (good.replace("to =", "#"), "alerts.mail.to CONFIG_MISSING"),
        (format!("{good}username = \"u\"\n"), "alerts.mail.password CONFIG_MISSING"),
        (format!("{good}password = \"p\"\n"), "alerts.mail.username CONFIG_MISSING"),
        (format!("{good}tls = \"none\"\n"), "alerts.mail.tls MAIL_WITHOUT_TLS"),
        (format!("{good}tls = \"maybe\"\n"), "alerts.mail.tls CONFIG_VALUE"),
        (format!("{good}timeout = \"2m\"\n"), "alerts.mail.timeout CONFIG_VALUE"),
        (format!("{good}port = 0\n"), "alerts.mail.port CONFIG_VALUE"),
        (
            good.replace("b@example.org", "b@example.org\\r\\nBcc: c@example.org"),
            "alerts.mail.to CONFIG_VALUE",
        ),
        (good.replace("a@example.org", "Ada <a@example.org>"), "alerts.mail.from CONFIG_VALUE"),
        (good.replace("smtp.example.org", "smtp.example.org:25"), "alerts.mail.host CONFIG_VALUE"),
        (good.replace("\"b@example.org\"", &many), "alerts.mail.to CONFIG_VALUE"),
    ] {
        assert_eq!(check(&text).await, [problem], "{text}");
    }
}

/// What is wrong, as `key code`; nothing is sent.
async fn refusals(server: &TestServer, file: &Path) -> Vec<String> {
    let file = file.display().to_string();
    let output =
        super::command(server, &["alerts", "rules", "--config", &file, "--format", "json", "--quiet"]).await;
    if output.status.success() {
        return Vec::new();
    }
    let (status, said) = super::refusal_of(&output);
    assert_eq!(status, 2, "{said}");
    let problems = said["problems"].as_array().unwrap();
    problems
        .iter()
        .map(|one| format!("{} {}", one["key"].as_str().unwrap(), one["code"].as_str().unwrap()))
        .collect()
}
