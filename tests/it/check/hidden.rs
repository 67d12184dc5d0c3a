//! `security-check config` by a user who may not see all of it, and ways to files that somebody else may change: what was
//! not seen is no pass and no failure.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::configured::{Desk, Said};
use crate::support::server::master_key;

const NOBODY: u32 = 65_534;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A desk that everybody may look at, but for its folder `sec`, and what is in that.
fn desk(text: impl Fn(&Desk) -> String) -> Desk {
    let desk = Desk::new();
    fs::create_dir(desk.path.join("sec")).unwrap();
    desk.write("sec/key", &master_key("of somebody else"), 0o600);
    desk.write("sec/cs", "changeme", 0o600);
    desk.write("sec/e.env", "SPOTIFY_CLIENT_SECRET=changeme\n", 0o600);
    desk.write("server.toml", &text(&desk), 0o644);
    mode(&desk.path, 0o755);
    close(&desk.path.join("sec"));
    desk
}

/// To everybody but root; or to everybody.
fn close(folder: &Path) {
    mode(folder, if is_root() { 0o700 } else { 0o000 });
}

fn open(desk: &Desk) {
    for folder in ["sec", "data"] {
        mode(&desk.path.join(folder), 0o700);
    }
}

/// Checks it as somebody who is neither root nor the owner.
fn check(desk: &Desk, more: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spotify-mcp"));
    command.args(["security-check", "config", "--offline", "--format", "json", "--config", "server.toml"]);
    command.args(more).current_dir(&desk.path).env_clear().env("HOME", &desk.path).stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, words) = (text(&output.stdout), text(&output.stdout) + &text(&output.stderr));
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("no report: {words}"));
    Said { status: output.status.code().unwrap(), report, words }
}

#[test]
fn secrets_that_this_user_may_not_read_are_not_assessed() {
    let desk = desk(|desk| {
        let text = desk.configuration("").replace("\"master.key\"", "\"sec/key\"");
        text.replace("policy_acknowledged", "client_secret_file = \"sec/cs\"\npolicy_acknowledged")
    });
    let ids = ["SMC1001", "SMC2002", "SMC2004", "SMC2005", "SMC2011"];
    let said = check(&desk, &["--only", &ids.join(",")]);
    assert_eq!(said.status, 3, "{:#?}", said.in_state(&["fail"]));
    for id in ids {
        assert_eq!(said.state(id), "error", "{id}: {:#?}", said.of(id));
    }
    for hidden in ["sec/key", "sec/cs"] {
        assert!(said.of("SMC2004").iter().any(|one| one.0 == "error" && one.2.contains(hidden)), "{hidden}");
    }
    open(&desk);
    let root = desk.check("server.toml", &["--only", "SMC1001,SMC2005"]);
    assert_eq!((root.state("SMC1001"), root.state("SMC2005")), ("pass".into(), "fail".into()));
}

#[test]
fn a_copy_of_a_secret_that_this_user_may_not_read_is_found() {
    let desk = desk(|desk| {
        let text = desk.configuration("").replace("\"master.key\"", "\"sec/key\"");
        text.replace("policy_acknowledged", "client_secret_file = \"sec/cs\"\npolicy_acknowledged")
    });
    open(&desk);
    desk.write("sec/cs.bak", "changeme", 0o644);
    for name in ["sec/cs", "sec/key"] {
        mode(&desk.path.join(name), if is_root() { 0o600 } else { 0o000 });
    }
    mode(&desk.path.join("sec"), 0o755);
    let said = check(&desk, &["--only", "SMC2012"]);
    assert!(
        said.of("SMC2012").iter().any(|one| one.0 == "fail" && one.2.contains("sec/cs.bak")),
        "{}",
        said.words
    );
}

#[test]
fn a_dotenv_file_that_this_user_may_not_read_leaves_nothing_to_pass() {
    let desk = desk(|desk| {
        desk.write("master.key", &master_key("of its own"), 0o644);
        desk.configuration("")
    });
    let ids = ["SMC1001", "SMC2002", "SMC2003", "SMC2004", "SMC2005", "SMC2011", "SMC9020"];
    let said = check(&desk, &["--env-file", "sec/e.env", "--only", &ids.join(",")]);
    for id in ids.iter().filter(|id| **id != "SMC2004") {
        assert_eq!(said.state(id), "error", "{id}: {:#?}", said.of(id));
    }
    assert!(
        said.of("SMC2004").iter().any(|one| one.0 == "error" && one.2.contains("e.env")),
        "{}",
        said.words
    );
    let alone = check(&desk, &["--env-file", "sec/e.env", "--only", "SMC2003,SMC2005,SMC2011"]);
    assert_eq!(alone.status, 3, "{}", alone.words);
    open(&desk);
}

