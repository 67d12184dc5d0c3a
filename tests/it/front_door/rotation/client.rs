//! The secret of a Spotify app rotated beside a running server: wherever the configuration has it, nobody has to log in
//! again, and a secret that Spotify does not take changes nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use spotify_mcp::crypto::SecretString;
use spotify_mcp::spotify::sandbox::{CLIENT_ID, Fault, NewSecret};

use super::{evidence, listens, said};
use crate::front_door::api_keys::{command, result};
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer};

/// Where a configuration has the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lies {
    Plain,
    Sealed,
    Apart,
    InVariable,
}

pub const FIRST: &str = "5ec4e7000000000000000000000f14e7";
pub const SECOND: &str = "5ec4e700000000000000000000005ec0";
pub const ROTATE: [&str; 3] = ["rotate-keys", "--what", "spotify-client"];

/// Not yet started: a server whose app has the first secret, and the file in which the configuration has it.
pub async fn prepared(setup: Setup, lies: Lies) -> (TestServer, Option<PathBuf>) {
    let mut server = setup.prepare().await;
    at_spotify(&server, FIRST, false);
    let file = lay(&mut server, lies).await;
    (server, file)
}

async fn lay(server: &mut TestServer, lies: Lies) -> Option<PathBuf> {
    let toml =
        format!("# mine\n[spotify]\nclient_id = \"{CLIENT_ID}\"\nclient_secret = '{FIRST}' # {FIRST}\n");
    let file = match lies {
        Lies::Plain => written(server, "server.toml", &toml),
        Lies::Sealed => {
            let plain = written(server, "plain.toml", &toml);
            let file = server.data.join("server.encrypted.json");
            let paths = [&plain, &file].map(|path| path.display().to_string());
            let sealed = command(server, &["config", "encrypt", &paths[0], "-o", &paths[1]]).await;
            assert_eq!(sealed.status.code(), Some(0), "{}", said(&sealed));
            fs::remove_file(plain).unwrap();
            file
        }
        Lies::Apart => written(server, "client.secret", &format!("{FIRST}\n")),
        Lies::InVariable => {
            server.environment.insert("SPOTIFY_CLIENT_SECRET".to_owned(), FIRST.to_owned());
            return None;
        }
    };
    let name = match lies {
        Lies::Apart => "SPOTIFY_CLIENT_SECRET_FILE",
        _ => {
            server.environment.remove("SPOTIFY_CLIENT_ID");
            "SPOTIFY_MCP_CONFIG"
        }
    };
    server.environment.insert(name.to_owned(), file.display().to_string());
    Some(file)
}

