//! What somebody wrote into an address, a command or the wrong key reaches no report, no refusal and no log; and what is
//! no file holds nobody up.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use spotify_mcp::config::keys::Kind;
use spotify_mcp::config::table::TABLE;

use super::configured::Desk;

/// What a person may write by mistake, with a secret in it.
const SHAPES: [fn(&str) -> String; 7] = [
    |canary| format!("https://u:{canary}@h.example/p?t={canary}#{canary}"),
    |canary| format!("https://h.example/hook/{canary}?token={canary}"),
    |canary| format!("u:{canary}@h.example"),
    |canary| format!("udp://u:{canary}@192.0.2.1:514"),
    |canary| format!("https://u:pa/{canary}@h.example:99999/"),
    |canary| format!("curl -H Authorization=Bearer={canary}"),
    |canary| format!("h.example/{canary}?{canary}"),
];

fn insert(root: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(root.insert(path.to_owned(), value)),
        Some((section, rest)) => {
            let below = root.entry(section).or_insert_with(|| json!({}));
            insert(below.as_object_mut().unwrap(), rest, value);
        }
    }
}

/// What is the name of a file or of a person is shown as that.
const NAMES: [&str; 10] = [
    "storage.data_dir",
    "audit.dir",
    "audit.anchors.file",
    "telemetry.log_file",
    "server.tls.certificate",
    "server.tls.key",
    "alerts.ca",
    "alerts.mail.username",
    "auth.client_document_ca",
    "cache.db_path",
];

/// A configuration that says this of every key.
fn everywhere(shape: fn(&str) -> String) -> String {
    let mut root = Map::new();
    for (at, spec) in TABLE.iter().enumerate().filter(|(_, spec)| !NAMES.contains(&spec.path)) {
        let text = shape(&format!("CANARY{at}x"));
        let value = match spec.kind {
            Kind::List(_) => json!(["fine.example", text]),
            Kind::Command => json!(["curl", "-H", text]),
            Kind::Apps => {
                json!([{ "client_id": text, "name": text, "quota_mode": text, "client_secret": text }])
            }
            Kind::Clients => json!([
                { "id": text, "name": "n", "redirect_uris": [text, text] },
                { "id": "c", "name": "n", "secret": "short", "redirect_uris": [text] },
            ]),
            _ => json!(text),
        };
        insert(&mut root, spec.path, value);
    }
    Value::Object(root).to_string()
}

const REPORTS: [&str; 14] = [
    "--output",
    "r.txt",
    "--output",
    "r.json",
    "--output",
    "r.sarif",
    "--output",
    "r.md",
    "--output",
    "r.xml",
    "--output",
    "r.oscal.json",
    "--output",
    "r.poam.json",
];

/// Everything that any command says of a configuration.
fn told(desk: &Desk, file: &str) -> String {
    let mut all = String::new();
    for args in [
        &["security-check", "compliance", "--offline", "-v"][..],
        &[&["security-check", "config", "--offline"][..], &REPORTS].concat(),
        &["security-check", "network", "--offline", "--format", "json"],
        &["security-check", "compliance", "--offline", "--evidence-dir", "evidence"],
        &["serve"],
        &["serve", "--format", "json"],
        &["config", "reload"],
        &["healthcheck"],
    ] {
        let (_, out, err) = desk.run(&[args, &["--config", file]].concat(), &[("LOG_LEVEL", "trace")]);
        assert!(!err.contains("Usage:"), "{args:?}: {err}");
        all += &out;
        all += &err;
    }
    let mut folders = vec![desk.path.clone()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if name != file && name != "master.key" {
                all += &String::from_utf8_lossy(&fs::read(entry.path()).unwrap());
                read += 1;
            }
        }
    }
    assert!(read > 9, "{read} reports");
    all
}

fn none_of(all: &str, what: &str) {
    let around = |at: usize| {
        let begin = (0..=at.saturating_sub(200)).rev().find(|at| all.is_char_boundary(*at)).unwrap();
        all[begin..].chars().take(300).collect::<String>()
    };
    assert!(!all.contains("CANARY"), "{what}: {}", around(all.find("CANARY").unwrap()));
}

#[test]
fn what_is_refused_is_told_without_what_may_be_a_secret_in_it() {
    for (at, shape) in SHAPES.into_iter().enumerate() {
        let desk = Desk::new();
        desk.write("wrong.json", &everywhere(shape), 0o600);
        let all = told(&desk, "wrong.json");
        assert!(all.contains("CONFIG_VALUE") && all.contains("audit.anchors.syslog"), "{all}");
        none_of(&all, &format!("shape {at}"));
    }
}

