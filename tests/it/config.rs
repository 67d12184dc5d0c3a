//! The configuration and the command line, through the built binary.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use spotify_mcp::ambient::Dice;

/// Help and error texts are snapshots: `TRYCMD=overwrite` writes them anew.
#[test]
fn what_people_see_on_the_command_line() {
    trycmd::TestCases::new()
        .env("HOME", "/home/someone")
        .default_bin_path(env!("CARGO_BIN_EXE_spotify-mcp"))
        .case("tests/cmd/*.trycmd");
}

#[test]
fn ten_faults_are_ten_problems() {
    let here = Here::new();
    here.file(
        "ten.toml",
        "[spotify]\nclient_id = \"x\"\nredirect_uri = \"nowhere\"\n\
         [server]\nprot = 1\nhost = \"example.org\"\nport = 70000\npublic_url = \"https://a.example/path\"\n\
         [storage]\nurl = \"mysql://user:hunter2@db/music\"\n\
         [auth]\nsignup = \"anyone\"\nlifetimes.code = \"2 weeks\"\n",
    );
    let output =
        here.run(&["config", "show", "--config", "ten.toml", "--format", "json"], &[("LOG_LEVEL", "loud")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output).contains("hunter2"));
    let problems = problems(&output);
    for key in [
        "spotify.client_id",
        "spotify.redirect_uri",
        "server.prot",
        "server.host",
        "server.port",
        "server.public_url",
        "storage.url",
        "auth.signup",
        "auth.lifetimes.code",
        "telemetry.log_level",
    ] {
        let problem = problems.iter().find(|problem| problem["key"] == key);
        let problem = problem.unwrap_or_else(|| panic!("{key} is not among {problems:#?}"));
        for part in ["code", "origin", "why", "fix"] {
            assert!(problem[part].as_str().is_some_and(|text| !text.is_empty()), "{key} has no {part}");
        }
    }
    assert_eq!(problems.len(), 10, "{problems:#?}");
}

#[test]
fn secrets_are_masked_and_every_value_has_an_origin() {
    let here = Here::new();
    let env = [
        ("SPOTIFY_CLIENT_ID", "0123456789abcdef"),
        ("SPOTIFY_CLIENT_SECRET", "sentinel-secret"),
        ("DATABASE_URL", "postgres://music:sentinel-password@db/music?password=sentinel-query"),
        ("SPOTIFY_MCP__SECURITY__PASSPHRASE", "sentinel correct horse"),
        (
            "SPOTIFY_MCP__SPOTIFY__APPS",
            r#"[{"client_id":"fedcba9876543210","client_secret":"sentinel-app"}]"#,
        ),
    ];
    for format in ["text", "json"] {
        let output = here.run(&["config", "show", "--format", format], &env);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(!text(&output).contains("sentinel"), "{}", text(&output));
        assert!(text(&output).contains("postgres://music:********@db/music"));
    }
    let shown: Value =
        serde_json::from_slice(&here.run(&["config", "show", "--format", "json"], &env).stdout).unwrap();
    let settings = shown["settings"].as_array().unwrap();
    let secret = settings.iter().find(|row| row["key"] == "spotify.client_secret").unwrap();
    assert_eq!(secret["value"], "********");
    assert_eq!(secret["origin"], "environment SPOTIFY_CLIENT_SECRET");
    assert!(settings.iter().all(|row| row["origin"].as_str().is_some_and(|origin| !origin.is_empty())));
}

#[test]
fn every_mistake_in_configured_clients_is_told_at_once() {
    let here = Here::new();
    here.file(
        "clients.toml",
        "[[auth.clients]]\nid = \"\"\nname = \"One\"\nredirect_uris = [\"http://music.example/cb\", \"ftp://a/\"]\n\
         [[auth.clients]]\nid = \"two\"\nredirect_uris = [\"https://a.example/cb\"]\nsecret = \"hunter2\"\nmore = 1\n",
    );
    let output = here.run(&["config", "show", "--config", "clients.toml", "--format", "json"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output).contains("hunter2"));
    let problems = problems(&output);
    let whys: Vec<_> = problems.iter().map(|problem| problem["why"].as_str().unwrap()).collect();
    assert_eq!(whys.len(), 6, "{whys:#?}");
    assert_eq!(whys.iter().filter(|why| why.starts_with("client 1: ")).count(), 3, "{whys:#?}");
    let http = problems.iter().find(|problem| problem["why"].as_str().unwrap().contains("music.example"));
    assert!(http.unwrap()["fix"].as_str().unwrap().contains("https://"), "{http:?}");
}

