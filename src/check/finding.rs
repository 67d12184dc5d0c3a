//! What a rule says about one subject, and the words it says it in: states, severities, where something was seen.
//!
//! Never: deciding anything; a secret, or raw text from outside (what a rule observed is cleaned and bounded here).

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::domain::event::is_deceptive;

/// How long an observation may be, in characters.
pub const LONGEST: usize = 200;
/// How long a reason, a remedy or an address may be, in characters.
const LONGEST_WORDS: usize = 20_000;

/// What became of a check; never mixed up with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It holds, and was seen to hold.
    Pass,
    /// It does not hold.
    Fail,
    /// There is nothing here that it could be about.
    NotApplicable,
    /// No program can see it, and no attestation is recorded.
    Manual,
    /// It could not be assessed.
    Error,
}

impl State {
    /// Every state, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Fail, Self::Error, Self::Manual, Self::Pass, Self::NotApplicable];

    /// The stable name, as reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotApplicable => "not_applicable",
            Self::Manual => "manual",
            Self::Error => "error",
        }
    }
}

/// How much it matters where it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// When there is time.
    Low,
    /// This month.
    Medium,
    /// Before the next release, at the latest.
    High,
    /// Now.
    Critical,
}

impl Severity {
    /// Every severity, the gravest first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// The stable name, as reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// Where something was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file, and the line where it is known (counted from 1).
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: Option<u32>,
    },
    /// A configuration key; the engine finds the file and line that said it.
    Key(String),
    /// `table.column`, or a view of the database server.
    Database(String),
    /// A path below `/proc` or `/sys`, or a limit of the process.
    System(String),
    /// A URL or `host:port`.
    Address(String),
    /// This program itself.
    Program,
}

impl Source {
    /// A file as a whole.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into(), line: None }
    }

    /// A configuration key.
    pub fn key(key: impl Into<String>) -> Self {
        Self::Key(key.into())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => {
                write!(out, "{}:{line}", cleaned(&path.to_string_lossy()))
            }
            Self::File { path, line: None } => out.write_str(&cleaned(&path.to_string_lossy())),
            Self::Key(name) => out.write_str(name),
            Self::Database(name) => write!(out, "database, {}", cleaned(name)),
            Self::System(name) | Self::Address(name) => out.write_str(&cleaned(name)),
            Self::Program => out.write_str("this program"),
        }
    }
}

/// What a rule found out about one subject.
///
/// `None` in `expected`, `severity`, `why` and `fix` means: as the catalogue says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What became of the check.
    pub state: State,
    /// What it is about where one check looks at several things; stable, because fingerprints are made of it.
    pub subject: String,
    /// The subject whole and uncleaned, and what kind of fault it has where it may have several: what makes this finding
    /// another one than a similar one. For digests alone.
    pub identity: Vec<String>,
    /// What was seen, at most [`LONGEST`] characters.
    pub observed: String,
    /// What ought to have been seen.
    pub expected: Option<String>,
    /// How much it matters here.
    pub severity: Option<Severity>,
    /// Where.
    pub source: Source,
    /// Why it matters here.
    pub why: Option<String>,
    /// What to do here.
    pub fix: Option<String>,
    /// Where to read on.
    pub references: Vec<String>,
    /// It could not be assessed because what it stands on is too old, which is a finding of its own.
    pub stands_on_stale: bool,
}

impl Verdict {
    fn new(state: State, source: Source, observed: impl Into<String>) -> Self {
        let observed = cleaned(&observed.into());
        Self {
            state,
            subject: String::new(),
            identity: vec![String::new()],
            observed,
            expected: None,
            severity: None,
            source,
            why: None,
            fix: None,
            references: Vec::new(),
            stands_on_stale: false,
        }
    }

    /// It holds.
    pub fn pass(source: Source, observed: impl Into<String>) -> Self {
        Self::new(State::Pass, source, observed)
    }

    /// It does not hold.
    pub fn fail(source: Source, observed: impl Into<String>) -> Self {
        Self::new(State::Fail, source, observed)
    }

    /// There is nothing here that it could be about: `why`.
    pub fn not_applicable(source: Source, why: impl Into<String>) -> Self {
        Self::new(State::NotApplicable, source, why)
    }

    /// No program can see it, and nobody has attested it: `why`.
    pub fn manual(source: Source, why: impl Into<String>) -> Self {
        Self::new(State::Manual, source, why)
    }

    /// It could not be assessed: `why`.
    pub fn error(source: Source, why: impl Into<String>) -> Self {
        Self::new(State::Error, source, why)
    }

