//! The only printer: results to standard output, everything else to standard error, as text or JSON.
//!
//! Every failure has a stable code and a next step. Colour only on a terminal that takes it and without `NO_COLOR`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the one place that prints")]

use std::io::{IsTerminal, Write as _};

use clap::ValueEnum;
use serde_json::{Value, json};

pub use crate::check::report::paragraph;
use crate::failure::Failure;
pub use crate::reading::io_cause;

/// How results and failures are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

/// Whether a stream is a terminal that takes colour, and nobody wants none.
pub fn takes_colour(stream: &impl IsTerminal) -> bool {
    let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    allowed && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb") && stream.is_terminal()
}

/// What a command's end means to its caller (product.md 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: findings at or above the threshold.
    Findings,
    /// 2: wrong usage or configuration.
    Usage,
    /// 3: could not do or assess all that was asked.
    Incomplete,
    /// 4: nothing worse than expired waivers or stale inputs.
    Stale,
    /// 10 to 19: what the commands on sealed files tell apart.
    Sealed(SealedExit),
}

/// The typed statuses of `config` (security.md 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedExit {
    /// 10: no slot is for the key that was given.
    WrongKey = 10,
    /// 11: the file is not what was sealed.
    Tampered = 11,
    /// 12: a newer revision has been used.
    RolledBack = 12,
    /// 13: a format of another version.
    Version = 13,
    /// 14: key derivation out of bounds.
    Kdf = 14,
    /// 15: no valid configuration, or secrets where they must not be.
    Schema = 15,
    /// 16: no source has a key.
    NoKey = 16,
    /// 17: others may write the file, or read what would be written.
    Mode = 17,
    /// 18: somebody else is changing the file.
    Locked = 18,
    /// 19: there is nothing to change.
    Unchanged = 19,
}

impl Exit {
    /// The process's exit status.
    pub const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Stale => 4,
            Self::Sealed(exit) => exit as u8,
        }
    }
}

/// Why a command did not do what was asked: what people see, never a secret.
#[derive(Debug)]
pub struct Refused(Box<Reason>);

#[derive(Debug)]
struct Reason {
    exit: Exit,
    code: String,
    message: String,
    next: String,
    /// Further lines of the text form, and members of the JSON form.
    parts: Vec<Part>,
    /// For the eyes of an operator who asks with `-v`.
    chain: Option<String>,
}

/// One of several reasons.
#[derive(Clone, Debug)]
pub struct Part {
    /// Stable.
    pub code: String,
    /// What it is about, for example a configuration key.
    pub about: String,
    /// Where that came from, for example `file.toml:3`.
    pub origin: String,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl Refused {
    /// A refusal with one reason.
    pub fn new(
        exit: Exit,
        code: impl Into<String>,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        let (code, message, next) = (code.into(), message.into(), next.into());
        Self(Box::new(Reason { exit, code, message, next, parts: Vec::new(), chain: None }))
    }

    /// Wrong usage or configuration: status 2.
    pub fn usage(code: &str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Usage, code, message, next)
    }

    /// Could not do what was asked: status 3.
    pub fn incomplete(code: &str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Incomplete, code, message, next)
    }

    /// An unexpected failure: status 3, the whole chain for `-v`.
    pub fn unexpected(code: &str, failure: &Failure, next: impl Into<String>) -> Self {
        Self::incomplete(code, failure.to_string(), next).caused_by(failure)
    }

    /// Adds the cause for `-v`.
    pub fn caused_by(mut self, failure: &Failure) -> Self {
        self.0.chain = Some(failure.chain());
        self
    }

    /// Adds the single reasons.
    pub fn with_parts(mut self, parts: Vec<Part>) -> Self {
        self.0.parts = parts;
        self
    }

    /// The same under another exit status.
    pub fn exiting(mut self, exit: Exit) -> Self {
        self.0.exit = exit;
        self
    }

    /// The exit status.
    pub const fn exit(&self) -> Exit {
        self.0.exit
    }

    /// What happened, without code and advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    fn as_json(&self) -> Value {
        let mut error = json!({ "code": self.0.code, "message": self.0.message, "next": self.0.next });
        if !self.0.parts.is_empty() {
            let problems = self.0.parts.iter().map(Part::as_json).collect();
            error["problems"] = Value::Array(problems);
        }
        json!({ "error": error })
    }
}

impl Part {
    /// For programs.
    pub fn as_json(&self) -> Value {
        json!({ "code": self.code, "key": self.about, "origin": self.origin, "why": self.why, "fix": self.fix })
    }
}

/// What kept a result from standard output. A reader that has gone away keeps nothing from anybody.
static LOST: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Where a command's words go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    format: Format,
    colour: bool,
    quiet: bool,
    verbose: u8,
}

impl Output {
    /// Says nothing but results and failures: for what is loaded a second time.
    pub const fn silent() -> Self {
        Self { format: Format::Text, colour: false, quiet: true, verbose: 0 }
    }

    /// `colour` is a wish: it also takes a terminal and the absence of `NO_COLOR`.
    pub fn new(format: Format, colour: bool, quiet: bool, verbose: u8) -> Self {
        let colour = colour && takes_colour(&std::io::stderr());
        Self { format, colour, quiet, verbose }
    }

