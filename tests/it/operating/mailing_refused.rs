//! `alerts test` by e-mail: every way in which a mail server may fail is named by a code, and never in its own words.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::mailing::{key, mailing, vouch};
use super::telling::CA;
use crate::support::mail::{Authority, MailServer, Tls, Ways};
use crate::support::server::{Setup, TestServer, binary, free_port};

/// Sends a test with these in the environment too: status, and what is said of the channel.
async fn test(server: &TestServer, more: &[(&str, &str)]) -> (i32, Value) {
    let mut command = binary();
    let words = ["alerts", "test", "--channel", "email", "--format", "json", "--quiet"];
    command.args(words).envs(&server.environment);
    command.envs(more.iter().map(|(name, value)| (key(name), value)));
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert!(!said.contains("server's own words") && !document.to_string().contains("server's own words"));
    (output.status.code().unwrap(), document["channels"][0].clone())
}

/// Its code, where it was not told.
async fn code(server: &TestServer, more: &[(&str, &str)]) -> String {
    let (status, said) = test(server, more).await;
    assert_eq!((status, &said["told"]), (3, &false.into()), "{said}");
    said["code"].as_str().unwrap().to_owned()
}

async fn prepared(port: u16, tls: &str, authority: &Authority) -> TestServer {
    let mut server = mailing(Setup::default(), port, tls).env(&key("timeout"), "3s").prepare().await;
    vouch(&mut server, authority);
    server
}

#[tokio::test]
async fn a_test_is_told_only_where_every_recipient_is_taken() {
    let authority = Authority::new();
    let refusing = |answers: &[(&'static str, &'static str)]| Ways {
        tls: Tls::Always,
        answers: answers.iter().copied().collect::<BTreeMap<_, _>>(),
        ..Ways::default()
    };
    let no = "550 5.1.1 the server's own words";
    let (ops, oncall) = ("RCPT TO:<ops@", "RCPT TO:<oncall@");
    for (answers, given, code, why) in [
        (vec![], 1, "", ""),
        (vec![(oncall, no)], 1, "recipient_refused", "1 of 2"),
        (vec![(ops, no), (oncall, "450 later, the server's own words")], 0, "recipient_refused", "550"),
        (vec![("MAIL", "553 the server's own words")], 0, "sender_refused", "553"),
        (vec![("DATA", "451 the server's own words")], 0, "message_refused", "451"),
        (vec![("MESSAGE", "554 the server's own words")], 0, "message_refused", "554"),
        (vec![("GREETING", "554 the server's own words")], 0, "server_refused", "554"),
        (vec![("EHLO", "502-the\r\n502 server's own words")], 0, "server_refused", "502"),
        (vec![("QUIT", "421 the server's own words")], 1, "", ""),
    ] {
        let mails = MailServer::start(refusing(&answers), Some(authority.acceptor("127.0.0.1"))).await;
        let server = prepared(mails.port, "implicit", &authority).await;
        let (status, said) = test(&server, &[]).await;
        let told = code.is_empty();
        assert_eq!((status, &said["told"]), (if told { 0 } else { 3 }, &told.into()), "{answers:?}: {said}");
        if !told {
            assert_eq!(said["code"], code, "{answers:?}");
            assert!(said["why"].as_str().unwrap().contains(why), "{said}");
        }
        assert_eq!(mails.given().len(), given, "{answers:?}");
        for mail in mails.given() {
            assert_eq!(mail.header("Subject"), "[spotify-mcp development] test: nothing happened");
        }
    }
}

