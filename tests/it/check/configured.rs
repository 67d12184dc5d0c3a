//! `security-check config` on configurations: clean ones, broken ones, and those that `serve` would refuse.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::server::{folder, master_key};

/// A folder with a configuration of other people's data, its key and its data directory; removed on drop.
pub struct Desk {
    pub path: PathBuf,
}

/// What a run said.
pub struct Said {
    pub status: i32,
    pub report: Value,
    pub words: String,
}

impl Desk {
    /// With a key in a file of its own, and a plain configuration without a secret.
    pub fn new() -> Self {
        let desk = Self { path: folder() };
        fs::set_permissions(&desk.path, fs::Permissions::from_mode(0o700)).unwrap();
        fs::create_dir(desk.path.join("data")).unwrap();
        fs::set_permissions(desk.path.join("data"), fs::Permissions::from_mode(0o700)).unwrap();
        desk.write("master.key", &master_key("a server of its own"), 0o600);
        desk.write("server.toml", &desk.configuration(""), 0o600);
        desk
    }

    /// The configuration, with more of it at the end.
    pub fn configuration(&self, more: &str) -> String {
        format!(
            "[spotify]\nclient_id = \"5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b\"\npolicy_acknowledged = true\n\
             [server]\npublic_url = \"https://music.example.org\"\nsecurity_contact = \"mailto:security@example.org\"\n\
             [storage]\ndata_dir = \"{}\"\n\
             [security]\nenvironment = \"production\"\nmaster_key_file = \"master.key\"\n\
             [alerts]\ncommand = \"/usr/bin/true\"\n\
             [audit]\ncheckpoint_seconds = 1\nanchors.file = \"{}\"\n{more}",
            self.path.join("data").display(),
            self.anchors().display(),
        )
    }

    /// On another disk than the trail, where there is one that is anybody's: memory.
    fn anchors(&self) -> PathBuf {
        let (memory, name) = (Path::new("/dev/shm"), self.path.file_name().unwrap().to_string_lossy());
        if memory.is_dir() { memory.join(format!("{name}.ndjson")) } else { self.path.join("anchors.ndjson") }
    }

    pub fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path.join(name);
        let _absent = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Runs the built binary in the folder.
    pub fn run(&self, args: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spotify-mcp"));
        command.env_clear().envs(env.iter().copied()).args(args).current_dir(&self.path).stdin(Stdio::null());
        for kept in ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// Checks a configuration.
    pub fn check(&self, file: &str, more: &[&str]) -> Said {
        self.check_with(&[&["--config", file], more].concat(), &[])
    }

    pub fn check_with(&self, more: &[&str], env: &[(&str, &str)]) -> Said {
        let args = [&["security-check", "config", "--offline", "--format", "json"], more].concat();
        let (status, out, err) = self.run(&args, env);
        let words = format!("{out}{err}");
        let report = serde_json::from_str(&out).unwrap_or_else(|_| panic!("no report: {words}"));
        Said { status, report, words }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _absent = fs::remove_file(self.anchors());
        let _gone = fs::remove_dir_all(&self.path);
    }
}

impl Said {
    /// What one check says, in the order of the report: state, severity, what was seen.
    pub fn of(&self, id: &str) -> Vec<(String, String, String)> {
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let all = self.report["findings"].as_array().unwrap().iter();
        all.filter(|finding| finding["id"] == id)
            .map(|finding| (text(finding, "state"), text(finding, "severity"), text(finding, "observed")))
            .collect()
    }

    /// The one state of a check; the worst where it says several.
    pub fn state(&self, id: &str) -> String {
        let all = self.of(id);
        let worst = ["fail", "error", "manual", "pass", "not_applicable"];
        let found = worst.iter().find(|state| all.iter().any(|(found, ..)| found == *state));
        (*found.unwrap_or_else(|| panic!("{id} says nothing: {}", self.words))).to_owned()
    }

