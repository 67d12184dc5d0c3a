//! Sealed configuration files through the built binary: every verb, every typed status, and `serve` itself.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use spotify_mcp::ambient::Dice;

const PLAIN: &str = "\
[spotify]
client_id = \"0123456789abcdef0123456789abcdef\"
client_secret = \"sentinel-client\"
[[spotify.apps]]
client_id = \"fedcba9876543210fedcba9876543210\"
client_secret = \"sentinel-app\"
seats = 5
[server]
port = 9000
public_url = \"http://127.0.0.1:9000\"
[storage]
url = \"postgres://music:sentinel-${WORD}@127.0.0.1:1/music\"
[[auth.clients]]
id = \"desk\"
name = \"Desk\"
redirect_uris = [\"http://127.0.0.1/callback\"]
secret = \"sentinel-of-a-configured-client\"
";

#[test]
fn a_sealed_file_loads_everywhere_and_shows_no_secret() {
    let desk = Desk::sealed();
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    assert!(!text.contains("sentinel"), "{text}");
    assert!(text.contains("\"public_url\": \"http://127.0.0.1:9000\"") && text.contains("\"client_secret\""));
    assert_eq!(desk.mode("c.encrypted.json"), 0o600);
    assert_eq!(fs::read_to_string(desk.path("c.toml")).unwrap(), PLAIN, "the plain file is untouched");

    let shown = desk.run(&["config", "show", "--config", "c.encrypted.json", "--format", "json"]);
    assert_eq!(status(&shown), 0, "{}", words(&shown));
    assert!(!words(&shown).contains("sentinel"), "{}", words(&shown));
    let settings: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let row = |key: &str| {
        settings["settings"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone()
    };
    assert_eq!(
        (
            &row("server.port")["value"],
            row("server.port")["origin"].as_str().unwrap().ends_with("(sealed file)")
        ),
        (&"9000".into(), true)
    );
    assert_eq!(row("spotify.client_secret")["value"], "********");
    assert!(row("spotify.apps")["value"].as_str().unwrap().contains("(development) secret ********"));

    // What it means is what its plain form means: a variable within a secret is replaced after opening.
    let url = desk.run(&["config", "get", "storage.url", "--config", "c.encrypted.json"]);
    assert_eq!(words(&url).trim(), "postgres://music:sentinel-${WORD}@127.0.0.1:1/music");
    let unset = desk.run_with(&["config", "show", "--config", "c.encrypted.json"], &[("WORD", "")], "");
    assert!(words(&unset).contains("CONFIG_VARIABLE_UNSET"), "{}", words(&unset));
}

#[test]
fn serve_takes_a_sealed_file_and_refuses_every_broken_one_with_status_2() {
    let desk = Desk::sealed();
    // Its database cannot be reached: it came that far with the sealed URL.
    let serve = |env: &[(&str, &str)]| {
        desk.run_with(&["serve", "--config", "c.encrypted.json", "--format", "json"], env, "")
    };
    let started = serve(&[]);
    assert_eq!(status(&started), 3, "{}", words(&started));
    assert!(!words(&started).contains("sentinel"), "{}", words(&started));

    let other = desk.key("other.key");
    for (env, code) in [
        (&[("SPOTIFY_MCP_MASTER_KEY_FILE", other.as_str())][..], "CONFIG_WRONG_KEY"),
        (&[("SPOTIFY_MCP_MASTER_KEY_FILE", "")][..], "CONFIG_NO_KEY_SOURCE"),
        (
            &[("SPOTIFY_MCP_MASTER_KEY_FILE", ""), ("SPOTIFY_MCP_MASTER_KEY", "short")][..],
            "CONFIG_NO_KEY_SOURCE",
        ),
    ] {
        let output = serve(env);
        assert_eq!(status(&output), 2, "{}", words(&output));
        assert!(words(&output).contains(code), "{code}: {}", words(&output));
    }
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    for (damaged, code) in [
        (text.replace("9000", "9001"), "CONFIG_TAMPERED"),
        (text.replace("  \"server\"", "   \"server\""), "CONFIG_TAMPERED"),
        (text.replace("configuration/v1", "configuration/v2"), "CONFIG_VERSION_UNKNOWN"),
        ("{\"server\": {\"port\": 9000}}".to_owned(), "CONFIG_TAMPERED"),
    ] {
        desk.write("c.encrypted.json", &damaged);
        let output = serve(&[]);
        assert_eq!(status(&output), 2, "{}", words(&output));
        assert!(words(&output).contains(code), "{code}: {}", words(&output));
        assert!(words(&output).contains("\"fix\""), "{}", words(&output));
    }
}

#[test]
fn every_source_outside_the_file_opens_it_and_nothing_within_does() {
    let desk = Desk::sealed();
    let key = fs::read_to_string(desk.path("master.key")).unwrap().trim().to_owned();
    let none = ("SPOTIFY_MCP_MASTER_KEY_FILE", "");
    let show = |env: &[(&str, &str)]| {
        let mut env = env.to_vec();
        env.push(none);
        desk.run_with(&["config", "show", "--config", "c.encrypted.json"], &env, "")
    };
    assert_eq!(status(&show(&[("SPOTIFY_MCP_MASTER_KEY", &key)])), 0);
    assert_eq!(status(&show(&[("SPOTIFY_MCP__SECURITY__MASTER_KEY_COMMAND", "cat master.key")])), 0);
    fs::create_dir(desk.path("credentials")).unwrap();
    fs::copy(desk.path("master.key"), desk.path("credentials/master-key")).unwrap();
    assert_eq!(status(&show(&[("CREDENTIALS_DIRECTORY", "credentials")])), 0);
    fs::create_dir(desk.path("data")).unwrap();
    fs::copy(desk.path("master.key"), desk.path("data/master.key")).unwrap();
    assert_eq!(status(&show(&[])), 0, "{}", words(&show(&[])));

    // A file that names its own data directory does not thereby bring its own key.
    let inside = format!("[storage]\ndata_dir = \"{}\"\n", desk.path("data").display());
    desk.write("inside.toml", &inside);
    assert_eq!(status(&desk.run(&["config", "encrypt", "inside.toml"])), 0);
    let args = ["config", "show", "--config", "inside.encrypted.json"];
    let shown = desk.run_with(&args, &[none, ("DATA_DIR", "")], "");
    assert_eq!(status(&shown), 2);
    assert!(words(&shown).contains("CONFIG_NO_KEY_SOURCE"), "{}", words(&shown));
}

#[test]
fn every_refusal_has_its_typed_status() {
    let desk = Desk::sealed();
    let other = desk.key("other.key");
    let verify = |env: &[(&str, &str)]| {
        let output = desk.run_with(&["config", "verify", "c.encrypted.json"], env, "");
        (status(&output), words(&output))
    };
    assert_eq!(verify(&[]).0, 0, "{}", verify(&[]).1);
    assert_eq!(verify(&[("SPOTIFY_MCP_MASTER_KEY_FILE", &other)]).0, 10);
    assert_eq!(verify(&[("SPOTIFY_MCP_MASTER_KEY_FILE", "")]).0, 16);
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    let with = |text: &str| {
        desk.write("c.encrypted.json", text);
        verify(&[]).0
    };
    assert_eq!(with(&text.replace("9000", "9001")), 11);
    assert_eq!(with(&text.replace("configuration/v1", "configuration/v7")), 13);
    assert_eq!(with("{}\n"), 11);
    assert_eq!(with(&text), 0);
    fs::set_permissions(desk.path("c.encrypted.json"), fs::Permissions::from_mode(0o620)).unwrap();
    assert_eq!(verify(&[]).0, 17);

    let phrase = desk.write("phrase", "correct horse battery");
    let args = ["config", "encrypt", "c.toml", "-o", "p.json", "--passphrase-file", &phrase];
    assert_eq!(status(&desk.run(&args)), 0);
    let weak = fs::read_to_string(desk.path("p.json")).unwrap().replace(": 65536", ": 1024");
    desk.write("p.json", &weak);
    assert_eq!(status(&desk.run(&["config", "verify", "p.json"])), 14);

    for wrong in ["[server]\nprot = 1\n", "[server]\nport = \"many\"\n"] {
        desk.write("wrong.toml", wrong);
        let output = desk.run(&["config", "encrypt", "wrong.toml"]);
        assert_eq!(status(&output), 15, "{}", words(&output));
        assert!(!desk.path("wrong.encrypted.json").exists());
    }
}

#[test]
fn passphrase_and_recovery_key_open_it_too() {
    let desk = Desk::new();
    let phrase = desk.write("phrase", "correct horse battery\n");
    let args = ["config", "encrypt", "c.toml", "--passphrase-file", &phrase, "--kdf", "pbkdf2-sha256"];
    let sealed = desk.run(&[&args[..], &["--recovery-out", "recovery.key", "--format", "json"]].concat());
    assert_eq!(status(&sealed), 0, "{}", words(&sealed));
    let report: Value = serde_json::from_slice(&sealed.stdout).unwrap();
    let kinds: Vec<&str> =
        report["slots"].as_array().unwrap().iter().map(|slot| slot["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["master-key", "passphrase", "recovery"]);
    assert_eq!(desk.mode("recovery.key"), 0o600);
    let none = [("SPOTIFY_MCP_MASTER_KEY_FILE", "")];
    for flag in [&["--recovery-key-file", "recovery.key"], &["--passphrase-file", "phrase"]] {
        let args = [&["config", "decrypt", "c.encrypted.json"][..], flag].concat();
        let output = desk.run_with(&args, &none, "");
        assert_eq!(status(&output), 0, "{}", words(&output));
        let plain: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(plain["spotify"]["client_secret"], "sentinel-client");
    }
    let env = [none[0], ("SPOTIFY_MCP__SECURITY__PASSPHRASE", "correct horse battery")];
    assert_eq!(status(&desk.run_with(&["config", "show", "--config", "c.encrypted.json"], &env, "")), 0);
    let env = [none[0], ("SPOTIFY_MCP__SECURITY__PASSPHRASE", "another horse battery")];
    assert_eq!(status(&desk.run_with(&["config", "verify", "c.encrypted.json"], &env, "")), 10);
    // A recovery key is no master key.
    let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", "recovery.key")];
    assert_eq!(status(&desk.run_with(&["config", "verify", "c.encrypted.json"], &env, "")), 10);
}

#[test]
fn nothing_is_overwritten_and_no_secret_lands_where_others_read() {
    let desk = Desk::sealed();
    let before = fs::read(desk.path("c.encrypted.json")).unwrap();
    let again = desk.run(&["config", "encrypt", "c.toml"]);
    assert_eq!((status(&again), words(&again).contains("FILE_EXISTS")), (2, true));
    assert_eq!(fs::read(desk.path("c.encrypted.json")).unwrap(), before);
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml", "--force"])), 0);
    assert_eq!(fs::read(desk.path("c.encrypted.json.bak")).unwrap(), before);
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml", "-o", "c.toml", "--force"])), 2);

    assert_eq!(status(&desk.run(&["config", "decrypt", "c.encrypted.json", "-o", "out.json"])), 0);
    assert_eq!(desk.mode("out.json"), 0o600);
    assert_eq!(status(&desk.run(&["config", "decrypt", "c.encrypted.json", "-o", "out.json"])), 2);
    for (mode, expected) in [(0o644, 17), (0o600, 0)] {
        for args in [
            &["config", "decrypt", "c.encrypted.json"][..],
            &["config", "get", "spotify.client_secret", "--config", "c.encrypted.json"],
        ] {
            let file = fs::File::create(desk.path("stdout")).unwrap();
            file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
            let output = desk.command(args, &[]).stdout(file).output().unwrap();
            assert_eq!(status(&output), expected, "{}", words(&output));
            let printed = fs::read_to_string(desk.path("stdout")).unwrap();
            assert_eq!(printed.contains("sentinel-client"), expected == 0);
        }
    }
}

#[test]
fn one_value_is_changed_and_every_other_keeps_its_bytes() {
    let desk = Desk::sealed();
    let before = desk.json("c.encrypted.json");
    let set = |args: &[&str], input: &str| {
        let args = [&["config", "set"], args, &["--config", "c.encrypted.json"]].concat();
        let output = desk.run_with(&args, &[], input);
        (status(&output), words(&output))
    };
    assert_eq!(set(&["spotify.client_secret"], "new ${sentinel}\n").0, 0);
    let after = desk.json("c.encrypted.json");
    assert_eq!(after["$sealed"]["rev"], 2);
    assert_eq!(after["$sealed"]["lineage"], before["$sealed"]["lineage"]);
    assert_ne!(after["spotify"]["client_secret"], before["spotify"]["client_secret"]);
    assert_eq!(after["spotify"]["apps"], before["spotify"]["apps"]);
    assert_eq!(after["storage"], before["storage"]);
    assert_eq!(desk.json("c.encrypted.json.bak"), before);
    // To the letter: the variable within a secret from standard input is none.
    assert_eq!(status(&desk.run(&["config", "show", "--config", "c.encrypted.json"])), 0);

    assert_eq!(set(&["spotify.client_secret"], "new ${sentinel}\n").0, 19);
    assert_eq!(set(&["server.port", "--value", "9100"], "").0, 0);
    assert_eq!(desk.json("c.encrypted.json")["server"]["port"], 9100);
    assert_eq!(set(&["spotify.apps.0.client_secret", "--value", "visible"], "").0, 2);
    assert_eq!(set(&["spotify.apps.0.client_secret", "--value", "${WORD}"], "").0, 0);
    assert_eq!(desk.json("c.encrypted.json")["spotify"]["apps"][0]["client_secret"], "${WORD}");
    assert_eq!(set(&["server.port", "--value", "70000"], "").0, 15);
    let (code, text) = set(&["server.prot", "--value", "1"], "");
    assert_eq!((code, text.contains("server.port")), (2, true));
    assert_eq!(set(&["spotify.apps.7.seats", "--value", "1"], "").0, 2);
    assert_eq!(set(&["server.port", "--unset"], "").0, 0);
    let unset = desk.run(&["config", "get", "server.port", "--config", "c.encrypted.json"]);
    assert_eq!((status(&unset), words(&unset).contains("CONFIG_KEY_UNSET")), (1, true));
    assert_eq!(desk.json("c.encrypted.json")["$sealed"]["rev"], 5);

    let lock = fs::File::create(desk.path("c.encrypted.json.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(set(&["server.port", "--value", "9200"], "").0, 18);
    drop(lock);
    assert_eq!(set(&["server.port", "--value", "9200"], "").0, 0);
    let left: Vec<_> = fs::read_dir(&desk.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
}

#[test]
fn differences_show_fingerprints_and_never_a_secret() {
    let desk = Desk::sealed();
    for (key, value) in [("spotify.client_secret", "sentinel-two"), ("server.port", "9100")] {
        let args = ["config", "set", key, "--config", "c.encrypted.json"];
        assert_eq!(status(&desk.run_with(&args, &[], value)), 0);
    }
    fs::rename(desk.path("c.encrypted.json"), desk.path("new.encrypted.json")).unwrap();
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml"])), 0);
    let output = desk.run(&["config", "diff", "c.encrypted.json", "new.encrypted.json"]);
    let text = words(&output);
    assert_eq!(status(&output), 1);
    assert!(!text.contains("sentinel"), "{text}");
    assert!(text.contains("- server.port = 9000\n+ server.port = 9100\n"), "{text}");
    assert!(text.contains("- spotify.client_secret = <secret ") && text.lines().count() == 4, "{text}");
    assert_eq!(status(&desk.run(&["config", "diff", "c.toml", "c.encrypted.json"])), 0);
    let json = desk.run(&["config", "diff", "c.toml", "new.encrypted.json", "--format", "json"]);
    let changes: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(changes["changes"].as_array().unwrap().len(), 2);

    // As git runs it: a copy under another name.
    fs::copy(desk.path("c.encrypted.json"), desk.path("x1y2z3_c.encrypted.json")).unwrap();
    let lines = desk.run(&["config", "diff", "--textconv", "x1y2z3_c.encrypted.json"]);
    assert_eq!(status(&lines), 0, "{}", words(&lines));
    assert!(words(&lines).contains("server.port = 9000\n") && !words(&lines).contains("sentinel"));
}

#[test]
fn rekeying_leaves_the_old_key_nothing_and_loses_no_slot_by_accident() {
    let desk = Desk::new();
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml", "--recovery-out", "recovery.key"])), 0);
    let before = desk.json("c.encrypted.json");
    let rekey = |args: &[&str]| desk.run(&[&["config", "rekey", "c.encrypted.json"], args].concat());
    let refused = rekey(&["--new-master-key-file", "new.key"]);
    assert_eq!(status(&refused), 10, "{}", words(&refused));
    assert!(words(&refused).contains("CONFIG_SLOT_WITHOUT_KEY"), "{}", words(&refused));
    assert_eq!(desk.json("c.encrypted.json"), before);

    let done = rekey(&["--new-master-key-file", "new.key", "--recovery-key-file", "recovery.key"]);
    assert_eq!(status(&done), 0, "{}", words(&done));
    assert_eq!(desk.mode("new.key"), 0o600);
    let after = desk.json("c.encrypted.json");
    assert_eq!(
        (after["$sealed"]["rev"].clone(), desk.json("c.encrypted.json.bak")),
        (2.into(), before.clone())
    );
    assert_ne!(after["storage"]["url"], before["storage"]["url"]);
    assert_eq!(status(&desk.run(&["config", "verify", "c.encrypted.json"])), 10);
    let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", "new.key")];
    assert_eq!(status(&desk.run_with(&["config", "verify", "c.encrypted.json"], &env, "")), 0);
    let recovery = ["config", "verify", "c.encrypted.json", "--recovery-key-file", "recovery.key"];
    assert_eq!(status(&desk.run(&recovery)), 0);

    let slot = after["$sealed"]["slots"][1]["id"].as_str().unwrap();
    let args = ["config", "rekey", "c.encrypted.json", "--drop-slot", slot];
    let dropped = desk.run_with(&args, &env, "");
    assert_eq!(status(&dropped), 0, "{}", words(&dropped));
    assert_eq!(status(&desk.run(&recovery)), 10);
    assert_eq!(desk.json("c.encrypted.json")["$sealed"]["slots"].as_array().unwrap().len(), 1);
}

#[test]
fn the_state_of_a_file_is_shown_and_judged() {
    let desk = Desk::sealed();
    let status_of = |env: &[(&str, &str)]| {
        let output = desk.run_with(&["config", "status", "c.encrypted.json", "--format", "json"], env, "");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (status(&output), report)
    };
    let (code, report) = status_of(&[]);
    assert_eq!((code, &report["authentic"], &report["rev"]), (0, &true.into(), &1.into()));
    assert_eq!(report["slots"][0]["age_days"], 0);
    let text = fs::read(desk.path("c.encrypted.json")).unwrap();
    let digest: String = {
        use sha2::Digest as _;
        sha2::Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    assert_eq!(report["digest"], digest.as_str());
    let (code, report) = status_of(&[("SPOTIFY_MCP_MASTER_KEY_FILE", "")]);
    assert_eq!((code, &report["authentic"]), (16, &false.into()));
}

#[test]
fn an_older_revision_is_refused_unless_somebody_says_why() {
    let desk = Desk::new();
    let port = super::support::server::free_port();
    let plain = format!(
        "[spotify]\nclient_id = \"0123456789abcdef0123456789abcdef\"\nclient_secret = \"sentinel\"\n[server]\nport = {port}\n"
    );
    desk.write("r.toml", &plain);
    assert_eq!(status(&desk.run(&["config", "encrypt", "r.toml"])), 0);
    let first = fs::read_to_string(desk.path("r.encrypted.json")).unwrap();
    let args = ["config", "set", "cache.enabled", "--value", "false", "--config", "r.encrypted.json"];
    assert_eq!(status(&desk.run(&args)), 0);
    desk.serves(port, &[]);

    desk.write("r.encrypted.json", &first);
    let refused = desk.run(&["serve", "--config", "r.encrypted.json", "--format", "json"]);
    assert_eq!(status(&refused), 2, "{}", words(&refused));
    assert!(words(&refused).contains("CONFIG_ROLLED_BACK"), "{}", words(&refused));
    assert!(words(&refused).contains("revision 1 is older than revision 2"), "{}", words(&refused));
    let refused = desk.run(&["serve", "--config", "r.encrypted.json", "--allow-rollback", ""]);
    assert_eq!(status(&refused), 2);
    desk.serves(port, &["--allow-rollback", "the cache was needed"]);
    desk.serves(port, &[]);

    let trail = fs::read_to_string(desk.path("data/audit/audit-1.ndjson")).unwrap();
    for part in ["\"config_refused\"", "\"config_rolled_back\"", "the cache was needed", "config_digest"] {
        assert!(trail.contains(part), "{part}: {trail}");
    }
}

/// The key of the documented test vector.
const VECTOR_KEY: &str = "J7rMxfhmm6MuL2fMt+3ptdDXbUXPMbnHENaOp8QcyLg=";

#[test]
fn the_documented_vector_opens() {
    let desk = Desk::new();
    let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", ""), ("SPOTIFY_MCP_MASTER_KEY", VECTOR_KEY)];
    // A checkout may be writable by a group.
    desk.write("vector.json", &fs::read_to_string(vector()).unwrap());
    let output = desk.run_with(&["config", "decrypt", "vector.json"], &env, "");
    assert_eq!(status(&output), 0, "{}", words(&output));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), documented());
}

/// A reader in another language, made from the documentation: what it opens is not just what we wrote.
#[test]
fn a_second_reader_opens_the_vector_and_a_fresh_file_and_refuses_changes() {
    let has = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3 with the package 'cryptography' is not here");
        return;
    }
    let desk = Desk::sealed();
    let read = |file: &Path, key: &str| {
        let reader = root().join("tests/sealed_reader.py");
        Command::new("python3").arg(reader).arg(file).arg(key).output().unwrap()
    };
    let output = read(&vector(), VECTOR_KEY);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), documented(), "{}", words(&output));

    let key = fs::read_to_string(desk.path("master.key")).unwrap();
    let output = read(&desk.path("c.encrypted.json"), key.trim());
    let plain: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", words(&output)));
    assert_eq!(plain["auth"]["clients"][0]["secret"], "sentinel-of-a-configured-client");
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    for changed in [text.replace("9000", "9001"), text.replace('{', "{ ")] {
        desk.write("c.encrypted.json", &changed);
        assert!(!read(&desk.path("c.encrypted.json"), key.trim()).status.success());
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn vector() -> PathBuf {
    root().join("tests/vectors/sealed-configuration.json")
}

/// What docs/sealed-configuration.md says is in the vector.
fn documented() -> Value {
    let text = fs::read_to_string(root().join("docs/sealed-configuration.md")).unwrap();
    let (_, block) = text.rsplit_once("```json\n").unwrap();
    serde_json::from_str(block.split("```").next().unwrap()).unwrap()
}

struct Desk(PathBuf);

impl Desk {
    /// A folder with a master key and a plain configuration.
    fn new() -> Self {
        let name: String = Dice::system().bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("spotify-mcp-it-sealed-{name}"));
        fs::create_dir(&path).unwrap();
        let desk = Self(path);
        desk.key("master.key");
        desk.write("c.toml", PLAIN);
        desk
    }

    /// The same with its sealed form, `c.encrypted.json`.
    fn sealed() -> Self {
        let desk = Self::new();
        let output = desk.run(&["config", "encrypt", "c.toml"]);
        assert_eq!(status(&output), 0, "{}", words(&output));
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        name.to_owned()
    }

    fn key(&self, name: &str) -> String {
        assert_eq!(status(&self.run_with(&["config", "keygen", "-o", name], &[], "")), 0);
        name.to_owned()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, &[], "")
    }

    fn run_with(&self, args: &[&str], env: &[(&str, &str)], input: &str) -> Output {
        let mut child = self.command(args, env).stdout(Stdio::piped()).spawn().unwrap();
        // A command that refuses early does not read it.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Starts a server, sees it listen, and ends it in order.
    fn serves(&self, port: u16, flags: &[&str]) {
        let args = [&["serve", "--config", "r.encrypted.json"], flags].concat();
        let mut server =
            self.command(&args, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() || !self.is_ready(port) {
            assert!(server.try_wait().unwrap().is_none() && std::time::Instant::now() < patience, "no start");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let pid = rustix::process::Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(server.wait().unwrap().success());
    }

    fn is_ready(&self, port: u16) -> bool {
        let port = port.to_string();
        let env = [("SERVER_PORT", port.as_str())];
        status(&self.run_with(&["healthcheck"], &env, "")) == 0
    }

    fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_spotify-mcp")));
        command
            .args(args)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", &self.0)
            .env("DATA_DIR", self.path("data"))
            .env("SPOTIFY_MCP_MASTER_KEY_FILE", "master.key")
            .env("WORD", "word")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
