//! `security-check config` with the database and the trail of a server: beside it while it runs, and after it has ended.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::configured::{Desk, Said, traces};
use crate::support::database::{Place, Raw};
use crate::support::server::free_port;

/// A server of other people's data behind a proxy that is not there: nobody calls it.
struct Running(Child);

impl Running {
    fn start(desk: &Desk, env: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_spotify-mcp"));
        command.env_clear().envs(env.iter().copied()).env("SERVER_PORT", port.to_string());
        command.args(["serve", "--config", "server.toml"]).current_dir(&desk.path);
        for kept in ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        let log = fs::File::create(desk.path.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut running = Self(command.spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(60);
        while !is_ready(desk, port) {
            let log = || fs::read_to_string(desk.path.join("log")).unwrap_or_default();
            assert!(running.0.try_wait().unwrap().is_none(), "it ended: {}", log());
            assert!(Instant::now() < until, "not ready in time: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn is_ready(desk: &Desk, port: u16) -> bool {
    let port = port.to_string();
    desk.run(&["healthcheck", "--config", "server.toml"], &[("SERVER_PORT", &port)]).0 == 0
}

/// The trail is signed a second after its first record.
fn once_signed(desk: &Desk, env: &[(&str, &str)]) -> Said {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let said = desk.check_with(&["--config", "server.toml"], env);
        if is_signed(&said) || Instant::now() > until {
            return said;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Its anchor lies in memory or on the same disk, which a test cannot mend.
fn is_signed(said: &Said) -> bool {
    said.of("SMC6002").iter().any(|(state, _, seen)| state == "pass" && !seen.contains("told"))
}

fn sound(said: &Said) {
    assert_eq!(said.status, 0, "{:#?}", said.in_state(&["fail", "error"]));
    assert!(said.in_state(&["error"]).is_empty(), "{:#?}", said.in_state(&["error"]));
    for id in [
        "SMC1001", "SMC1003", "SMC1005", "SMC1006", "SMC1007", "SMC1009", "SMC3003", "SMC5001", "SMC5005",
        "SMC5007", "SMC6001", "SMC6003", "SMC6009", "SMC9010", "SMC9021",
    ] {
        assert_eq!(said.state(id), "pass", "{id}: {:#?}", said.of(id));
    }
    assert!(is_signed(said), "{:#?}", said.of("SMC6002"));
    let anchored = said.of("SMC6002").into_iter().find(|one| one.0 == "fail").unwrap();
    assert!(anchored.2.starts_with("file: on this machine or in its memory"), "{anchored:?}");
    // Nobody has done it, and nobody has to yet.
    for id in ["SMC5006", "SMC9001", "SMC9005", "SMC9008", "SMC9011"] {
        assert_eq!(said.state(id), "not_applicable", "{id}: {:#?}", said.of(id));
    }
    // How much room this machine's disk has is not the server's doing.
    assert_eq!(said.of("SMC6008")[0].0, "pass", "{:#?}", said.of("SMC6008"));
}

#[test]
fn a_clean_server_is_clean_while_it_runs_and_afterwards_and_a_look_leaves_no_trace() {
    let desk = Desk::new();
    let server = Running::start(&desk, &[]);
    sound(&once_signed(&desk, &[]));
    server.stop();
    let before = traces(&desk.path.join("data"));
    sound(&desk.check("server.toml", &[]));
    assert_eq!(traces(&desk.path.join("data")), before);

    // What somebody says was done stands beside what the program saw.
    let attest = ["security-check", "attest", "log-review", "--by", "ada", "--evidence", "ticket 7"];
    let (status, out, err) = desk.run(&[&attest[..], &["--config", "server.toml"]].concat(), &[]);
    assert_eq!(status, 0, "{out}{err}");
    let attested = desk.check("server.toml", &["--only", "SMC9001"]);
    assert!(attested.of("SMC9001")[0].2.contains("by ada: ticket 7"), "{}", attested.words);
    assert_eq!((attested.status, attested.state("SMC9001").as_str()), (0, "pass"), "{}", attested.words);

    // What somebody wrote into the database alone counts for nothing, and neither do words that were changed there.
    let file = desk.path.join("data/spotify-mcp.db");
    let genuine = fs::read(&file).unwrap();
    for (sql, words) in [
        (
            "INSERT INTO attestations (id, task, by_whom, evidence, at)
                SELECT 'att_0', 'penetration-test', 'Mallory', 'nothing', at FROM attestations",
            "in the database alone",
        ),
        ("UPDATE attestations SET by_whom = 'Mallory'", "of other words"),
    ] {
        with_sqlite(&file, &[sql]);
        let forged = desk.check("server.toml", &["--only", "SMC9001,SMC9008", "--fail-on", "low"]);
        assert_eq!(forged.status, 1, "{}", forged.words);
        assert!(forged.words.contains(words) && forged.words.contains("Mallory"), "{}", forged.words);
        fs::write(&file, &genuine).unwrap();
    }

    // Another key than the database's: nothing of it is opened, and that is said.
    desk.write("master.key", &crate::support::server::master_key("another"), 0o600);
    let other = desk.check("server.toml", &[]);
    assert_eq!((other.status, other.state("SMC1003").as_str()), (3, "error"), "{}", other.words);

    // Somebody cut the trail short.
    let segment = desk.path.join("data/audit/audit-1.ndjson");
    let text = fs::read_to_string(&segment).unwrap();
    let kept: Vec<&str> = text.lines().take(1).collect();
    fs::write(&segment, kept.join("\n") + "\n").unwrap();
    let cut = desk.check("server.toml", &[]);
    assert_eq!((cut.status, cut.state("SMC6001").as_str()), (1, "fail"), "{}", cut.words);

    // Or took all of it away, its checkpoints after it.
    fs::remove_file(&segment).unwrap();
    let gone = desk.check("server.toml", &["--only", "SMC6001"]);
    assert_eq!((gone.status, gone.state("SMC6001").as_str()), (1, "fail"), "{}", gone.words);
    fs::remove_dir_all(desk.path.join("data/audit")).unwrap();
    let gone = desk.check("server.toml", &["--only", "SMC6001"]);
    assert_eq!((gone.status, gone.state("SMC6001").as_str()), (1, "fail"), "{}", gone.words);
    assert!(gone.of("SMC6001")[0].2.contains("AUDIT_TRUNCATED"), "{}", gone.words);
}

#[test]
fn a_database_that_is_destroyed_is_not_whole() {
    let desk = Desk::new();
    Running::start(&desk, &[]).stop();
    let file = desk.path.join("data/spotify-mcp.db");
    let whole = fs::read(&file).unwrap();
    let mut overwritten = whole.clone();
    overwritten[4_096..40_960].fill(0xa5);
    let noise: Vec<u8> = (0..whole.len()).map(|at| (at * 7 % 251) as u8).collect();
    for (how, bytes) in
        [("cut", &whole[..whole.len() / 2]), ("overwritten", &overwritten), ("noise", &noise), ("empty", &[])]
    {
        fs::write(&file, bytes).unwrap();
        let said = desk.check("server.toml", &["--only", "SMC5001"]);
        assert_eq!((said.status, said.state("SMC5001").as_str()), (1, "fail"), "{how}: {}", said.words);
        assert!(!said.words.contains("start the server"), "{how}: {}", said.words);
    }
}

#[test]
fn a_key_that_a_thief_of_the_data_has_too_is_beside_them_wherever_it_is_named() {
    let desk = Desk::new();
    Running::start(&desk, &[]).stop();
    fs::create_dir(desk.path.join("data/keys")).unwrap();
    desk.write("data/keys/k", &fs::read_to_string(desk.path.join("master.key")).unwrap(), 0o600);
    let text = fs::read_to_string(desk.path.join("server.toml")).unwrap();
    desk.write("inside.toml", &text.replace("master.key", "data/keys/k"), 0o600);
    let said = desk.check("inside.toml", &["--only", "SMC1002"]);
    assert_eq!(said.state("SMC1002"), "fail", "{}", said.words);
    assert_eq!(desk.check("server.toml", &["--only", "SMC1002"]).state("SMC1002"), "pass");
    // The same where a program prints it.
    let folder = desk.path.display();
    for (arguments, expected) in [
        (format!("\"/bin/cat\", \"{folder}/data/keys/k\""), "fail"),
        (format!("\"/bin/sh\", \"-c\", \"cat {folder}/data/keys/k\""), "fail"),
        (format!("\"/bin/cat\", \"{folder}/master.key\""), "pass"),
    ] {
        let said = format!("master_key_command = [{arguments}]");
        desk.write("printed.toml", &text.replace("master_key_file = \"master.key\"", &said), 0o600);
        let printed = desk.check("printed.toml", &["--only", "SMC1002"]);
        assert_eq!(printed.state("SMC1002"), expected, "{arguments}: {}", printed.words);
    }
}

/// As somebody who may write to the file.
fn with_sqlite(file: &Path, statements: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}?mode=rw", file.display());
        let raw = Raw::Sqlite(sqlx::SqlitePool::connect(&url).await.unwrap());
        for sql in statements {
            raw.run(sql).await;
        }
        if let Raw::Sqlite(pool) = raw {
            pool.close().await;
        }
    });
}

#[test]
fn what_somebody_did_to_the_database_is_found() {
    let desk = Desk::new();
    Running::start(&desk, &[]).stop();
    let file = desk.path.join("data/spotify-mcp.db");
    // A token in the clear, an old master key, a changed schema, a code that nobody removed.
    with_sqlite(
        &file,
        &[
            "INSERT INTO users (id, display_name, created_at, last_seen_at) VALUES ('u_1', 'x', 1, 1)",
            "INSERT INTO data_keys (id, user_id, master_key_id, wrapped, state, created_at, seal_count)
                VALUES ('k_1', 'u_1', 'gone', 'sentinel-of-a-token', 'active', 1, 5000000000)",
            "INSERT INTO codes (hash, user_id, client_id, redirect_uri, challenge, resource, scope, expires_at, failures)
                VALUES ('short', 'u_1', 'c', 'r', 'c', 'r', 's', 1, 0)",
            "UPDATE master_keys SET created_at = 1",
            "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 3",
        ],
    );
    let said = desk.check("server.toml", &[]);
    assert_eq!(said.status, 1, "{}", said.words);
    for id in ["SMC1003", "SMC1005", "SMC1006", "SMC3003", "SMC5005", "SMC5006", "SMC5007", "SMC9010"] {
        assert_eq!(said.state(id), "fail", "{id}: {:#?}", said.of(id));
    }
    assert!(!said.words.contains("sentinel"), "what is stored is not told");
}

#[tokio::test]
async fn postgresql_is_asked_how_it_sees_us() {
    let Some(place) = Place::postgres().await else { return };
    let desk = Desk::new();
    let url = place.url.clone();
    let said = tokio::task::spawn_blocking(move || {
        let env = [("DATABASE_URL", url.as_str())];
        let server = Running::start(&desk, &env);
        let beside = once_signed(&desk, &env);
        server.stop();
        let after = desk.check_with(&["--config", "server.toml"], &env);
        let gone = url.rsplit_once('/').map(|(server, _)| format!("{server}/there_is_none")).unwrap();
        let gone = desk.check_with(&["--config", "server.toml"], &[("DATABASE_URL", &gone)]);
        [beside, after, gone]
    });
    let [beside, after, gone] = said.await.unwrap();
    for said in [&beside, &after] {
        for id in ["SMC1003", "SMC1009", "SMC3003", "SMC5005", "SMC5007", "SMC6001"] {
            assert_eq!(said.state(id), "pass", "{id}: {:#?}", said.of(id));
        }
        assert_eq!(said.state("SMC5001"), "not_applicable");
        // The tests' own cluster lets its superuser in from this machine without a password.
        assert_eq!(said.state("SMC5002"), "pass", "{:#?}", said.of("SMC5002"));
        assert_eq!((said.status, said.state("SMC5003").as_str()), (1, "fail"));
        assert!(said.of("SMC5003")[0].2.contains("superuser"), "{:#?}", said.of("SMC5003"));
    }
    assert_eq!(gone.state("SMC5003"), "error", "{:#?}", gone.of("SMC5003"));
    assert_eq!(gone.status, 3, "{:#?}", gone.in_state(&["fail"]));
}
