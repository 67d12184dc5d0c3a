//! Runs the program that prints a secret: no shell, nothing on its standard input, bounded time and output.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::problem::Wrong;
use super::quoting::quoted;
use crate::crypto::SecretString;
use crate::reading::io_cause;

/// Long enough for a person to touch a hardware token.
const LIMIT: Duration = Duration::from_secs(30);
const MAX_BYTES: u64 = 4_096;

/// Runs `command` (the program, then its arguments) and gives what it printed.
pub fn run_for_secret(command: &[String]) -> Result<SecretString, Wrong> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(failed("it names no program"));
    };
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(
            |error| failed(&format!("{} cannot be started: {}", quoted(program), io_cause(&error))),
        )?;
    let printed = collect(&mut child);
    if printed.is_err() {
        let _ended = child.kill().and_then(|()| child.wait());
    }
    printed
}

fn collect(child: &mut Child) -> Result<SecretString, Wrong> {
    let Some(stdout) = child.stdout.take() else { return Err(failed("its output cannot be read")) };
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(8_192));
        let read = stdout.take(MAX_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes);
        let _nobody_waits = send.send(read);
    });
    let began = Instant::now();
    let bytes = receive
        .recv_timeout(LIMIT)
        .map_err(|_| failed("it printed no end within 30 s"))?
        .map_err(|error| failed(&format!("its output cannot be read: {}", io_cause(&error))))?;
    if bytes.len() > 4_096 {
        return Err(failed("it printed more than 4,096 bytes"));
    }
    let status = wait(child, began)?;
    if !status.success() {
        return Err(failed(&format!("it ended with {status}")));
    }
    std::str::from_utf8(&bytes).map(SecretString::new).map_err(|_| failed("what it printed is not text"))
}

fn wait(child: &mut Child, began: Instant) -> Result<std::process::ExitStatus, Wrong> {
    while began.elapsed() < LIMIT {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(failed(&format!("it cannot be waited for: {}", io_cause(&error)))),
        }
    }
    Err(failed("it closed its output and did not end within 30 s"))
}

fn failed(why: &str) -> Wrong {
    Wrong::new(why, "run the command by hand: it must print the key on standard output and end with status 0")
        .coded("MASTER_KEY_COMMAND")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<String, String> {
        let command: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        run_for_secret(&command).map(|text| text.expose().to_owned()).map_err(|wrong| wrong.why)
    }

    #[test]
    fn output_failure_and_flood() {
        assert_eq!(run(&["printf", "$HOME"]), Ok("$HOME".into()));
        assert!(run(&["false"]).unwrap_err().contains("exit status: 1"));
        assert!(run(&["/no/such/program"]).unwrap_err().contains("cannot be started"));
        assert_eq!(run(&["yes"]), Err("it printed more than 4,096 bytes".into()));
    }
}