#[tokio::test]
async fn wrong_passwords_and_ways_to_log_in_that_are_not_known_are_told_apart() {
    let authority = Authority::new();
    let ways =
        |mechanisms| Ways { tls: Tls::Asked, login: Some(("music", "right")), mechanisms, ..Ways::default() };
    for (mechanisms, password, expected) in [
        ("PLAIN", "wrong", "login_refused"),
        ("LOGIN", "wrong", "login_refused"),
        ("CRAM-MD5", "right", "login_not_offered"),
    ] {
        let mails = MailServer::start(ways(mechanisms), Some(authority.acceptor("127.0.0.1"))).await;
        let server = prepared(mails.port, "starttls", &authority).await;
        let login = [("username", "music"), ("password", password)];
        let (status, said) = test(&server, &login).await;
        assert_eq!((status, &said["code"]), (3, &expected.into()), "{said}");
        assert!(!said.to_string().contains("known to be wrong"), "{said}");
        assert_eq!(
            test(&server, &[("username", "music"), ("password", "right")]).await.0,
            i32::from(mechanisms == "CRAM-MD5") * 3
        );
        // Whoever says no name is refused at the first word.
        assert_eq!(code(&server, &[]).await, "sender_refused");
    }
}

#[tokio::test]
async fn nothing_is_told_where_tls_is_not_what_was_asked_for() {
    let authority = Authority::new();
    let start = async |tls, slips_in, name: &str| {
        let ways = Ways { tls, slips_in, ..Ways::default() };
        MailServer::start(ways, Some(authority.acceptor(name))).await
    };
    // Somebody in between who takes STARTTLS away, or slips in what would be taken for the server's answers.
    let (plain, slipped) = (
        start(Tls::Never, "", "127.0.0.1").await,
        start(Tls::Asked, "250 AUTH PLAIN\r\n250 kept\r\n", "127.0.0.1").await,
    );
    let (other, asked) =
        (start(Tls::Always, "", "mail.example").await, start(Tls::Asked, "", "127.0.0.1").await);
    let at = async |port, tls| prepared(port, tls, &authority).await;
    assert_eq!(code(&at(plain.port, "starttls").await, &[]).await, "tls_not_offered");
    assert_eq!(code(&at(slipped.port, "starttls").await, &[]).await, "tls_failed");
    assert_eq!(code(&at(other.port, "implicit").await, &[]).await, "certificate_not_trusted");
    assert_eq!(code(&at(asked.port, "implicit").await, &[]).await, "tls_failed");
    let mut server = at(asked.port, "starttls").await;
    assert_eq!(test(&server, &[]).await.0, 0);
    server.environment.remove(CA);
    assert_eq!(code(&server, &[]).await, "certificate_not_trusted");
    assert_eq!(asked.given().len(), 1);
    for server in [plain, slipped, other] {
        assert!(server.given().is_empty());
    }
}

#[tokio::test]
async fn servers_that_are_silent_gone_endless_or_no_mail_servers_are_named() {
    let authority = Authority::new();
    for silent_at in ["GREETING", "EHLO", "MAIL", "MESSAGE"] {
        let ways = Ways { silent_at: Some(silent_at), ..Ways::default() };
        let mails = MailServer::start(ways, None).await;
        let server = prepared(mails.port, "none", &authority).await;
        assert_eq!(code(&server, &[("timeout", "1s")]).await, "timeout", "{silent_at}");
    }
    let says = async |words: &[u8], tls, expected| {
        let port = talker(words.to_vec()).await;
        assert_eq!(code(&prepared(port, tls, &authority).await, &[]).await, expected, "{tls}");
    };
    let endless = vec![b'2'; 1 << 20];
    let lines = b"220-more\r\n".repeat(20_000);
    for (tls, one, other) in [("none", "too_large", "too_large"), ("starttls", "too_large", "too_large")] {
        says(&endless, tls, one).await;
        says(&lines, tls, other).await;
        says(b"SSH-2.0-OpenSSH_9\r\n", tls, "connection_broken").await;
        says(b"", tls, "connection_broken").await;
    }
    let gone = prepared(free_port(), "starttls", &authority).await;
    assert_eq!(code(&gone, &[]).await, "connect_failed");
}

/// Says these words to everybody and hangs up.
async fn talker(words: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let words = words.clone();
            tokio::spawn(async move {
                let _ = stream.write_all(&words).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}
