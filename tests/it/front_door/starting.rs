//! Starting on a bad footing and stopping on a good one: one clear message, the right exit status, nothing lost.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::Fault;
use tokio::time::{sleep, timeout};

use crate::support::database::at_both;
use crate::support::server::{Setup, TestServer, binary, folder, free_port, master_key};

/// What a start says that must fail.
#[derive(Debug)]
struct Failed {
    status: i32,
    said: String,
}

impl Failed {
    fn of(output: &Output) -> Self {
        assert!(output.stdout.is_empty(), "messages belong on standard error: {output:?}");
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        Self { status: output.status.code().unwrap(), said }
    }

    /// One message with this code and these words.
    fn says(&self, status: i32, code: &str, words: &[&str]) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.said.matches(code).count(), 1, "{self:?}");
        assert!(words.iter().all(|word| self.said.contains(word)), "{words:?} in {self:?}");
        assert!(!self.said.contains("panicked") && !self.said.contains("backtrace"), "{self:?}");
        self
    }
}

/// Starts once more on the server's data, with these changes of its environment.
async fn start_anew(server: &TestServer, changes: &[(&str, &str)]) -> Failed {
    let mut command = binary();
    command.arg("serve").env("LOG_LEVEL", "error");
    let quiet = server.environment.iter().filter(|(name, _)| *name != "LOG_LEVEL");
    command.envs(quiet).envs(changes.iter().copied()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(30), command.output()).await.expect("it started after all");
    Failed::of(&output.unwrap())
}

#[tokio::test]
async fn a_wrong_master_key_is_named_and_changes_nothing() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let raw = server.place.raw().await;
        let right = raw.texts("SELECT id FROM master_keys").await.remove(0);
        assert_eq!(server.stop().await.code(), Some(0));
        let before = raw.dump().await;

        let wrong = master_key("another");
        let failed = start_anew(&server, &[("SPOTIFY_MCP_MASTER_KEY", &wrong)]).await;
        failed.says(2, "MASTER_KEY_WRONG", &[&right]);
        assert!(!failed.said.contains(&wrong));
        let ids = failed.said.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 32);
        assert_eq!(ids.count(), 2, "both keys by id: {failed:?}");
        assert_eq!(raw.dump().await, before);
        for bad in ["", "not base64!", "c2hvcnQ="] {
            let failed = start_anew(&server, &[("SPOTIFY_MCP_MASTER_KEY", bad)]).await;
            assert_eq!(failed.status, 2, "{failed:?}");
            assert!(failed.said.contains("SPOTIFY_MCP_MASTER_KEY") || bad.is_empty(), "{failed:?}");
        }

        server.start().await;
        ada.call("get_current_track", json!({})).await.content();
    })
    .await;
}

#[tokio::test]
async fn a_damaged_database_is_left_as_it_is() {
    for damage in [truncated as fn(&[u8]) -> Vec<u8>, overwritten, nonsense] {
        let mut server = TestServer::new().await;
        server.listener("ada").await;
        assert_eq!(server.stop().await.code(), Some(0));
        let file = server.place.file();
        let whole = std::fs::read(&file).unwrap();
        let damaged = damage(&whole);
        std::fs::write(&file, &damaged).unwrap();
        let failed = start_anew(&server, &[]).await;
        failed.says(3, "DATABASE_UNAVAILABLE", &[]);
        assert!(failed.said.contains("backup"), "what to do: {failed:?}");
        assert!(std::fs::read(&file).unwrap() == damaged, "what may yet be rescued was written over");
        std::fs::write(&file, &whole).unwrap();
        server.start().await;
        server.listener("ada").await;
    }
}

fn truncated(whole: &[u8]) -> Vec<u8> {
    whole[..whole.len() / 2 / 4096 * 4096].to_vec()
}

fn overwritten(whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let middle = bytes.len() / 8;
    bytes[4096..middle.max(8192)].fill(0xa5);
    bytes
}

fn nonsense(_: &[u8]) -> Vec<u8> {
    b"this is no database at all".repeat(500)
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let server = Setup::default().prepare().await;
    for (user, query) in [("somebody:pa55%40word", ""), ("somebody", "?password=pa55%40word")] {
        let at = |port: u16| format!("postgres://{user}@127.0.0.1:{port}/music{query}");
        let failed = start_anew(&server, &[("DATABASE_URL", &at(free_port()))]).await;
        failed.says(3, "DATABASE_UNAVAILABLE", &["connecting to PostgreSQL"]);
        tells_no_password(&failed);
        let failed = start_anew(&server, &[("DATABASE_URL", &at(talkative_database()))]).await;
        failed.says(3, "DATABASE_UNAVAILABLE", &["the driver's words hold the password"]);
        tells_no_password(&failed);
    }
}

fn tells_no_password(failed: &Failed) {
    assert!(!failed.said.contains("pa55"), "{failed:?}");
}

/// Speaks PostgreSQL's protocol, asks for the password and repeats it in its refusal. Its port.
fn talkative_database() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut message = [0; 1024];
            // Whether TLS is spoken here, who is there, and the password: one message each.
            for answer in [&b"N"[..], b"R\0\0\0\x08\0\0\0\x03"] {
                let _ = stream.read(&mut message);
                let _ = stream.write_all(answer);
            }
            let read = stream.read(&mut message).unwrap_or_default();
            let password = message[..read].get(5..read.max(6) - 1).unwrap_or_default();
            let said = [b"SFATAL\0VFATAL\0C28P01\0Mwrong: ", password, b"\0\0"].concat();
            let length = u32::try_from(said.len() + 4).unwrap().to_be_bytes();
            let _ = stream.write_all(&[b"E", &length[..], &said].concat());
        }
    });
    port
}

