//! Receivers of webhooks: those that fail, those in the operator's own network, and others than before by a reload.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::mailing::{key, vouch};
use super::telling::{CA, PRIVATE, Receiver, SECRET, URL, fail_logins, secret};
use super::{refusal, refusal_of, result};
use crate::support::mail::{Authority, MailServer, Ways};
use crate::support::server::{Setup, TestServer, binary, free_port};

#[tokio::test]
async fn receivers_that_are_down_slow_talkative_or_somebody_else_are_named() {
    let server = Setup::default().env(SECRET, &secret()).prepare().await;
    let test = async |url: String| {
        let mut command = binary();
        command
            .args(["alerts", "test", "--format", "json", "--quiet"])
            .envs(&server.environment)
            .env(URL, url);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        document["channels"][0]["code"].as_str().unwrap().to_owned()
    };
    let (down, slow, talkative) = (free_port(), listener(b"").await, listener(&large()).await);
    let stranger = secured(&Authority::new()).await;
    let (down, slow, talkative, stranger) =
        tokio::join!(test(format!("http://127.0.0.1:{down}/")), test(slow), test(talkative), test(stranger),);
    assert_eq!(
        (down.as_str(), slow.as_str(), talkative.as_str(), stranger.as_str()),
        ("connect_failed", "timeout", "too_large", "certificate_not_trusted")
    );
}

fn large() -> Vec<u8> {
    [&b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"[..], &[b' '; 100_000]].concat()
}

/// Answers each connection with these bytes and keeps it.
async fn listener(bytes: &[u8]) -> String {
    let (bytes, listener) = (bytes.to_vec(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&bytes).await;
            kept.push(stream);
        }
    });
    url
}

/// Speaks TLS under a certificate of this authority, and takes everything.
async fn secured(authority: &Authority) -> String {
    let (acceptor, listener) =
        (authority.acceptor("127.0.0.1"), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 8192]).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    url
}

/// As somebody else's server in production would be configured.
fn in_production(server: &mut TestServer) {
    for name in ["SPOTIFY_ACCOUNTS_URL", "SPOTIFY_API_URL"] {
        server.environment.remove(name);
    }
    for (name, value) in [
        ("DEPLOYMENT_ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://music.example.org"),
        ("LOG_LEVEL", "info"),
    ] {
        server.environment.insert(name.to_owned(), value.to_owned());
    }
}

#[tokio::test]
async fn receivers_in_ones_own_network_are_told_where_the_operator_says_so() {
    let authority = Authority::new();
    let url = secured(&authority).await;
    let mut server = Setup::default().env(URL, &url).env(SECRET, &secret()).prepare().await;
    in_production(&mut server);
    vouch(&mut server, &authority);
    let test = async |server: &TestServer| {
        let output = super::command(server, &["alerts", "test", "--format", "json", "--quiet"]).await;
        match serde_json::from_slice::<Value>(&output.stdout) {
            Ok(document) => (output.status.code().unwrap(), document["channels"][0]["code"].clone()),
            Err(_) => {
                let (status, said) = refusal_of(&output);
                let named = said["next"].as_str().is_some_and(|next| next.contains("alerts.allow_private"));
                assert!(named || said["code"] != "CONFIG_HOST", "{said}");
                (status, said["code"].clone())
            }
        }
    };
    assert_eq!(test(&server).await, (2, json!("CONFIG_HOST")));
    server.environment.insert(PRIVATE.to_owned(), "true".to_owned());
    assert_eq!(test(&server).await, (0, Value::Null));
    let vouched = server.environment.remove(CA).unwrap();
    assert_eq!(test(&server).await, (3, json!("certificate_not_trusted")));
    server.environment.insert(CA.to_owned(), vouched);
    // Never without TLS, and never where clouds keep their metadata.
    for url in [url.replace("https://", "http://"), "https://169.254.169.254/".to_owned()] {
        server.environment.insert(URL.to_owned(), url);
        assert_eq!(test(&server).await, (2, json!("CONFIG_HOST")));
    }
    server.environment.remove(URL);
    server.environment.remove(SECRET);
    for (name, value) in
        [("host", "127.0.0.1"), ("tls", "none"), ("from", "a@example.org"), ("to", "b@example.org")]
    {
        server.environment.insert(key(name), value.to_owned());
    }
    let (status, said) = refusal(&server, &["alerts", "test"]).await;
    assert_eq!((status, &said["problems"][0]["code"]), (2, &json!("MAIL_WITHOUT_TLS")), "{said}");
}

/// A server that takes this from a file, and where the file is.
async fn configured(text: &str) -> (TestServer, PathBuf) {
    let mut server = Setup::default().prepare().await;
    let file = server.data.join("server.toml");
    std::fs::write(&file, text).unwrap();
    server.environment.insert("SPOTIFY_MCP_CONFIG".to_owned(), file.display().to_string());
    server.start().await;
    (server, file)
}

#[tokio::test]
async fn a_reload_puts_others_in_the_place_of_those_who_are_told() {
    let ((first, one), (second, two)) = (Receiver::start().await, Receiver::start().await);
    let mails = MailServer::start(Ways::default(), None).await;
    let (server, file) = configured("").await;
    let origin = server.origin.clone();
    let reload = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        result(&server, &["config", "reload"]).await
    };
    let webhook = |url: &str| {
        format!(
            "[alerts]\nwebhook_url = \"{url}\"\nwebhook_secret = \"{}\"\nrules = [\"failed_logins=1/1s\"]\n",
            secret()
        )
    };
    fail_logins(&server, &origin, 1).await;
    let taken = reload(&webhook(&one)).await;
    let keys = json!(["alerts.webhook_url", "alerts.webhook_secret", "alerts.rules"]);
    assert_eq!((&taken["taken_over"], &taken["needs_restart"]), (&keys, &json!([])));
    // Whoever is told from now on hears of the last hour.
    first.expect(1).await;
    let mail = format!(
        "[alerts.mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"a@b.example\"\nto = \"c@d.example\"\n",
        mails.port
    );
    reload(&format!("{}{mail}", webhook(&two))).await;
    sleep(Duration::from_secs(2)).await;
    fail_logins(&server, &origin, 1).await;
    second.expect(1).await;
    assert_eq!((mails.expect(1).await.len(), first.received().len()), (1, 1));
    // One that can never be reached changes nothing.
    std::fs::write(&file, webhook("https://10.0.0.1/x")).unwrap();
    let (status, error) = refusal(&server, &["config", "reload"]).await;
    let problem = &error["problems"][0];
    assert_eq!(
        (status, &problem["code"], &problem["key"]),
        (2, &json!("CONFIG_HOST"), &json!("alerts.webhook_url"))
    );
    sleep(Duration::from_secs(1)).await;
    fail_logins(&server, &origin, 1).await;
    second.expect(2).await;
    mails.expect(2).await;
    // Nobody, and then somebody again, who hears of the last hour in one alert.
    reload("").await;
    fail_logins(&server, &origin, 1).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!((second.received().len(), mails.given().len()), (2, 2));
    reload(&webhook(&one).replace("1s", "1h")).await;
    let until = Instant::now() + Duration::from_secs(20);
    while first.received().len() < 2 && Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(first.received().len(), 2);
    assert!(!server.logged().contains("judged by somebody else"));
}