#[test]
fn a_valid_address_is_told_by_its_host_and_a_secret_in_it_is_found() {
    let desk = Desk::new();
    let text = desk
        .configuration(
            "anchors.webhook = \"https://hooks.example/services/T0/CANARY4eC39HqLyjWDarjtT1zdp7dc\"\n",
        )
        .replace(
            "command = \"/usr/bin/true\"",
            "command = [\"/usr/bin/true\", \"-H\", \"Authorization: Bearer CANARY\"]",
        )
        .replace("policy_acknowledged", "api_url = \"https://api.example/CANARY/v1\"\npolicy_acknowledged")
        .replace("mailto:security@example.org", "https://h.example/?token=CANARY")
        .replace("[storage]", "passwort = \"CANARY\"\ntokenn = \"CANARY\"\n[storage]");
    desk.write("valid.toml", &text, 0o600);
    let said = desk.check("valid.toml", &["--only", "SMC2002,SMC2003,SMC2014"]);
    let (status, out, err) = desk
        .run(&["security-check", "config", "--offline", "--config", "valid.toml", "--only", "SMC2002"], &[]);
    assert_eq!(status, 1, "{out}{err}");
    let clear = said.of("SMC2002");
    for key in ["alerts.command", "audit.anchors.webhook", "server.security_contact", "server.tokenn"] {
        assert!(
            clear.iter().any(|(state, _, seen)| state == "fail" && seen.starts_with(key)),
            "{key}: {clear:#?}"
        );
    }
    assert_eq!(clear.len(), 4, "{clear:#?}");
    assert!(
        said.of("SMC2014").iter().any(|one| one.2.contains("https://api.example/… is not")),
        "{}",
        said.words
    );
    none_of(&told(&desk, "valid.toml"), "valid");

    // A variable that holds it is how it should be.
    let text = desk.configuration("anchors.webhook = \"https://hooks.example/services/${HOOK}\"\n").replace(
        "command = \"/usr/bin/true\"",
        "command = [\"/usr/bin/true\", \"-H\", \"Authorization: Bearer ${TOKEN}\"]",
    );
    desk.write("referring.toml", &text, 0o600);
    let env = [("TOKEN", "CANARYlong"), ("HOOK", "CANARY4eC39HqLyjWDarjtT1zdp7dc")];
    let said = desk.check_with(&["--config", "referring.toml", "--only", "SMC2002"], &env);
    assert_eq!(said.state("SMC2002"), "pass", "{}", said.words);
    none_of(&said.words, "referring");
}

#[test]
fn what_is_no_file_is_refused_at_once_wherever_a_file_is_named() {
    let desk = Desk::new();
    let pipe = desk.path.join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    fs::create_dir(desk.path.join("overlay")).unwrap();
    for name in ["pipe.toml", "pipe.json", "pipe.lock", "overlay/score.toml"] {
        symlink(&pipe, desk.path.join(name)).unwrap();
    }
    symlink("/dev/zero", desk.path.join("zero.toml")).unwrap();
    symlink("/dev/zero", desk.path.join("zero")).unwrap();
    for key in ["pipe", "zero"] {
        let text = desk.configuration("").replace("master.key\"", &format!("{key}\""));
        desk.write(&format!("{key}-key.toml"), &text, 0o600);
        let text = desk.configuration(
            "[auth]\nclient_document_ca = \"x\"\n[server.tls]\ncertificate = \"KEY\"\nkey = \"KEY\"\n",
        );
        desk.write(
            &format!("{key}-tls.toml"),
            &text.replace("KEY", &desk.path.join(key).display().to_string()),
            0o600,
        );
    }
    let check = ["security-check", "compliance", "--offline", "--only", "SMC7002,SMC1001,SMC2011"];
    let with = |more: &[&'static str]| [&check[..], more].concat();
    let sound = ["--config", "server.toml"];
    for args in [
        with(&["--config", "pipe.toml"]),
        with(&["--config", "zero.toml"]),
        with(&["--config", "pipe-key.toml"]),
        with(&["--config", "zero-key.toml"]),
        with(&["--config", "pipe-tls.toml"]),
        [&check[..], &sound, &["--baseline", "pipe"]].concat(),
        [&check[..], &sound, &["--baseline", "zero"]].concat(),
        [&check[..], &sound, &["--waivers", "pipe.toml"]].concat(),
        [&check[..], &sound, &["--lockfile", "pipe.lock"]].concat(),
        [&check[..], &sound, &["--lockfile", "zero"]].concat(),
        [&check[..], &sound, &["--advisory-db", "pipe"]].concat(),
        [&check[..], &sound, &["--advisory-db", "zero"]].concat(),
        [&check[..], &sound, &["--policies", "overlay"]].concat(),
        vec!["serve", "--config", "pipe-key.toml"],
        vec!["serve", "--config", "zero-tls.toml"],
        vec!["serve", "--config", "pipe.toml"],
    ] {
        let began = Instant::now();
        let (status, out, err) = desk.run(&args, &[]);
        assert!(began.elapsed() < Duration::from_secs(30), "{args:?} took {:?}", began.elapsed());
        assert!(
            status != 0 && format!("{out}{err}").replace(['\n', ' '], "").contains("notaregularfile"),
            "{args:?}: {status} {out}{err}"
        );
    }
}