    /// What it is about, where one check looks at several things (a package and its advisory, a file, an address). What is
    /// wrong with it stays what it was.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        let subject = subject.into();
        self.subject = cleaned(&subject);
        self.identity.splice(..1, [subject]);
        self
    }

    /// What is wrong with the subject, as it was told by [`Self::of_kind`].
    pub fn kinds(&self) -> &[String] {
        self.identity.get(1..).unwrap_or_default()
    }

    /// What is wrong with the subject, stable from run to run: whoever accepts this does not accept something worse.
    #[must_use]
    pub fn of_kind(mut self, kind: impl Into<String>) -> Self {
        self.identity.push(kind.into());
        self
    }

    /// What ought to have been seen, where the catalogue cannot know it.
    #[must_use]
    pub fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(words(&expected.into()));
        self
    }

    /// How much it matters here, where that differs from the catalogue.
    #[must_use]
    pub const fn severe(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// Why it matters here.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(words(&why.into()));
        self
    }

    /// What to do here.
    #[must_use]
    pub fn mended_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(words(&fix.into()));
        self
    }

    /// Where to read on: a page of the web. Anything else that somebody calls an address is left out.
    #[must_use]
    pub fn see(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        let page =
            Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        self.references.extend(page.map(String::from).filter(|url| url.len() <= 2_000));
        self
    }

    /// What it stands on is too old: that is said elsewhere, and weighs as that does.
    #[must_use]
    pub const fn on_stale(mut self) -> Self {
        self.stands_on_stale = true;
        self
    }
}

/// A fact, or why it could not be seen; a rule answers the latter with [`Verdict::error`].
pub type Seen<T> = Result<T, Unseen>;

/// Why a fact could not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// In words for people, without a secret.
    pub why: String,
}

impl Unseen {
    /// For this reason.
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.why)
    }
}

/// So many of something, in words: `1 problem`, `2 problems`.
pub fn counted(count: impl fmt::Display, one: &str, more: &str) -> String {
    let count = count.to_string();
    let words = if count == "1" { one } else { more };
    format!("{count} {words}")
}

/// A document whose texts hide and move nothing: a character that would is spelled, as `[U+202E]`, so that names that look
/// alike stay apart.
pub fn visible(document: Value) -> Value {
    let is_hidden = |c: char| is_deceptive(c) && !matches!(c, '\n' | '\t');
    match document {
        Value::String(text) if text.contains(is_hidden) => {
            let spelled = |c: char| match is_hidden(c) {
                true => format!("[U+{:04X}]", u32::from(c)),
                false => c.to_string(),
            };
            Value::String(text.chars().map(spelled).collect())
        }
        Value::Array(all) => all.into_iter().map(visible).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, visible(value))).collect(),
        plain => plain,
    }
}

/// Text fit for a report: bounded, one line, nothing that forges lines or hides words.
pub fn cleaned(text: &str) -> String {
    bounded(text, LONGEST)
}

/// The same for what people are told at length.
pub fn words(text: &str) -> String {
    bounded(text, LONGEST_WORDS)
}

fn bounded(text: &str, most: usize) -> String {
    let mut plain =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_deceptive(*c));
    let mut shown: String = plain.by_ref().take(most).collect();
    if plain.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_observed_is_one_bounded_line_without_escapes() {
        let verdict = Verdict::fail(Source::Program, format!("a\n\u{1b}[31mb\u{202e}{}", "x".repeat(300)));
        assert!(verdict.observed.starts_with("a [31mb"), "{}", verdict.observed);
        assert_eq!(verdict.observed.chars().count(), LONGEST);
        assert!(verdict.observed.ends_with('…'));
        assert_eq!(cleaned(&"x".repeat(LONGEST)).chars().count(), LONGEST);
        assert!(!cleaned(&"x".repeat(LONGEST)).ends_with('…'));
    }

    #[test]
    fn what_others_wrote_moves_no_terminal_and_leads_to_no_script() {
        let hostile = "a\u{1b}]0;PWNED\u{7}\nb\u{202e}";
        let verdict = Verdict::fail(Source::Program, "x")
            .because(hostile)
            .mended_by(hostile)
            .expecting(hostile)
            .see("javascript:alert(1)")
            .see("data:text/html,x")
            .see("https://rustsec.org/advisories/\u{202e}x");
        for words in [verdict.why, verdict.fix, verdict.expected] {
            assert_eq!(words.as_deref(), Some("a]0;PWNED b"));
        }
        assert_eq!(verdict.references, ["https://rustsec.org/advisories/%E2%80%AEx"]);
    }

    #[test]
    fn what_would_hide_in_a_document_is_spelled() {
        let shown = visible(serde_json::json!({"a": ["x\u{202e}y\n\u{1b}[2J"], "b": 1, "c": "plain\tß"}));
        let wanted = serde_json::json!({"a": ["x[U+202E]y\n[U+001B][2J"], "b": 1, "c": "plain\tß"});
        assert_eq!(shown, wanted);
    }

    #[test]
    fn severities_are_ordered_and_have_names() {
        assert!(Severity::Low < Severity::Medium && Severity::High < Severity::Critical);
        assert_eq!(Severity::named("high"), Some(Severity::High));
        assert_eq!(Severity::named("High"), None);
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }

    #[test]
    fn a_source_reads_as_a_place() {
        let line = Source::File { path: "c.toml".into(), line: Some(3) };
        assert_eq!(line.to_string(), "c.toml:3");
        assert_eq!(Source::file("a\nb").to_string(), "a b");
        assert_eq!(Source::Database("keys.kek".into()).to_string(), "database, keys.kek");
    }

    #[test]
    fn what_looks_alike_when_it_is_cleaned_is_still_told_apart() {
        let about = |subject: &str| Verdict::fail(Source::Program, "x").about(subject);
        assert_eq!(about("serde").subject, about("ser\u{200b}de").subject);
        assert_ne!(about("serde").identity, about("ser\u{200b}de").identity);
        assert_ne!(about("serde").identity, about("serde").of_kind("git elsewhere").identity);
    }
}
