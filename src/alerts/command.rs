//! A program that is told: no shell, nothing of this process's environment, the alert as JSON on its standard input,
//! bounded time. What it prints is read to its end or 64 KiB and thrown away: it goes into no log and no database.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{Message, Undelivered};
use crate::reading::io_cause;

/// For one run.
const WITHIN: Duration = Duration::from_secs(20);

/// Most bytes that it may print.
const PRINTED: u64 = 64 * 1024;

/// Where programs are found that are named without a path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program and its arguments.
pub struct Program(Vec<String>);

impl Program {
    pub(super) fn new(words: &[String]) -> Self {
        Self(words.to_vec())
    }

    /// Runs it once; status 0 says that it was taken.
    pub(super) async fn run(&self, message: &Message) -> Result<(), Undelivered> {
        let Some((program, arguments)) = self.0.split_first() else {
            return Err(Undelivered::new("not_started", "it names no program"));
        };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A group of its own, so that what it started ends with it.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            Undelivered::new("not_started", format!("it cannot be started: {}", io_cause(&error)))
        })?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let ended = tokio::time::timeout(WITHIN, converse(&mut child, message)).await;
        let late = || Undelivered::new("timeout", format!("it did not end within {} s", WITHIN.as_secs()));
        let ended = ended.unwrap_or_else(|_| Err(late()));
        if ended.is_err()
            && let Some(group) = group
        {
            // Nothing to do where they have ended by themselves.
            let _ = kill_process_group(group, Signal::KILL);
        }
        ended
    }
}

async fn converse(child: &mut Child, message: &Message) -> Result<(), Undelivered> {
    let failed =
        |error: std::io::Error| Undelivered::new("failed", format!("it failed: {}", io_cause(&error)));
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            let text = message.json() + "\n";
            // A program need not read.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    let read = async {
        let Some(stdout) = stdout else { return Ok(0) };
        let mut left = stdout.take(PRINTED + 1);
        tokio::io::copy(&mut left, &mut tokio::io::sink()).await
    };
    let ((), printed) = tokio::join!(write, read);
    if printed.map_err(failed)? > PRINTED {
        return Err(Undelivered::new("too_large", format!("it printed more than {PRINTED} bytes")));
    }
    let status = child.wait().await.map_err(failed)?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Undelivered::new("failed", format!("it ended with status {code}"))),
        None => Err(Undelivered::new("failed", "it was killed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::Clock;

    fn message() -> Message {
        let config = crate::config::load(&crate::config::Sources::default()).unwrap();
        Message::test("al_test", config.as_far_as_valid(), Clock::system().now())
    }

    async fn run(words: &[&str]) -> Result<(), Undelivered> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Program::new(&words).run(&message()).await
    }

    #[tokio::test]
    async fn its_end_decides_and_it_is_bounded() {
        assert_eq!(run(&["true"]).await, Ok(()));
        assert_eq!(run(&["sh", "-c", "grep -q al_test"]).await, Ok(()));
        assert_eq!(run(&["sh", "-c", "test $(env | grep -vc -e ^PWD= -e ^SHLVL= -e ^_=) = 1"]).await, Ok(()));
        assert_eq!(run(&["false"]).await.unwrap_err().why, "it ended with status 1");
        assert_eq!(run(&["/no/such/program"]).await.unwrap_err().code, "not_started");
        assert_eq!(run(&["yes"]).await.unwrap_err().code, "too_large");
        assert_eq!(run(&["sh", "-c", "kill -9 $$"]).await.unwrap_err().why, "it was killed");
    }
}