    /// Every check in one of these states, with what it saw.
    pub fn in_state(&self, states: &[&str]) -> Vec<String> {
        let all = self.report["findings"].as_array().unwrap().iter();
        let chosen = all.filter(|finding| states.contains(&finding["state"].as_str().unwrap()));
        chosen.map(|finding| format!("{} {}", finding["id"], finding["observed"])).collect()
    }
}

#[test]
fn a_fresh_set_up_of_a_hobbyist_is_no_wall_of_red() {
    let desk = Desk::new();
    let data = desk.path.join("data").display().to_string();
    let said = desk
        .check_with(&[], &[("DATA_DIR", &data), ("SPOTIFY_CLIENT_ID", "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b")]);
    assert_eq!(said.report["profile"], "development", "{}", said.words);
    assert_eq!(said.status, 0, "{:#?}", said.in_state(&["fail", "error"]));
    let (failed, errors) = (said.in_state(&["fail"]), said.in_state(&["error"]));
    assert!(failed.len() <= 4 && errors.is_empty(), "{failed:#?} {errors:#?}");
    // What nobody has made yet is neither good nor bad.
    assert_eq!(said.state("SMC1003"), "not_applicable");
    assert_eq!(said.state("SMC6001"), "not_applicable");
    assert_eq!(said.state("SMC1010"), "pass");
    // Looking makes nothing.
    assert_eq!(fs::read_dir(desk.path.join("data")).unwrap().count(), 0);
}

#[test]
fn without_a_database_production_is_not_called_assessed() {
    let desk = Desk::new();
    let said = desk.check("server.toml", &[]);
    assert_eq!(said.status, 3, "{:#?}", said.in_state(&["fail"]));
    for id in ["SMC1003", "SMC1005", "SMC3003", "SMC5005", "SMC6001"] {
        assert_eq!(said.state(id), "error", "{id}");
    }
    // What the configuration alone decides is decided.
    for id in
        ["SMC1001", "SMC1002", "SMC2002", "SMC2003", "SMC2004", "SMC2005", "SMC2011", "SMC2013", "SMC3001"]
    {
        assert_eq!(said.state(id), "pass", "{id}: {:#?}", said.of(id));
    }
    assert_eq!(fs::read_dir(desk.path.join("data")).unwrap().count(), 0);
}

#[test]
fn a_broken_configuration_is_judged_as_a_whole() {
    let desk = Desk::new();
    let text = desk
        .configuration(
            "[telemetry]\nlog_level = \"debug\"\n[limits]\nfailed_attempts_per_address_per_minute = 0\n",
        )
        .replace("https://music.example.org", "http://music.example.org")
        .replace("[server]\n", "[server]\nprot = 1\n")
        .replace(
            "policy_acknowledged = true",
            "client_secret = \"Hunter2\"\napi_url = \"https://api.example.org/v1\"",
        );
    desk.write("broken.toml", &text, 0o644);
    let said = desk.check("broken.toml", &[]);
    assert_eq!(said.status, 1, "{}", said.words);
    for id in [
        "SMC2002", "SMC2003", "SMC2004", "SMC2005", "SMC2006", "SMC2008", "SMC2013", "SMC2014", "SMC3011",
        "SMC3013", "SMC9020",
    ] {
        assert_eq!(said.state(id), "fail", "{id}: {:#?}", said.of(id));
    }
    assert!(!said.words.contains("Hunter2") && !said.words.contains("hunter2"));
    let clear =
        said.report["findings"].as_array().unwrap().iter().find(|one| one["id"] == "SMC2002").unwrap();
    assert_eq!(clear["location"]["line"], 3, "{clear:#}");
    assert!(clear["source"].as_str().unwrap().ends_with("broken.toml:3"), "{clear:#}");
    // The very same file is refused by the server.
    let (status, ..) = desk.run(&["serve", "--config", "broken.toml"], &[]);
    assert_eq!(status, 2);
}

#[test]
fn a_file_that_serve_cannot_read_is_a_finding_and_nothing_else_passes_by_it() {
    let desk = Desk::new();
    desk.write("torn.toml", "[server\nport = 1\n", 0o600);
    let said = desk.check("torn.toml", &[]);
    assert_eq!(said.status, 1, "{}", said.words);
    let problem = &said.of("SMC2011")[0];
    assert!(problem.0 == "fail" && problem.2.contains("CONFIG_SYNTAX"), "{problem:?}");
    for id in ["SMC1001", "SMC2002", "SMC2013", "SMC3001", "SMC1003", "SMC9020"] {
        assert_eq!(said.state(id), "error", "{id}: {:#?}", said.of(id));
    }
}

#[test]
fn what_a_server_writes_and_runs_is_looked_at_as_a_whole() {
    let desk = Desk::new();
    let data = desk.path.join("data");
    for folder in ["audit", "backups", "logs"] {
        fs::create_dir(data.join(folder)).unwrap();
        fs::set_permissions(data.join(folder), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let tell = desk.write("tell.sh", "#!/bin/sh\n", 0o755);
    let log = data.join("logs/s.log");
    let text = desk.configuration(&format!("[telemetry]\nlog_file = \"{}\"\n", log.display()));
    let text = text
        .replace("command = \"/usr/bin/true\"", &format!("command = [\"/bin/sh\", \"{}\"]", tell.display()));
    desk.write("server.toml", &text, 0o600);
    let all = [
        "data/audit/audit-1.ndjson",
        "data/audit/audit-2.ndjson",
        "data/audit/audit-3.ndjson",
        "data/backups/one.smcb",
        "data/logs/s.2026-11-20.log",
        "data/master.kdf.json",
        "e.env",
    ];
    all.iter().for_each(|name| drop(desk.write(name, "", 0o600)));
    let check = || desk.check("server.toml", &["--env-file", "e.env", "--only", "SMC2004"]);
    let sound = check();
    assert_eq!(sound.state("SMC2004"), "pass", "{}", sound.words);
    assert!(sound.of("SMC2004").iter().any(|one| one.2.contains("backups 4 were")), "{}", sound.words);
    // The dotenv file says no secret: it may be read, and not be written.
    for (name, bad, good) in all
        .map(|name| (name, if name == "e.env" { 0o622 } else { 0o644 }, 0o600))
        .iter()
        .copied()
        .chain([("tell.sh", 0o777, 0o755)])
    {
        let path = desk.path.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(bad)).unwrap();
        let open = check();
        let found: Vec<_> = open.of("SMC2004").into_iter().filter(|one| one.0 == "fail").collect();
        assert!(found.len() == 1 && open.words.contains(name), "{name}: {}", open.words);
        fs::set_permissions(&path, fs::Permissions::from_mode(good)).unwrap();
    }
    // Whoever writes to the dotenv file's folder puts another one there.
    fs::create_dir(desk.path.join("env")).unwrap();
    desk.write("env/e.env", "", 0o600);
    fs::set_permissions(desk.path.join("env"), fs::Permissions::from_mode(0o777)).unwrap();
    let above = desk.check("server.toml", &["--env-file", "env/e.env", "--only", "SMC2004"]);
    assert_eq!(above.state("SMC2004"), "fail", "{}", above.words);
}

#[test]
fn whom_an_access_control_list_lets_in_is_found() {
    let desk = Desk::new();
    let check = || desk.check("server.toml", &["--only", "SMC2004"]);
    assert_eq!(check().state("SMC2004"), "pass");
    // As setfacl -m u:1001:r writes it.
    let entry = |tag: u16, bits: u16, id: u32| {
        [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let (none, version) = (u32::MAX, 2_u32.to_le_bytes().to_vec());
    let list = [
        version,
        entry(1, 6, none),
        entry(2, 4, 1001),
        entry(4, 0, none),
        entry(16, 4, none),
        entry(32, 0, none),
    ];
    let key = desk.path.join("master.key");
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(&key, "system.posix_acl_access", &list.concat(), flags).is_ok() {
        let listed = check();
        assert!(listed.words.contains("access control list lets user 1001 in"), "{}", listed.words);
    }
}

#[test]
fn keys_that_everybody_can_read_follow_or_know_are_found() {
    let desk = Desk::new();
    desk.write("master.key", &master_key("another"), 0o644);
    let open = desk.check("server.toml", &[]);
    assert_eq!((open.status, open.state("SMC2004").as_str()), (1, "fail"));
    assert!(
        open.of("SMC2004").iter().any(|one| one.2.contains("mode 0644 lets everybody")),
        "{}",
        open.words
    );

    let elsewhere = desk.path.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("k"), master_key("another")).unwrap();
    fs::set_permissions(elsewhere.join("k"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(desk.path.join("master.key")).unwrap();
    fs::create_dir(desk.path.join("keys")).unwrap();
    symlink(elsewhere.join("k"), desk.path.join("keys/link")).unwrap();
    let text = desk.configuration("").replace("master.key\"", "keys/link\"");
    desk.write("linked.toml", &text, 0o600);
    let linked = desk.check("linked.toml", &["--fail-on", "medium"]);
    assert_eq!((linked.status, linked.state("SMC2004").as_str()), (1, "fail"), "{}", linked.words);
    assert!(linked.of("SMC2004").iter().any(|one| one.2.contains("symbolic link")), "{}", linked.words);

    // Base64 of 32 bytes that look random, and are the SHA-256 of a word.
    desk.write("master.key", &STANDARD.encode(Sha256::digest("password")), 0o600);
    let known = desk.check("server.toml", &[]);
    assert_eq!((known.status, known.state("SMC1001").as_str()), (1, "fail"), "{}", known.words);
    desk.write("master.key", "AAAA", 0o600);
    let short = desk.check("server.toml", &[]);
    assert_eq!((short.status, short.state("SMC1001").as_str()), (1, "fail"), "{}", short.words);
    assert!(short.of("SMC1001")[0].2.contains("too short"), "{}", short.words);
}

#[test]
fn what_lies_beside_a_key_is_found() {
    let desk = Desk::new();
    desk.write("master.key~", &master_key("a server of its own"), 0o600);
    fs::write(desk.path.join("data/core.4711"), "memory").unwrap();
    // A copy is one in any folder of the server's.
    for copy in ["master.key.backup", "master.key copy", "data/master.key.2026-11-22"] {
        desk.write(copy, "x", 0o600);
    }
    let said = desk.check("server.toml", &["--fail-on", "medium"]);
    assert_eq!(said.status, 1);
    let found = said.of("SMC2012");
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found.iter().all(|one| one.0 == "fail"));
}

#[test]
fn a_secret_in_a_file_counts_although_a_variable_outranks_it() {
    let desk = Desk::new();
    let text = desk
        .configuration("")
        .replace("policy_acknowledged", "client_secret = \"changeme\"\npolicy_acknowledged");
    desk.write("server.toml", &text, 0o600);
    desk.write("e.env", "SPOTIFY_CLIENT_SECRET=Passw0rd\n", 0o600);
    let env = [("SPOTIFY_CLIENT_SECRET", "b1946ac92492d2347c6235b4d2611184")];
    let only = ["--config", "server.toml", "--env-file", "e.env", "--only", "SMC2002,SMC2003,SMC2005"];
    let said = desk.check_with(&only, &env);
    assert_eq!(said.status, 1, "{}", said.words);
    for id in ["SMC2002", "SMC2003", "SMC2005"] {
        let found = said.of(id);
        assert_eq!(found.len(), 2, "{id}: {found:#?}");
        assert!(found.iter().all(|one| one.0 == "fail"), "{id}: {found:#?}");
    }
    let dead = said.of("SMC2003");
    assert!(
        dead.iter().all(|one| one.1 == "low" && one.2.contains("does nothing: environment")),
        "{dead:#?}"
    );
    assert!(dead.iter().any(|one| one.2.contains("server.toml:3")), "{dead:#?}");
    assert!(dead.iter().any(|one| one.2.contains("e.env")), "{dead:#?}");
    assert!(!said.words.contains("changeme") && !said.words.contains("Passw0rd"), "{}", said.words);
}

#[test]
fn a_secret_in_a_comment_stands_in_the_clear() {
    let desk = Desk::new();
    let old = master_key("of last year");
    desk.write("server.toml", &format!("# until 2025: {old}\n{}", desk.configuration("")), 0o600);
    desk.write("e.env", "#SPOTIFY_CLIENT_SECRET=hunter22\n", 0o600);
    let said = desk.check("server.toml", &["--env-file", "e.env", "--only", "SMC2002"]);
    assert_eq!((said.status, said.of("SMC2002").len()), (1, 2), "{}", said.words);
    assert!(said.of("SMC2002").iter().all(|one| one.0 == "fail" && one.2.contains("a comment in line 1")));
    assert!(!said.words.contains(&old) && !said.words.contains("hunter22"), "{}", said.words);
}

#[test]
fn a_sealed_file_is_judged_by_its_seal() {
    let desk = Desk::new();
    let secret = "client_secret = \"b1946ac92492d2347c6235b4d2611184\"\npolicy_acknowledged";
    let text = desk
        .configuration("")
        .replace("policy_acknowledged", secret)
        .replace("master_key_file = \"master.key\"\n", "");
    desk.write("plain.toml", &text, 0o600);
    let key = [("SPOTIFY_MCP_MASTER_KEY_FILE", "master.key")];
    let (status, out, err) = desk.run(&["config", "encrypt", "plain.toml", "-o", "c.encrypted.json"], &key);
    assert_eq!(status, 0, "{out}{err}");
    let file = ["--config", "c.encrypted.json"];
    let sound = desk.check_with(&file, &key);
    // No database says which revision is the newest: only somebody's own machine does without.
    assert_eq!(sound.state("SMC2001"), "error", "{}", sound.words);
    assert!(sound.of("SMC2001")[0].2.starts_with("authentic, revision 1"), "{}", sound.words);
    let own = desk.check_with(&["--config", "c.encrypted.json", "--profile", "development"], &key);
    assert_eq!(own.state("SMC2001"), "pass", "{}", own.words);
    assert_eq!(sound.state("SMC2002"), "pass", "{}", sound.words);
    assert_eq!(desk.check("plain.toml", &[]).state("SMC2002"), "fail");

    let path = desk.path.join("c.encrypted.json");
    let sealed = fs::read_to_string(&path).unwrap();
    fs::write(&path, sealed.replace("https://music.example.org", "https://mucis.example.org")).unwrap();
    let tampered = desk.check_with(&file, &key);
    assert_eq!((tampered.status, tampered.state("SMC2001").as_str()), (1, "fail"), "{}", tampered.words);
    assert!(tampered.of("SMC2001")[0].2.contains("CONFIG_TAMPERED"), "{}", tampered.words);
    assert_eq!(tampered.state("SMC2013"), "error");

    fs::write(&path, &sealed).unwrap();
    let without = desk.check_with(&file, &[]);
    assert_eq!(without.state("SMC2001"), "error", "{}", without.words);
}

#[test]
fn profiles_ask_for_more_or_less_of_the_same_configuration() {
    let desk = Desk::new();
    let severity = |more: &[&str], id: &str| desk.check("server.toml", more).of(id)[0].clone();
    let plain = severity(&["--profile", "bank"], "SMC2001");
    assert_eq!(plain.0, "fail");
    assert_eq!(severity(&[], "SMC2001").0, "not_applicable");
    assert_eq!(severity(&["--profile", "bank"], "SMC3001").0, "fail");
    let development = desk.check("server.toml", &["--profile", "development"]);
    assert!(development.of("SMC9010").is_empty(), "{}", development.words);
}

/// Everything in a folder with its size and its time of change, so that a look that leaves a trace is seen.
pub fn traces(folder: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, seen) = (entry.path(), entry.metadata().unwrap());
            if seen.is_dir() {
                folders.push(path);
            } else {
                found.push((path, seen.len(), seen.modified().unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Who changes a configuration must not run a program as whoever looks at it.
#[test]
fn a_program_that_prints_the_key_is_run_for_those_checks_alone_that_need_the_key() {
    let desk = Desk::new();
    let (ran, key) = (desk.path.join("ran"), desk.path.join("master.key"));
    let script = format!("#!/bin/sh\necho x >> {}\ncat {}\n", ran.display(), key.display());
    let program = desk.write("print-key", &script, 0o700);
    let text = desk.configuration("").replace(
        "master_key_file = \"master.key\"",
        &format!("master_key_command = [\"{}\"]", program.display()),
    );
    desk.write("server.toml", &text, 0o600);
    for left in [
        &["--only", "SMC2003"][..],
        &["--only", "SMC1002,SMC1008,SMC2005"],
        &["--skip", "database,trail,SMC1001"],
        &["--skip", "SMC1001,SMC1003"],
    ] {
        let said = desk.check("server.toml", left);
        assert!(!ran.exists(), "{left:?}: {}", said.words);
        assert!(said.of("SMC1002").iter().all(|one| one.2.contains("printed by")), "{}", said.words);
    }
    let said = desk.check("server.toml", &["--only", "SMC1001"]);
    assert!(ran.exists() && said.state("SMC1001") == "pass", "{}", said.words);
}
