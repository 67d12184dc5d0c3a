//! `kill -9` at random instants of rotations of each kind while everybody calls and refreshes: every call is answered,
//! nobody has to log in again, the next run ends the rotation.
//!
//! Three rounds of each by default on each engine; `scripts/rotation N` sets `ROTATIONS=N`.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;
use spotify_mcp::spotify::sandbox::CLIENT_ID;
use tokio::time::sleep;

use super::client::{Lies, at_spotify, prepared, to};
use super::{evidence, listens, to_new_file};
use crate::front_door::api_keys::command;
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer, binary};

const PEOPLE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_killed_anywhere_loses_nothing_and_nobody_notices() {
    let rounds: u64 = std::env::var("ROTATIONS").map_or(3, |count| count.parse().unwrap());
    at_both(async |place| {
        // Not in a sealed file: it has room for seven more master keys, and an operator who drops the old ones.
        let lies = if place.is_postgres() { Lies::Apart } else { Lies::Plain };
        let setup = Setup::on(place).people(PEOPLE).env("LOG_LEVEL", "info");
        let setup = setup.env("SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE", "0");
        // More than anybody makes here: otherwise the busiest have had their share of a day.
        let setup = setup.env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "1000000");
        let (mut server, _) = prepared(setup, lies).await;
        server.start().await;
        let names: Vec<_> = (1..=PEOPLE).map(|n| format!("user{n:04}")).collect();
        let listeners = join_all(names.iter().map(|name| server.listener(name))).await;
        for kind in ["master", "data", "signing", "spotify-client"] {
            let (mut calls, mut killed) = (0, 0);
            for round in 0..rounds {
                server.control().advance(Duration::from_secs(3700));
                let (answered, died) = one(&mut server, &listeners, kind, round).await;
                calls += answered;
                killed += u64::from(died);
            }
            println!("{kind}: {rounds} rotations, {killed} killed on their way, {calls} calls meanwhile, all answered");
            server.stop().await;
            server.start().await;
            server.control().advance(Duration::from_secs(3700));
            join_all(listeners.iter().map(listens)).await;
        }
        assert_eq!(server.logged().matches("panicked").count(), 0);
        assert!(!server.logged().contains("crypt_decrypt_fail"), "something did not open");
    })
    .await;
}

/// One rotation that is killed and ended, and how many calls were answered meanwhile.
async fn one(server: &mut TestServer, listeners: &[Listener], kind: &str, round: u64) -> (u64, bool) {
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let arguments = match kind {
        "master" => to_new_file(server),
        "spotify-client" => {
            let secret = format!("5ec4e7{round:026}");
            at_spotify(server, &secret, true);
            to(server, &secret)
        }
        _ => ["rotate-keys", "--what", kind].map(str::to_owned).to_vec(),
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--format", "json"]).collect();
    let instant = Duration::from_micros(20_000 + (round * 7919 * 37) % 400_000);
    let rotating = async {
        let mut command_line = binary();
        command_line.args(&arguments).envs(&server.environment).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command_line.spawn().unwrap();
        let died = tokio::time::timeout(instant, child.wait()).await.is_err();
        child.kill().await.unwrap();
        let ended = evidence(&command(server, &arguments).await, 0);
        assert_eq!(ended["outcome"], "completed");
        // Here Spotify takes both secrets until the old one is ended: no refresh has to wait.
        assert!(kind == "spotify-client" || ended["negative_probe"]["opened"] == 0, "{ended}");
        // Servers have learned it, or learn it now.
        sleep(Duration::from_millis(300)).await;
        server.control().end_former_secret(CLIENT_ID).unwrap();
        server.control().advance(Duration::from_secs(3700));
        sleep(Duration::from_millis(100)).await;
        stop.store(true, Ordering::Relaxed);
        died
    };
    let calling = listeners.iter().map(|listener| async {
        while !stop.load(Ordering::Relaxed) {
            let answer = listener.call("get_current_track", json!({})).await;
            assert!(answer.text.contains(&listener.marker()), "{kind} {round}: {answer:?}");
            calls.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (died, _) = join(rotating, join_all(calling)).await;
    if kind == "master" {
        let file = super::new_key_file(server);
        let key = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), key);
        std::fs::remove_file(&file).unwrap();
    }
    (calls.into_inner(), died)
}