    /// Text or JSON.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// A command's result, in the form that was asked for. A reader that has gone away is no error.
    pub fn result(&self, text: &str, value: &Value) {
        match self.format {
            Format::Text => self.raw(text),
            Format::Json => self.raw(&format!("{value:#}\n")),
        }
    }

    /// A result that has one form only: a key, a completion script, a manual page.
    pub fn raw(&self, text: &str) {
        let _gone = self.line(text);
    }

    /// One piece of a result that goes on; false where its reader has gone away.
    pub fn line(&self, text: &str) -> bool {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => true,
            Err(error) => {
                if error.kind() != std::io::ErrorKind::BrokenPipe {
                    LOST.get_or_init(|| io_cause(&error));
                }
                false
            }
        }
    }

    /// The exit status where a result could not be written, which is said: what nobody got is not done. What a status says
    /// beside that stays.
    pub fn exit(&self, exit: Exit) -> Exit {
        let Some(why) = LOST.get() else { return exit };
        let text = format!("standard output cannot be written to: {why}");
        self.refused(&Refused::incomplete("OUTPUT_UNWRITTEN", text, "make room, or send it elsewhere"));
        match exit {
            Exit::Done | Exit::Stale => Exit::Incomplete,
            other => other,
        }
    }

    /// Something to know, on standard error; `-q` silences it.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// How far long work is, in `what`: a bar on a terminal; elsewhere a line wherever there is `news`. `-q` silences it.
    pub fn progress(&self, (done, total): (u64, u64), what: &str, news: bool) {
        let percent = done * 100 / total.max(1);
        if self.quiet {
            return;
        }
        if std::io::stderr().is_terminal() {
            let bar = "#".repeat(usize::try_from(percent / 4).unwrap_or_default());
            let end = if done >= total { "\n" } else { "" };
            let mut stderr = std::io::stderr().lock();
            let _gone = write!(stderr, "\r[{bar:25}] {percent:3} %  {done} of {total} {what}{end}")
                .and_then(|()| stderr.flush());
        } else if news {
            self.say(&format!("{percent} %  {done} of {total} {what}"));
        }
    }

    /// Something that works and should be changed, on standard error; `-q` silences it.
    pub fn warn(&self, code: &str, why: &str, fix: &str) {
        if self.quiet {
            return;
        }
        match self.format {
            Format::Text => {
                self.say(&format!(
                    "{}: {why}\n  help: {fix}",
                    self.painted("33", &format!("warning[{code}]"))
                ));
            }
            Format::Json => {
                self.say(&json!({ "warning": { "code": code, "message": why, "next": fix } }).to_string());
            }
        }
    }

    /// A failure, on standard error, never silenced.
    pub fn refused(&self, refused: &Refused) {
        match self.format {
            Format::Text => self.say(&self.in_words(refused)),
            Format::Json => self.say(&refused.as_json().to_string()),
        }
    }

    fn in_words(&self, refused: &Refused) -> String {
        let label = self.painted("1;31", &format!("error[{}]", refused.0.code));
        let mut text = format!("{label}: {}", refused.0.message);
        for part in &refused.0.parts {
            let head = self.painted("1", &part.about);
            text +=
                &format!("\n  [{}] {head} ({}): {}\n      {}", part.code, part.origin, part.why, part.fix);
        }
        if let (true, Some(chain)) = (self.verbose > 0, &refused.0.chain) {
            text += &format!("\n  cause: {chain}");
        }
        if !refused.0.next.is_empty() {
            text += &format!("\nhelp: {}", refused.0.next);
        }
        text
    }

    fn painted(&self, style: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// What is asked or has failed, on standard error: `-q` does not silence it.
    pub fn say(&self, text: &str) {
        let _gone = writeln!(std::io::stderr().lock(), "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Refused {
        Refused::usage("CONFIG", "one problem", "mend it").with_parts(vec![Part {
            code: "CFG-TYPE".into(),
            about: "server.port".into(),
            origin: "c.toml:2".into(),
            why: "not a number".into(),
            fix: "write 8000".into(),
        }])
    }

    #[test]
    fn a_refusal_in_words_has_code_reasons_and_next_step() {
        let output = Output { format: Format::Text, colour: false, quiet: false, verbose: 0 };
        assert_eq!(
            output.in_words(&refused()),
            "error[CONFIG]: one problem\n  [CFG-TYPE] server.port (c.toml:2): not a number\n      write 8000\nhelp: mend it"
        );
    }

    #[test]
    fn a_refusal_in_json_has_the_same() {
        let value = refused().as_json();
        assert_eq!(value["error"]["code"], "CONFIG");
        assert_eq!(value["error"]["next"], "mend it");
        assert_eq!(value["error"]["problems"][0]["key"], "server.port");
    }

    #[test]
    fn the_chain_of_a_failure_is_for_those_who_ask() {
        let failure = Failure::caused("saving", std::io::Error::other("disk full"));
        let refused = Refused::unexpected("IO", &failure, "free some space");
        let quiet = Output { format: Format::Text, colour: false, quiet: false, verbose: 0 };
        assert!(!quiet.in_words(&refused).contains("disk full"));
        assert!(Output { verbose: 1, ..quiet }.in_words(&refused).contains("disk full"));
    }
}
