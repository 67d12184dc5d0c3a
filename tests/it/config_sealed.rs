//! Sealed configuration files through the built binary: every verb, every typed status, and `serve` itself.

mod changing;
mod editing;
mod ends;
mod full_disk;
mod judging;
mod keys;
mod loading;
mod merging;
mod passing;
mod reader;
mod records;
mod slots;
mod tampering;

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