#[test]
fn init_writes_a_configuration_that_loads() {
    for name in ["server.toml", "server.json"] {
        let here = Here::new();
        let secret = here.file("secret", "s3cret\n");
        let args = ["config", "init", "--non-interactive", "--format", "json", "--output", name];
        let flags =
            ["--client-id", "0123456789abcdef0123456789abcdef", "--public-url", "https://music.example.org"];
        let output = here
            .run(&[&args[..], &flags[..], &["--client-secret-file", secret.to_str().unwrap()]].concat(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["redirect_uri"], "https://music.example.org/auth/callback");
        assert!(answer["notice"].as_str().unwrap().contains("III.14"));
        for file in [name, "master.key"] {
            let mode = fs::metadata(here.path(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        let shown = here.run(&["config", "show", "--config", name], &[]);
        assert_eq!(shown.status.code(), Some(0), "{}", text(&shown));

        let key = fs::read(here.path("master.key")).unwrap();
        let again = here.run(&args, &[]);
        assert_eq!(again.status.code(), Some(2));
        assert!(text(&again).contains("FILE_EXISTS"), "{}", text(&again));
        assert_eq!(fs::read(here.path("master.key")).unwrap(), key, "nothing is overwritten");
        let beside = here.run(&["config", "init", "--non-interactive", "-o", "another.toml"], &[]);
        assert_eq!(beside.status.code(), Some(2));
        assert!(text(&beside).contains("a database may need that key"), "{}", text(&beside));
    }
}

#[test]
fn init_says_what_is_missing_before_it_can_serve() {
    let here = Here::new();
    let output = here.run(&["config", "init", "--non-interactive"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let last = String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned();
    assert!(last.contains("client_id") && last.contains("serve --config spotify-mcp.toml"), "{last}");
    let here = Here::new();
    let output = here.run(&["config", "init", "--client-id", "0123456789abcdef0123456789abcdef"], &[]);
    let text = text(&output);
    assert!(text.contains("Then: spotify-mcp serve") && !text.contains("CONFIG_MISSING"), "{text}");
}

#[test]
fn init_leaves_nothing_behind_when_an_answer_is_wrong() {
    let here = Here::new();
    let output =
        here.run(&["config", "init", "--non-interactive", "--public-url", "http://music.example.org"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("PUBLIC_URL_WITHOUT_TLS"), "{}", text(&output));
    assert_eq!(fs::read_dir(&here.0).unwrap().count(), 0);
}

#[test]
fn keygen_makes_keys_that_are_accepted() {
    let here = Here::new();
    let printed = here.run(&["config", "keygen"], &[]);
    let key = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(
        here.run(&["config", "show"], &[("SPOTIFY_MCP_MASTER_KEY", key.trim())]).status.code(),
        Some(0)
    );

    assert_eq!(here.run(&["config", "keygen", "-o", "k"], &[]).status.code(), Some(0));
    assert_eq!(fs::metadata(here.path("k")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_ne!(fs::read_to_string(here.path("k")).unwrap(), key);
    assert_eq!(here.run(&["config", "show"], &[("SPOTIFY_MCP_MASTER_KEY_FILE", "k")]).status.code(), Some(0));
    assert_eq!(here.run(&["config", "keygen", "-o", "k"], &[]).status.code(), Some(2));
    assert_eq!(here.run(&["config", "keygen", "-o", "no/such/folder/k"], &[]).status.code(), Some(3));
}

#[test]
fn a_wrong_master_key_is_told_which_mistake_it_is() {
    let here = Here::new();
    let good = String::from_utf8(here.run(&["config", "keygen"], &[]).stdout).unwrap();
    let good = good.trim();
    let cases = [
        ("MASTER_KEY_SHORT", good[..40].to_owned()),
        ("MASTER_KEY_LONG", format!("{}AAAA{}", &good[..20], &good[20..])),
        ("MASTER_KEY_URL_SAFE", format!("-_{}", &good[2..])),
        ("MASTER_KEY_PADDING", good.trim_end_matches('=').to_owned()),
        ("MASTER_KEY_PADDING", format!("{good}=")),
        ("MASTER_KEY_WHITESPACE", format!(" {good}")),
        ("MASTER_KEY_HEX", "0123456789abcdef".repeat(4)),
        ("MASTER_KEY_TRIVIAL", format!("{}=", "A".repeat(43))),
        ("MASTER_KEY_ALPHABET", format!("!!{}", &good[2..])),
    ];
    for (code, key) in cases {
        let output =
            here.run(&["config", "show", "--format", "json"], &[("SPOTIFY_MCP_MASTER_KEY", key.as_str())]);
        assert_eq!(output.status.code(), Some(2), "{code}");
        let problems = problems(&output);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(problems[0]["code"], code);
        assert_eq!(problems[0]["origin"], "environment SPOTIFY_MCP_MASTER_KEY");
        assert!(!text(&output).contains(key.trim()), "a refused key is not shown");
    }
}

#[test]
fn production_refuses_what_development_allows() {
    let here = Here::new();
    let key = here.file("key", "");
    fs::write(&key, here.run(&["config", "keygen"], &[]).stdout).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let env = [
        ("DEPLOYMENT_ENVIRONMENT", "production"),
        ("PUBLIC_URL", "http://music.example.org"),
        ("SPOTIFY_ACCOUNTS_URL", "https://accounts.evil.example"),
        ("SPOTIFY_MCP_MASTER_KEY_FILE", key.to_str().unwrap()),
        ("LOG_LEVEL", "debug"),
    ];
    let output = here.run(&["serve", "--sandbox", "--format", "json"], &env);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let found: Vec<_> =
        problems(&output).iter().map(|problem| problem["code"].as_str().unwrap().to_owned()).collect();
    for code in [
        "PUBLIC_URL_WITHOUT_TLS",
        "SANDBOX",
        "FOREIGN_UPSTREAM",
        "SECRET_FILE_READABLE_BY_OTHERS",
        "DEBUG_LOG",
        "REDIRECT_WITHOUT_TLS",
    ] {
        assert!(found.iter().any(|named| named == code), "{code} is not among {found:?}");
    }
    assert!(!here.path("data").exists(), "a refused start writes nothing");
}

#[test]
fn completions_and_manual_need_no_configuration() {
    let here = Here::new();
    let broken = [("SPOTIFY_MCP_CONFIG", "absent.toml")];
    for shell in ["bash", "zsh", "fish"] {
        let output = here.run(&["completions", shell], &broken);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output).contains("keygen"), "{shell}");
    }
    assert!(text(&here.run(&["man"], &broken)).contains(".TH spotify-mcp 1"));
    assert_eq!(here.run(&["man", "--output-dir", "new/pages"], &broken).status.code(), Some(0));
    assert!(here.path("new/pages/spotify-mcp-config-init.1").exists());
    here.file("a-file", "");
    let refused = here.run(&["man", "--output-dir", "a-file/pages"], &broken);
    assert_eq!(refused.status.code(), Some(3));
    for words in ["MAN_WRITE", "a-file/pages", "Not a directory"] {
        assert!(text(&refused).contains(words), "{}", text(&refused));
    }
}

/// A folder of one test's own, in which the binary runs without the environment of the tests.
struct Here(PathBuf);

impl Here {
    fn new() -> Self {
        let name: String = Dice::system().bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("spotify-mcp-it-config-{name}"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        Command::new(Path::new(env!("CARGO_BIN_EXE_spotify-mcp")))
            .args(args)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", &self.0)
            .env("DATA_DIR", self.path("data"))
            .envs(env.iter().copied())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The problems of a failure in JSON: the last line of standard error.
fn problems(output: &Output) -> Vec<Value> {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = errors.lines().last().unwrap_or_default();
    let failure: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {errors}"));
    failure["error"]["problems"].as_array().cloned().unwrap_or_default()
}