#[test]
fn a_data_directory_that_this_user_may_not_enter_hides_whether_a_key_is_derived() {
    for source in ["passphrase_file = \"sec/cs\"", "# none is said"] {
        let desk = desk(|desk| desk.configuration("").replace("master_key_file = \"master.key\"", source));
        close(&desk.path.join("data"));
        let ids = ["SMC1001", "SMC1008", "SMC2004"];
        let said = check(&desk, &["--only", &ids.join(",")]);
        assert_eq!(said.status, 3, "{source}: {:#?}", said.in_state(&["fail"]));
        for id in ids {
            assert_eq!(said.state(id), "error", "{source}, {id}: {:#?}", said.of(id));
        }
        assert!(!said.words.contains("MASTER_KEY_MISSING"), "{}", said.words);
        open(&desk);
    }
}

#[test]
fn a_link_on_the_way_that_somebody_else_may_change_is_found() {
    let desk = Desk::new();
    let at = |name: &str| desk.path.join(name);
    for name in ["k", "open", "sticky", "real"] {
        fs::create_dir(at(name)).unwrap();
        mode(&at(name), 0o755);
    }
    mode(&at("sticky"), 0o1777);
    fs::rename(at("data"), at("real/data")).unwrap();
    fs::rename(at("master.key"), at("real/key")).unwrap();
    symlink(at("open/dl2"), at("k/dl")).unwrap();
    symlink(at("real"), at("open/dl2")).unwrap();
    symlink(at("real"), at("sticky/dl")).unwrap();
    let by = |link: &str| {
        let (data, key) = (at("data").display().to_string(), at(link).display().to_string());
        let text = desk.configuration("").replace(&data, &format!("{key}/data"));
        desk.write("server.toml", &text.replace("\"master.key\"", &format!("\"{key}/key\"")), 0o600);
        desk.check("server.toml", &["--only", "SMC2004"])
    };
    assert_eq!(by("k/dl").state("SMC2004"), "pass");
    mode(&at("open"), 0o777);
    let said = by("k/dl");
    assert_eq!(said.status, 1, "{}", said.words);
    // The key, the data directory.
    let open: Vec<_> = said.of("SMC2004").into_iter().filter(|one| one.0 == "fail").collect();
    assert_eq!(open.len(), 2, "{open:#?}");
    assert!(open.iter().all(|one| one.2.contains("/open may be written by all")), "{open:#?}");
    assert_eq!(by("sticky/dl").state("SMC2004"), "pass");
    // Only root gives a link away.
    if lchown(at("sticky/dl"), Some(NOBODY), None).is_ok() {
        let said = by("sticky/dl");
        assert_eq!((said.status, said.state("SMC2004").as_str()), (1, "fail"), "{}", said.words);
        assert!(said.of("SMC2004")[1].2.contains("user 65534 may replace it"), "{:#?}", said.of("SMC2004"));
    }
    // A way that leads round in a circle is no way.
    fs::remove_file(at("open/dl2")).unwrap();
    symlink(at("k/dl"), at("open/dl2")).unwrap();
    assert_eq!(by("k/dl").state("SMC2004"), "error");
}

#[test]
fn an_empty_configuration_is_green_in_no_environment() {
    let desk = Desk::new();
    desk.write("empty.toml", "", 0o600);
    let data = desk.path.join("data").display().to_string();
    for environment in [&[][..], &["--environment", "development"], &["--environment", "production"]] {
        let more = [&["--config", "empty.toml", "--only", "SMC2011"], environment].concat();
        let said = desk.check_with(&more, &[("DATA_DIR", &data)]);
        assert_eq!((said.status, said.state("SMC2011").as_str()), (1, "fail"), "{}", said.words);
        assert!(said.words.contains("CONFIG_MISSING"), "{}", said.words);
    }
}