#[tokio::test]
async fn a_taken_port_is_said_before_anything_is_touched() {
    let server = Setup::default().prepare().await;
    let port = &server.environment["SERVER_PORT"];
    let _taken = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    start_anew(&server, &[]).await.says(3, "PORT_TAKEN", &[port]);
    assert!(!server.place.file().exists());
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let server = Setup::default().prepare().await;
    let file = server.data.join("a-file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data").display().to_string();
    let failed = start_anew(&server, &[("DATA_DIR", &below)]).await;
    failed.says(3, "DATA_DIR_UNWRITABLE", &[&below]);
    let failed = start_anew(&server, &[("DATA_DIR", "/proc/self/spotify-mcp")]).await;
    failed.says(3, "DATA_DIR_UNWRITABLE", &["/proc/self/spotify-mcp"]);
}

#[tokio::test]
async fn the_trail_has_one_writer() {
    let mut server = TestServer::new().await;
    let port = free_port().to_string();
    let failed = start_anew(&server, &[("SERVER_PORT", &port)]).await;
    failed.says(3, "AUDIT_IN_USE", &[&server.data_dir().join("audit").display().to_string()]);
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
    assert_eq!(server.stop().await.code(), Some(0));
    sequence_is_whole(&server.data_dir().join("audit"));
}

/// Every record of the trail reads.
fn sequence_is_whole(folder: &Path) {
    let files = super::files(&[folder]);
    let trail = files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "ndjson"));
    let text: String = trail.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(text.lines().count() > 5);
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[tokio::test]
async fn wrong_usage_is_status_2_and_names_the_nearest() {
    let output = binary().args(["serve", "--sandbx"]).output().await.unwrap();
    let failed = Failed::of(&output);
    assert_eq!(failed.status, 2);
    assert!(failed.said.contains("--sandbox"), "{failed:?}");
    let output = binary().arg("sreve").output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn ten_faults_are_ten_reasons() {
    let file = folder().join("ten.toml");
    let text = "
        [spotify]
        client_id = 7
        quota_mode = \"enormous\"
        accounts_url = \"ftp://accounts.spotify.com\"
        [server]
        host = \"everywhere\"
        port = 70000
        public_url = \"https://music.example/path\"
        [storage]
        url = \"mysql://localhost/x\"
        [security]
        environment = \"prod\"
        login_timeout_minutes = 0
        [limits]
        conections = 5
    ";
    std::fs::write(&file, text).unwrap();
    let output = binary().args(["serve", "--config"]).arg(&file).output().await.unwrap();
    let failed = Failed::of(&output);
    failed.says(2, "CONFIG_INVALID", &["10 problems", "did you mean limits.connections"]);
    for key in [
        "spotify.client_id",
        "spotify.quota_mode",
        "spotify.accounts_url",
        "server.host",
        "server.port",
        "server.public_url",
        "storage.url",
        "security.environment",
        "security.login_timeout_minutes",
        "limits.conections",
    ] {
        assert!(failed.said.contains(key), "{key} in {failed:?}");
    }
    let _ = std::fs::remove_dir_all(file.parent().unwrap());
}

#[tokio::test]
async fn a_log_in_json_has_no_banner_beside_it() {
    let server = Setup::default().env("SPOTIFY_MCP__TELEMETRY__LOG_FORMAT", "json").start().await;
    server.says(&server.origin).await;
    let log = server.logged();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let banner = |line: &str| line.contains(&server.origin) && !line.starts_with('{');
    assert!(!log.lines().any(banner), "{log}");
    assert!(lines.iter().any(|line| line.to_string().contains(&server.origin)), "{log}");
}

#[tokio::test]
async fn a_hangup_ends_no_server_and_is_said() {
    let mut server = TestServer::new().await;
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    for times in 1..=2 {
        kill_process(pid, Signal::HUP).unwrap();
        let told = async {
            while server.logged().matches("the configuration was read again").count() < times {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(10), told).await.expect("the signal is not mentioned");
        assert_eq!(server.ready().await, Some(StatusCode::OK));
    }
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_stop_lets_calls_in_flight_finish() {
    let mut server = Setup::default().env("SPOTIFY_MCP__SERVER__DRAIN_SECONDS", "1").start().await;
    let ada = server.listener("ada").await;
    server.inject("GET /v1/me/player*", 1, Fault::Delay { millis: 2500 });
    let in_flight = ada.call("get_current_track", json!({}));
    let stopping = async {
        sleep(Duration::from_millis(300)).await;
        server.ask_to_stop();
        sleep(Duration::from_millis(300)).await;
        assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
        let alive = server.http.get(format!("{}/livez", server.origin)).send().await.unwrap();
        assert_eq!(alive.status(), StatusCode::OK);
        // Still served: load balancers need a moment to look elsewhere.
        ada.call("get_status", json!({})).await.content();
        sleep(Duration::from_millis(1200)).await;
        assert_eq!(server.ready().await, None, "closed to newcomers");
    };
    let (answer, ()) = futures_util::future::join(in_flight, stopping).await;
    assert!(answer.content().to_string().contains(&ada.marker()));
    assert_eq!(server.ended().await.code(), Some(0));
    server.start().await;
    ada.call("get_current_track", json!({})).await.content();
}
