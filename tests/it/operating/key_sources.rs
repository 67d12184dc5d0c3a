//! The master key from every source, with the real binary; and from each the mistake that it has, by name.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::StatusCode;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::refusal_of;
use crate::support::server::{Setup, TestServer, binary, master_key};

/// One way to give a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Environment,
    File,
    Credential,
    Command,
    BesideData,
}

const SOURCES: [Source; 5] =
    [Source::Environment, Source::File, Source::Credential, Source::Command, Source::BesideData];

/// A server that has no key yet.
async fn keyless() -> TestServer {
    let mut server = Setup::default().prepare().await;
    server.environment.remove("SPOTIFY_MCP_MASTER_KEY");
    std::fs::create_dir_all(server.data_dir()).unwrap();
    server
}

fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Source {
    /// Gives the key to a command.
    fn give(self, server: &TestServer, text: &str, command: &mut Command) {
        let file = server.data.join("the.key");
        match self {
            Self::Environment => drop(command.env("SPOTIFY_MCP_MASTER_KEY", text)),
            Self::File => {
                private(&file, text);
                command.env("SPOTIFY_MCP_MASTER_KEY_FILE", file);
            }
            Self::Credential => {
                private(&server.data.join("master-key"), text);
                command.env("CREDENTIALS_DIRECTORY", &server.data);
            }
            Self::Command => {
                private(&file, text);
                let words = format!("cat {}", file.display());
                command.env("SPOTIFY_MCP__SECURITY__MASTER_KEY_COMMAND", words);
            }
            Self::BesideData => private(&server.data_dir().join("master.key"), text),
        }
    }
}

