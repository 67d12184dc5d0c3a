//! The rotation of a Spotify app's credentials where this program cannot write them, where another app takes the place,
//! where there are several, and where it dies at each boundary of its steps.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use spotify_mcp::crypto::SecretString;
use spotify_mcp::spotify::sandbox::{CLIENT_ID, NewApp};

use super::client::{
    FIRST, Lies, ROTATE, SECOND, all_are_linked, at_spotify, prepared, refused, rotates, to, written,
};
use super::{evidence, listens, said, to_new_file};
use crate::front_door::api_keys::{command, result};
use crate::support::database::{Place, at_both};
use crate::support::server::{Setup, TestServer};

const OTHER_APP: &str = "another-client";

#[tokio::test]
async fn what_it_cannot_write_it_tells_and_ends_when_that_is_done() {
    let (mut server, _) = prepared(Setup::on(Place::sqlite()), Lies::InVariable).await;
    server.start().await;
    let ada = server.listener("ada").await;
    at_spotify(&server, SECOND, false);
    let (status, text) = refused(&server, SECOND, &[]).await;
    assert!(status == 3 && text.contains("CLIENT_SECRET_ELSEWHERE"), "{text}");
    assert!(text.contains("environment variable SPOTIFY_CLIENT_SECRET") && !text.contains(SECOND), "{text}");
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM rotations").await, 0);

    // This command's environment has it, the server's does not yet.
    server.environment.insert("SPOTIFY_CLIENT_SECRET".to_owned(), SECOND.to_owned());
    let (status, text) = refused(&server, SECOND, &[]).await;
    assert!(status == 3 && text.contains("SERVER_USES_OLD_SECRET"), "{text}");
    server.stop().await;
    server.start().await;
    let ended = evidence(&rotates(&server, SECOND, &[]).await, 0);
    assert!(ended["client"]["server"].as_str().unwrap().contains("accepted by Spotify"), "{ended}");
    assert_eq!(ended["client"]["places"], json!([]));
    server.control().advance(Duration::from_secs(3700));
    listens(&ada).await;
    all_are_linked(&server).await;
    let again: Value = serde_json::from_slice(&rotates(&server, SECOND, &[]).await.stdout).unwrap();
    assert_eq!(again["evidence"], ended);
}

#[tokio::test]
async fn a_dotenv_file_is_changed_while_no_server_runs() {
    let (mut server, _) = prepared(Setup::on(Place::sqlite()), Lies::InVariable).await;
    server.start().await;
    let ada = server.listener("ada").await;
    server.stop().await;
    server.environment.remove("SPOTIFY_CLIENT_SECRET");
    let file = written(&server, "server.env", &format!("A={FIRST}\nSPOTIFY_CLIENT_SECRET=\"{FIRST}\"\n"));
    at_spotify(&server, SECOND, false);
    let ended = evidence(&rotates(&server, SECOND, &["--env-file", file.to_str().unwrap()]).await, 0);
    assert!(ended["client"]["server"].as_str().unwrap().contains("none runs"), "{ended}");
    assert_eq!(ended["verification"]["coverage"], "none");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("A={FIRST}\nSPOTIFY_CLIENT_SECRET=\"{SECOND}\"\n")
    );
    server.environment.insert("SPOTIFY_CLIENT_SECRET".to_owned(), SECOND.to_owned());
    server.start().await;
    server.control().advance(Duration::from_secs(3700));
    listens(&ada).await;
}

fn another_app(server: &TestServer) {
    let rules = json!({ "any_loopback": true });
    let app =
        NewApp { client_id: OTHER_APP.to_owned(), client_secret: Some(SecretString::new(SECOND)), rules };
    server.control().create_app(app).unwrap();
}

#[tokio::test]
async fn another_app_says_whom_it_ends_before_it_does_anything() {
    at_both(async |place| {
        let (mut server, file) = prepared(Setup::on(place), Lies::Plain).await;
        server.start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        another_app(&server);
        let before = fs::read_to_string(file.as_ref().unwrap()).unwrap();
        let other = ["--new-client-id", OTHER_APP];
        let dry: Value = serde_json::from_slice(
            &rotates(&server, SECOND, &[&other[..], &["--dry-run"]].concat()).await.stdout,
        )
        .unwrap();
        assert_eq!((&dry["links_ended"], &dry["people_concerned"]), (&json!(2), &json!(2)), "{dry}");
        let (status, text) = refused(&server, SECOND, &other).await;
        assert!(status == 2 && text.contains("CONFIRMATION_NEEDED"), "{text}");
        assert_eq!(fs::read_to_string(file.as_ref().unwrap()).unwrap(), before);
        listens(&ada).await;

        let ended = evidence(&rotates(&server, SECOND, &[&other[..], &["--yes"]].concat()).await, 0);
        assert_eq!(
            (&ended["client"]["links_ended"], &ended["client"]["people_concerned"]),
            (&json!(2), &json!(2))
        );
        let after =
            before.replace(CLIENT_ID, OTHER_APP).replace(&format!("'{FIRST}'"), &format!("'{SECOND}'"));
        assert_eq!(fs::read_to_string(file.unwrap()).unwrap(), after);
        // Newcomers come through the other app at once, and whoever was here comes back through it.
        listens(&server.listener("chiara").await).await;
        server.control().advance(Duration::from_secs(3700));
        assert_eq!(ben.call("get_current_track", json!({})).await.error(), "RECONNECT_REQUIRED");
        listens(&server.listener("ben").await).await;
        listens(&ben).await;
        let again = rotates(&server, SECOND, &[&other[..], &["--yes"]].concat()).await;
        assert_eq!(evidence(&again, 0)["rotation_id"], ended["rotation_id"]);
    })
    .await;
}

