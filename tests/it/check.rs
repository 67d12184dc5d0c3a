//! `security-check` through the front door: what is asked, what it comes to, what is written where.

mod attested;
mod beside;
mod concealed;
mod configured;
mod confined;
mod documented;
mod hidden;
mod live_faults;
mod network;
mod outputs;
mod probed;
mod runtime;
mod shown;
mod statuses;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// A folder of its own, with nothing of this machine's environment.
struct Here(PathBuf);

impl Here {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("smcp-check-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn check(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_spotify-mcp"))
            .arg("security-check")
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", &self.0)
            .output()
            .unwrap()
    }

    /// The exit status, and what was said on standard error.
    fn status(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.check(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// The JSON report on standard output.
    fn report(&self, arguments: &[&str]) -> Value {
        let output = self.check(&[arguments, &["--format", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {said}"))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

/// Waivers of which one ends on this day.
fn waivers(expires: &str) -> String {
    format!(
        "[[waiver]]\nid = \"SMC7009\"\nowner = \"ada\"\nreason = \"an example for tests\"\nexpires = \"{expires}\"\n"
    )
}

/// A policy under which SMC7009 is a finding as any other, of this severity.
fn policies(here: &Here, severity: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/checks/supply.toml");
    let text = fs::read_to_string(source).unwrap();
    let (before, after) = text.split_once("id = \"SMC7009\"").unwrap();
    let after = after.replacen("severity = \"medium\"", &format!("severity = \"{severity}\""), 1).replacen(
        "tags = [\"waivers\", \"stale-input\"]",
        "tags = [\"waivers\"]",
        1,
    );
    here.file("policies/checks/supply.toml", &format!("{before}id = \"SMC7009\"{after}"));
    here.0.join("policies")
}