async fn ready(server: &TestServer, child: &mut Child) {
    for _ in 0..3000 {
        if server.ready().await == Some(StatusCode::OK) {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended:\n{}", server.logged());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not ready in time");
}

#[tokio::test]
async fn every_source_gives_the_same_key() {
    let key = master_key("from anywhere");
    let mut ids = Vec::new();
    for source in SOURCES {
        let server = keyless().await;
        let mut command = server.command();
        // A file may end in one line end, as editors leave it; the environment has none.
        let text = if source == Source::Environment { key.clone() } else { format!("{key}\n") };
        source.give(&server, &text, &mut command);
        let mut child = command.spawn().unwrap();
        ready(&server, &mut child).await;
        ids.extend(server.place.raw().await.texts("SELECT id FROM master_keys").await);
        child.kill().await.unwrap();
    }
    assert_eq!(ids.len(), SOURCES.len());
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn every_mistake_is_named_wherever_it_comes_from() {
    let good = master_key("from anywhere");
    let mistakes: [(&str, String); 7] = [
        ("MASTER_KEY_SHORT", good[..40].to_owned()),
        ("MASTER_KEY_LONG", format!("{}AAAA{}", &good[..20], &good[20..])),
        ("MASTER_KEY_URL_SAFE", format!("-_{}", &good[2..])),
        ("MASTER_KEY_PADDING", good.trim_end_matches('=').to_owned()),
        ("MASTER_KEY_PADDING", format!("{good}=")),
        ("MASTER_KEY_QUOTED", format!("\"{good}\"")),
        ("MASTER_KEY_WHITESPACE", format!("{good}\n\n")),
    ];
    for source in SOURCES {
        for (code, text) in &mistakes {
            let server = keyless().await;
            let mut command = binary();
            command.args(["serve", "--format", "json", "--quiet"]).envs(&server.environment);
            command.env("LOG_LEVEL", "error").kill_on_drop(true);
            source.give(&server, text, &mut command);
            let (status, error) = refusal_of(&command.output().await.unwrap());
            let all = error.to_string();
            assert_eq!(status, 2, "{source:?} {code}: {all}");
            assert!(all.contains(code), "{source:?} {code}: {all}");
            assert!(!all.contains(&good[2..38]), "the key itself is said: {all}");
            assert!(!server.place.file().exists(), "nothing is begun with a wrong key");
        }
    }
}

/// A command that is told a passphrase on standard input.
async fn told(mut command: Command, passphrase: &str) -> Child {
    let mut child = command.stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    child.stdin.take().unwrap().write_all(passphrase.as_bytes()).await.unwrap();
    child
}

#[tokio::test]
async fn a_passphrase_is_asked_for_and_opens_what_it_sealed() {
    let mut server = keyless().await;
    let phrase = "correct horse battery staple";
    let serve = |server: &TestServer| {
        let mut command = server.command();
        command.args(["--ask-passphrase"]);
        command
    };
    let mut child = told(serve(&server), phrase).await;
    ready(&server, &mut child).await;
    server.listener("ada").await;
    child.kill().await.unwrap();

    let quietly = |arguments: &[&str]| {
        let mut command = binary();
        command.args(arguments).args(["--ask-passphrase", "--format", "json", "--quiet"]);
        command.envs(&server.environment).env("LOG_LEVEL", "error");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let wrong =
        [("", "SECRET_EMPTY"), ("short", "passphrase"), ("another horse battery staple", "MASTER_KEY_WRONG")];
    for (words, code) in wrong {
        let refused = told(quietly(&["serve"]), words).await.wait_with_output().await.unwrap();
        let (status, error) = refusal_of(&refused);
        assert!(status == 2 && error.to_string().contains(code), "{error}");
        assert!(!error.to_string().contains(words) || words.len() < 6);
    }
    assert!(!server.data.join("data/master.key").exists());
    // The backup carries what derives the key: it opens though the data directory is lost.
    let made = told(quietly(&["backup", "create"]), phrase).await.wait_with_output().await.unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let file = PathBuf::from(made["file"].as_str().unwrap());
    let moved = server.data.join("moved.backup");
    std::fs::rename(file, &moved).unwrap();
    server.environment.insert("DATA_DIR".to_owned(), server.data.join("empty").display().to_string());
    let mut verify = binary();
    verify.args(["backup", "verify", "--ask-passphrase", "--quiet"]).arg(&moved).envs(&server.environment);
    verify.stdout(Stdio::piped()).stderr(Stdio::piped());
    let verified = told(verify, phrase).await.wait_with_output().await.unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[tokio::test]
async fn a_passphrase_beside_a_key_or_with_stdio_is_refused() {
    let server = Setup::default().prepare().await;
    let from_command = ("SPOTIFY_MCP__SECURITY__MASTER_KEY_COMMAND", "echo x");
    let from_environment = ("SPOTIFY_MCP_MASTER_KEY", server.environment["SPOTIFY_MCP_MASTER_KEY"].as_str());
    for (more, code, (name, value)) in [
        ("--sandbox", "CONFIG_INVALID", from_environment),
        ("--sandbox", "MASTER_KEY_TWICE", from_command),
        ("--stdio", "PASSPHRASE_WITH_STDIO", from_environment),
    ] {
        let mut command = binary();
        command
            .args(["serve", more, "--ask-passphrase", "--format", "json", "--quiet"])
            .envs(&server.environment);
        command.env_remove("SPOTIFY_MCP_MASTER_KEY").env(name, value);
        let command = command.env_remove("SPOTIFY_ACCOUNTS_URL").env_remove("SPOTIFY_API_URL");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let _gone = child.stdin.take().unwrap().write_all(b"correct horse battery staple").await;
        let (status, error) = refusal_of(&child.wait_with_output().await.unwrap());
        assert_eq!((status, error["code"].as_str().unwrap()), (2, code), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_starts_says_which_keys_are_due() {
    let age = "SPOTIFY_MCP__SECURITY__MAX_KEY_AGE_DAYS__MASTER";
    let mut server = Setup::default().env(age, "2").start().await;
    assert!(!server.logged().contains("is due for rotation"), "{}", server.logged());
    assert_eq!(server.stop().await.code(), Some(0));
    for sql in [
        "UPDATE master_keys SET created_at = created_at - 3 * 86400",
        "UPDATE purpose_keys SET created_at = 1",
    ] {
        server.place.raw().await.run(sql).await;
    }
    server.start().await;
    for kind in ["master", "browser-tickets"] {
        server.says(&format!("kind=\"{kind}\"")).await;
    }
    let logged = server.logged();
    let due: Vec<&str> = logged.lines().filter(|line| line.contains("is due for rotation")).collect();
    let of = |kind: &str| due.iter().filter(|line| line.contains(&format!("kind=\"{kind}\""))).count();
    // Those that `--what signing` leaves as they are never are.
    assert_eq!((of("master"), of("browser-tickets"), of("tombstones")), (1, 1, 0), "{due:?}");
    assert!(due[0].contains("age_days=3") && due[0].contains("due=\"age\""), "{due:?}");
}