#[tokio::test]
async fn one_of_several_apps_is_named() {
    let mut server = Setup::on(Place::sqlite()).prepare().await;
    at_spotify(&server, FIRST, false);
    another_app(&server);
    written(&server, "one.secret", FIRST);
    let apps = format!(
        "[[spotify.apps]]\nclient_id = \"{OTHER_APP}\"\nclient_secret = \"{SECOND}\"\n\n[[spotify.apps]]\nclient_id = \
         \"{CLIENT_ID}\"\nclient_secret_file = \"one.secret\"\n"
    );
    let file = written(&server, "server.toml", &apps);
    server.environment.remove("SPOTIFY_CLIENT_ID");
    server.environment.insert("SPOTIFY_MCP_CONFIG".to_owned(), file.display().to_string());
    server.start().await;
    let third = "5ec4e700000000000000000000007412";
    at_spotify(&server, third, false);
    let (status, text) = refused(&server, third, &[]).await;
    assert!(status == 2 && text.contains("SPOTIFY_APP_AMBIGUOUS") && text.contains(OTHER_APP), "{text}");
    let (status, text) = refused(&server, third, &["--client-id", "nobody-knows-it"]).await;
    assert!(status == 2 && text.contains("SPOTIFY_APP_UNKNOWN"), "{text}");
    evidence(&rotates(&server, third, &["--client-id", CLIENT_ID]).await, 0);
    assert_eq!(fs::read_to_string(server.data.join("one.secret")).unwrap(), third);
    assert_eq!(fs::read_to_string(&file).unwrap(), apps);
    // By hand, the reload alone takes it over.
    written(&server, "one.secret", FIRST);
    at_spotify(&server, FIRST, false);
    assert_eq!(result(&server, &["config", "reload"]).await["taken_over"], json!(["spotify.apps"]));
    let (status, text) = refused(&server, FIRST, &["--client-id", CLIENT_ID, "--emergency"]).await;
    assert!(status == 2 && text.contains("cannot be used with"), "{text}");
}

/// Every boundary, in order.
const BOUNDARIES: [&str; 8] =
    ["planned", "staged", "written", "active", "told", "rewrapping", "verifying", "retired"];

#[tokio::test]
async fn it_ends_with_the_next_run_wherever_it_died_and_gives_way_to_another_kind() {
    at_both(async |place| {
        let lies = if place.is_postgres() { Lies::Sealed } else { Lies::Plain };
        let (mut server, _) = prepared(Setup::on(place), lies).await;
        server.start().await;
        let ada = server.listener("ada").await;
        for (round, boundary) in BOUNDARIES.into_iter().enumerate() {
            let secret = format!("5ec4e7{round:026}");
            at_spotify(&server, &secret, true);
            server.environment.insert("DIE_AT".to_owned(), boundary.to_owned());
            let died = rotates(&server, &secret, &[]).await;
            assert_eq!(died.status.code(), None, "{boundary}: {}", said(&died));
            server.environment.remove("DIE_AT");
            server.control().advance(Duration::from_secs(3700));
            listens(&ada).await;
            // What is in the configuration does not have to be given once more.
            let written = !["planned", "staged", "retired"].contains(&boundary);
            let ended = match written {
                true => command(&server, &[&ROTATE[..], &["--format", "json"]].concat()).await,
                false => rotates(&server, &secret, &[]).await,
            };
            let ended = evidence(&ended, 0);
            assert!(ended["client"]["server"].as_str().unwrap().contains("accepted"), "{boundary}: {ended}");
            server.control().end_former_secret(CLIENT_ID).unwrap();
            server.control().advance(Duration::from_secs(3700));
            listens(&ada).await;
        }
        let count = "SELECT COUNT(*) FROM rotations WHERE state = 'retired'";
        assert_eq!(server.place.raw().await.number(count).await, 8);

        // One that died holds nothing up: another kind gives it up, and the next run ends it all the same.
        at_spotify(&server, SECOND, true);
        server.environment.insert("DIE_AT".to_owned(), "told".to_owned());
        assert_eq!(rotates(&server, SECOND, &[]).await.status.code(), None);
        server.environment.remove("DIE_AT");
        let (master, client) = (to_new_file(&server), to(&server, SECOND));
        for arguments in [&master, &client] {
            let all: Vec<&str> = arguments.iter().map(String::as_str).chain(["--format", "json"]).collect();
            evidence(&command(&server, &all).await, 0);
        }
        listens(&ada).await;
    })
    .await;
}
