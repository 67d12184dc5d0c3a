//! Loading as a whole: layers, origins, every problem at once.

use std::path::Path;

use super::*;
use crate::ambient::Dice;
use crate::policy::Environment;

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name: String = Dice::system().bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("spotify-mcp-config-{name}"));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sources(env: &[(&str, &str)]) -> Sources {
    let mut env: BTreeMap<String, OsString> =
        env.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
    env.entry("HOME".into()).or_insert_with(|| "/home/someone".into());
    Sources { env, ..Sources::default() }
}

fn config(env: &[(&str, &str)]) -> Config {
    load(&sources(env)).unwrap().accept().unwrap()
}

fn problems(sources: &Sources) -> Vec<(String, String)> {
    let loaded = load(sources).unwrap();
    loaded.problems().iter().map(|problem| (problem.code.clone(), problem.key.clone())).collect()
}

fn codes(env: &[(&str, &str)]) -> Vec<String> {
    problems(&sources(env)).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn nothing_at_all_is_a_development_server_on_loopback() {
    let config = config(&[]);
    assert_eq!(config.server.listen(), "127.0.0.1:8000".parse().unwrap());
    assert_eq!(config.server.issuer(), "http://127.0.0.1:8000");
    assert_eq!(config.spotify.redirect_uri.as_str(), "http://127.0.0.1:8000/auth/callback");
    assert_eq!(config.security.environment, Environment::Development);
    assert_eq!(config.storage.url.expose(), "sqlite:///home/someone/.local/share/spotify-mcp/spotify-mcp.db");
    assert_eq!(config.limits.calls_per_user_per_minute, 600);
    assert_eq!(config.api.tool_deadline().as_secs(), 25);
}

#[test]
fn every_key_of_the_table_reaches_the_typed_configuration() {
    let source = concat!(
        include_str!("alerts.rs"),
        include_str!("build.rs"),
        include_str!("build_metrics.rs"),
        include_str!("build_spotify.rs"),
        include_str!("clients.rs"),
        include_str!("mail.rs")
    );
    for spec in table::TABLE.iter().filter(|spec| spec.role == keys::Role::Setting) {
        // `server.transports` has one possible value so far, and so nothing to build from it.
        let is_read = source.contains(&format!("\"{}\"", spec.path)) || spec.path == "server.transports";
        assert!(is_read, "{} is accepted and not used", spec.path);
    }
}

#[test]
fn later_layers_win_and_tell_where_they_came_from() {
    let folder = Folder::new();
    let file = folder.file(
        "c.toml",
        "[server]\nport = 1001\n[telemetry]\nlog_level = \"warn\"\n[api]\ntimeout = \"${WAIT}\"\n",
    );
    let env_file = folder.file("e.env", "PORT=1002\nLOG_LEVEL=error\n");
    let mut sources = sources(&[("SERVER_PORT", "1003"), ("LOG_LEVEL", ""), ("WAIT", "7s")]);
    sources.file = Some(file);
    sources.env_file = Some(env_file);
    sources.flags.push(Flag { key: "server.port", name: "--listen", value: "1004".into() });
    let loaded = load(&sources).unwrap();
    let row = |key: &str| loaded.rows().into_iter().find(|row| row.key == key).unwrap();
    assert_eq!(
        (row("server.port").value.as_deref(), row("server.port").origin.as_str()),
        (Some("1004"), "flag --listen")
    );
    assert!(row("api.timeout").origin.ends_with("c.toml:6"), "{}", row("api.timeout").origin);
    let config = loaded.accept().unwrap();
    assert_eq!(config.api.timeout.as_secs(), 7);
    assert_eq!(config.telemetry.log_level, LogLevel::Warn, "an empty variable unsets the dotenv file's");
}

#[test]
fn older_names_are_aliases_and_their_own_names_win() {
    let folder = Folder::new();
    let mut sources = sources(&[]);
    sources.file = Some(folder.file(
        "a.json",
        r#"{"server": {"log_level": "ERROR"}, "cache": {"db_path": "x", "enabled": false}}"#,
    ));
    let loaded = load(&sources).unwrap();
    assert!(loaded.notices().iter().any(|notice| notice.key == "cache.db_path"));
    let config = loaded.accept().unwrap();
    assert_eq!(config.telemetry.log_level, LogLevel::Error);
    sources.file = Some(
        folder.file("b.json", r#"{"server": {"log_level": "error"}, "telemetry": {"log_level": "warn"}}"#),
    );
    assert_eq!(load(&sources).unwrap().accept().unwrap().telemetry.log_level, LogLevel::Warn);
}

#[test]
fn all_problems_are_reported_at_once() {
    let folder = Folder::new();
    let text = "[server]\nprot = 1\nhost = \"nowhere\"\n[storage]\nurl = \"mysql://u:hunter2@h/n\"\n[auth]\nsignup = \"all\"\n";
    let mut sources = sources(&[
        ("SERVER_PORT", "x"),
        ("SPOTIFY_MCP__LIMIT__CONNECTIONS", "1"),
        ("SUPABASE_SERVICE_ROLE_KEY", "k"),
    ]);
    sources.file = Some(folder.file("c.toml", text));
    let found = problems(&sources);
    let expected = [
        "server.prot",
        "server.host",
        "storage.url",
        "auth.signup",
        "server.port",
        "SPOTIFY_MCP__LIMIT__CONNECTIONS",
        "SUPABASE_SERVICE_ROLE_KEY",
    ];
    for key in expected {
        assert!(found.iter().any(|(_, named)| named == key), "{key} is missing in {found:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
    let loaded = load(&sources).unwrap();
    assert!(loaded.problems().iter().all(|problem| !problem.why.contains("hunter2")));
    let unknown = &loaded.problems().iter().find(|problem| problem.key == "server.prot").unwrap();
    assert!(unknown.fix.contains("server.port") && unknown.origin.to_string().ends_with(":2"));
}

#[test]
fn secrets_come_from_files_of_their_own() {
    let folder = Folder::new();
    let file = folder.file("secret", "hunter2\r\n");
    let name = file.to_str().unwrap();
    let of =
        |env: &[(&str, &str)]| config(env).spotify.apps[0].client_secret.clone().unwrap().expose().to_owned();
    let id = ("SPOTIFY_CLIENT_ID", "0123456789abcdef");
    assert_eq!(of(&[id, ("SPOTIFY_CLIENT_SECRET_FILE", name)]), "hunter2");
    assert_eq!(of(&[id, ("SPOTIFY_MCP__SPOTIFY__CLIENT_SECRET_FILE", name)]), "hunter2");
    assert_eq!(
        of(&[id, ("SPOTIFY_CLIENT_SECRET_FILE", name), ("SPOTIFY_CLIENT_SECRET", "direct")]),
        "direct"
    );
    assert_eq!(codes(&[("SPOTIFY_CLIENT_SECRET_FILE", "/no/such")]), ["CONFIG_FILE_UNREADABLE"]);
    let mut sources = sources(&[]);
    sources.file = Some(
        folder
            .file("c.toml", "[spotify]\nclient_id = \"0123456789abcdef\"\nclient_secret_file = \"secret\"\n"),
    );
    assert_eq!(load(&sources).unwrap().accept().unwrap().spotify.apps.len(), 1);
}

#[test]
fn what_leaves_loopback_must_say_where_and_for_whom() {
    assert_eq!(codes(&[("SERVER_HOST", "0.0.0.0")]), ["CONFIG_MISSING", "ENVIRONMENT_UNNAMED_OFF_LOOPBACK"]);
    assert_eq!(codes(&[("PUBLIC_URL", "https://a.example")]), ["ENVIRONMENT_UNNAMED_OFF_LOOPBACK"]);
    let named = [
        ("PUBLIC_URL", "https://a.example/"),
        ("DEPLOYMENT_ENVIRONMENT", "production"),
        ("SERVER_HOST", "0.0.0.0"),
    ];
    assert_eq!(config(&named).server.issuer(), "https://a.example");
    assert_eq!(
        codes(&[("PUBLIC_URL", "http://a.example"), ("DEPLOYMENT_ENVIRONMENT", "production")]),
        ["PUBLIC_URL_WITHOUT_TLS", "REDIRECT_WITHOUT_TLS"]
    );
}

#[test]
fn serving_needs_an_app_and_outside_development_a_key() {
    let mut sources =
        sources(&[("DEPLOYMENT_ENVIRONMENT", "production"), ("PUBLIC_URL", "https://a.example")]);
    sources.purpose = Purpose::Serve { sandbox: false, log_level_ends: false };
    let found: Vec<_> = problems(&sources).into_iter().map(|(code, _)| code).collect();
    assert_eq!(found, ["CONFIG_MISSING", "MASTER_KEY_MISSING"]);
    sources.purpose = Purpose::Serve { sandbox: true, log_level_ends: false };
    assert!(problems(&sources).iter().any(|(code, _)| code == "SANDBOX"));
}

#[test]
fn apps_have_seats_by_their_mode() {
    let apps = r#"[{"client_id":"aaaaaaaaaaaaaaaa","quota_mode":"extended"},{"client_id":"bbbbbbbbbbbbbbbb","seats":3}]"#;
    let config = config(&[("SPOTIFY_CLIENT_ID", "0123456789abcdef"), ("SPOTIFY_MCP__SPOTIFY__APPS", apps)]);
    let seats: Vec<_> = config.spotify.apps.iter().map(|app| app.seats).collect();
    assert_eq!(seats, [Some(5), None, Some(3)]);
}

#[test]
fn the_master_key_is_made_once_and_refused_when_exposed() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let data = folder.0.join("data");
    let config = config(&[("DATA_DIR", data.to_str().unwrap())]);
    let dice = Dice::system();
    let key = |found: master_key::MasterKey| match found {
        master_key::MasterKey::Key { key, place } => (key, place),
        master_key::MasterKey::Passphrase { .. } => unreachable!("no passphrase was said"),
    };
    let (first, place) = key(master_key::master_key(&config, &dice).unwrap());
    let path = data.join("master.key");
    assert_eq!(place, master_key::KeyPlace::Made(path.clone()));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let (second, place) = key(master_key::master_key(&config, &dice).unwrap());
    assert!(first == second);
    assert_eq!(place, master_key::KeyPlace::BesideData(path.clone()));
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1, "no temporary file stays");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(master_key::master_key(&config, &dice).unwrap_err().wrong.code, "MASTER_KEY_EXPOSED");
}

#[test]
fn master_key_sources_are_tried_in_order() {
    let folder = Folder::new();
    let dice = Dice::system();
    let texts: Vec<String> = (0..4).map(|_| master_key::generate(&dice).expose().to_owned()).collect();
    let credentials = folder.0.join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("master-key"), &texts[2]).unwrap();
    let file = folder.file("key", &format!("{}\n", texts[1]));
    let command = format!("printf {}", texts[3]);
    let mut env = vec![
        ("SPOTIFY_MCP_MASTER_KEY", texts[0].as_str()),
        ("SPOTIFY_MCP_MASTER_KEY_FILE", file.to_str().unwrap()),
        ("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap()),
        ("SPOTIFY_MCP__SECURITY__MASTER_KEY_COMMAND", command.as_str()),
    ];
    for text in &texts {
        match master_key::master_key(&config(&env), &dice).unwrap() {
            master_key::MasterKey::Key { key, .. } => assert!(key == master_key::decode(text).unwrap()),
            master_key::MasterKey::Passphrase { .. } => unreachable!("no passphrase was said"),
        }
        env.remove(0);
    }
}

#[test]
fn the_reference_files_are_made_from_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, made) in
        [("deploy/env.example", reference::env_example()), ("deploy/configuration.md", reference::markdown())]
    {
        let path = root.join(file);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert_eq!(kept, made, "{file} is stale: run the tests with UPDATE=1 to write it anew");
    }
}