pub fn written(server: &TestServer, name: &str, text: &str) -> PathBuf {
    let path = server.data.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// What the dashboard does.
pub fn at_spotify(server: &TestServer, secret: &str, keep_former: bool) {
    let new = NewSecret { client_secret: SecretString::new(secret), keep_former };
    server.control().rotate_secret(CLIENT_ID, &new).unwrap();
}

/// The arguments that rotate to this secret.
pub fn to(server: &TestServer, secret: &str) -> Vec<String> {
    let file = written(server, "new.secret", &format!("{secret}\n"));
    let file = ["--new-client-secret-file".to_owned(), file.display().to_string()];
    ROTATE.iter().map(|&word| word.to_owned()).chain(file).collect()
}

pub async fn rotates(server: &TestServer, secret: &str, more: &[&str]) -> std::process::Output {
    let arguments = to(server, secret);
    let all: Vec<&str> = arguments.iter().map(String::as_str).chain(["--format", "json"]).collect();
    command(server, &[&all[..], more].concat()).await
}

pub async fn refused(server: &TestServer, secret: &str, more: &[&str]) -> (i32, String) {
    let output = rotates(server, secret, more).await;
    (output.status.code().unwrap(), said(&output))
}

/// Nobody is asked to connect again.
pub async fn all_are_linked(server: &TestServer) {
    let lost = "SELECT COUNT(*) FROM linked_accounts WHERE reconnect_since IS NOT NULL";
    assert_eq!(server.place.raw().await.number(lost).await, 0);
}

async fn is_rotated(lies: Lies) {
    let (mut server, file) = prepared(Setup::on(Place::sqlite()), lies).await;
    server.start().await;
    let ada = server.listener("ada").await;
    listens(&ada).await;
    let (pid, before) = (server.pid(), file.as_ref().map(|file| fs::read_to_string(file).unwrap()));

    // The dashboard gave the app another secret: until the server knows it, a refresh waits, and nobody is lost.
    at_spotify(&server, SECOND, false);
    server.control().advance(Duration::from_secs(3700));
    let waits = ada.call("get_current_track", json!({})).await;
    assert_eq!(waits.error(), "UPSTREAM_ERROR", "{waits:?}");
    all_are_linked(&server).await;

    let dry: Value = serde_json::from_slice(&rotates(&server, SECOND, &["--dry-run"]).await.stdout).unwrap();
    assert_eq!((&dry["spotify"], &dry["links_ended"]), (&json!("accepted"), &json!(0)));
    assert_eq!(dry["places"].as_array().unwrap().len(), 1);
    assert_eq!(file.as_ref().map(|file| fs::read_to_string(file).unwrap()), before, "{lies:?}");

    // A run that was killed while it wrote leaves this behind.
    if let (Lies::Plain | Lies::Apart, Some(file)) = (lies, &file) {
        fs::write(format!("{}.4711.new", file.display()), SECOND).unwrap();
    }
    let output = rotates(&server, SECOND, &[]).await;
    let ended = evidence(&output, 0);
    assert_eq!(ended["kind"], "spotify-client");
    assert!(
        ended["client"]["server"].as_str().unwrap().contains(&format!("process {pid} uses the new")),
        "{ended}"
    );
    assert_eq!(ended["client"]["old_credentials"], "refused");
    assert_eq!(
        (&ended["negative_probe"]["opened"], &ended["verification"]["coverage"]),
        (&json!(0), &json!("full"))
    );
    let audit = &ended["audit"];
    assert_eq!(audit["in_trail"], audit["events"].as_array().unwrap().len(), "{ended}");
    listens(&ada).await;
    all_are_linked(&server).await;

    let again: Value = serde_json::from_slice(&rotates(&server, SECOND, &[]).await.stdout).unwrap();
    assert_eq!(again["evidence"], ended);
    let status = result(&server, &["rotate-keys", "--status"]).await;
    let line =
        status["keys"].as_array().unwrap().iter().find(|line| line["kind"] == "spotify-client").unwrap();
    assert_eq!(
        (&line["id"], &line["state"], &line["due"]),
        (&ended["new_key"], &json!("active"), &json!(null))
    );
    holds(&server, file.as_deref().unwrap(), lies);
    for told in [said(&output), server.logged(), dry.to_string(), status.to_string()] {
        assert!(!told.contains(FIRST) && !told.contains(SECOND), "{told}");
    }
    server.stop().await;
    server.start().await;
    server.control().advance(Duration::from_secs(3700));
    listens(&ada).await;
}

/// The new secret in the place of the old one, and everything else as it was.
fn holds(server: &TestServer, file: &std::path::Path, lies: Lies) {
    let text = fs::read_to_string(file).unwrap();
    let expected = match lies {
        Lies::Plain => Some(format!(
            "# mine\n[spotify]\nclient_id = \"{CLIENT_ID}\"\nclient_secret = '{SECOND}' # {FIRST}\n"
        )),
        Lies::Apart => Some(format!("{SECOND}\n")),
        _ => None,
    };
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    if let Some(expected) = expected {
        assert_eq!(text, expected);
        let names: Vec<_> =
            fs::read_dir(&server.data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let left = names
            .iter()
            .any(|name| [".bak", ".new", ".lock"].iter().any(|end| name.to_string_lossy().ends_with(end)));
        assert!(!left, "{names:?}");
    } else {
        assert!(!text.contains(SECOND) && text.contains("\"rev\": 2"), "{text}");
    }
}

#[tokio::test]
async fn a_secret_in_a_plain_file_is_replaced_there_alone() {
    is_rotated(Lies::Plain).await;
}

#[tokio::test]
async fn a_secret_in_a_sealed_file_is_sealed_anew() {
    is_rotated(Lies::Sealed).await;
}

#[tokio::test]
async fn a_secret_in_a_file_of_its_own_is_replaced() {
    is_rotated(Lies::Apart).await;
}

#[tokio::test]
async fn a_secret_that_spotify_does_not_take_changes_nothing() {
    let (mut server, file) = prepared(Setup::on(Place::sqlite()), Lies::Plain).await;
    server.start().await;
    let ada = server.listener("ada").await;
    let before = fs::read_to_string(file.as_ref().unwrap()).unwrap();
    let expect = async |secret: &str, status, code: &str| {
        let (found, text) = refused(&server, secret, &[]).await;
        assert!(found == status && text.contains(code) && text.contains("\"next\""), "{found}: {text}");
        assert!(!text.contains(secret) || secret.is_empty(), "{text}");
    };
    expect(SECOND, 2, "CLIENT_SECRET_REFUSED").await;
    expect("", 2, "CLIENT_SECRET_NEEDED").await;
    expect("se${CR}et", 2, "CLIENT_SECRET_INVALID").await;
    expect(FIRST, 2, "CLIENT_SECRET_UNCHANGED").await;
    let failing = Fault::Status { status: 500, body: String::new(), headers: Default::default() };
    server.inject("POST /api/token", 1, failing);
    expect(SECOND, 3, "SPOTIFY_NO_ANSWER").await;
    let nothing = command(&server, &ROTATE).await;
    assert!(
        nothing.status.code() == Some(2) && said(&nothing).contains("CLIENT_SECRET_NEEDED"),
        "{}",
        said(&nothing)
    );
    assert_eq!(fs::read_to_string(file.unwrap()).unwrap(), before);
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM rotations").await, 0);
    server.control().advance(Duration::from_secs(3700));
    listens(&ada).await;
}

#[tokio::test]
async fn where_both_secrets_work_for_a_while_it_says_that_the_old_one_still_does() {
    let (mut server, _file) = prepared(Setup::on(Place::sqlite()), Lies::Sealed).await;
    server.start().await;
    let ada = server.listener("ada").await;
    at_spotify(&server, SECOND, true);
    server.control().advance(Duration::from_secs(3700));
    listens(&ada).await;
    let ended = evidence(&rotates(&server, SECOND, &[]).await, 0);
    assert_eq!(
        (&ended["client"]["old_credentials"], &ended["negative_probe"]["opened"]),
        (&json!("accepted"), &json!(1))
    );
    assert!(ended["notes"].to_string().contains("end them in Spotify's dashboard"), "{ended}");
    server.control().end_former_secret(CLIENT_ID).unwrap();
    server.control().advance(Duration::from_secs(3700));
    listens(&ada).await;
}

#[tokio::test]
async fn a_refresh_on_its_way_with_the_old_secret_is_asked_once_more_with_the_new_one() {
    let (mut server, _) = prepared(Setup::on(Place::sqlite()), Lies::Apart).await;
    server.start().await;
    let ada = server.listener("ada").await;
    at_spotify(&server, SECOND, true);
    written(&server, "client.secret", SECOND);
    server.control().advance(Duration::from_secs(3700));
    // It leaves with the old secret, and comes to Spotify when that is no more.
    server.inject("POST /api/token", 1, Fault::Delay { millis: 8_000 });
    let changes = async {
        while server.control().faults().iter().any(|fault| fault.times > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let reloaded = result(&server, &["config", "reload"]).await;
        server.control().end_former_secret(CLIENT_ID).unwrap();
        reloaded
    };
    let refused = server.asked("/api/token", 400);
    let (_, reloaded) = futures_util::future::join(listens(&ada), changes).await;
    assert_eq!(reloaded["taken_over"], json!(["spotify.client_secret"]));
    assert_eq!(server.asked("/api/token", 400), refused + 1);
    all_are_linked(&server).await;
}
