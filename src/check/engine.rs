//! Judges: puts what rules say beside the catalogue's entry, and finds the line that said a configuration key.
//!
//! Pure. Never: input/output, the clock, a state that a rule did not give (a rule that says nothing is an error).

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::catalogue::{Catalogue, Check};
use super::finding::{Severity, Source, State, Verdict, cleaned};
use super::request::Request;
use super::rule::{Ground, Parameters, Rule};
use super::selection::{Asked, Selection};
use crate::config::{Loaded, Origin};

/// What a check found out about one subject, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What holds where it passes.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// What became of it.
    pub state: State,
    /// What it is about; often empty.
    pub subject: String,
    /// What ought to have been seen.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// Where.
    pub place: Place,
    /// The risk.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// How one sees that it is mended.
    pub verify: String,
    /// Where to read on.
    pub references: Vec<String>,
    /// Words to choose it by.
    pub tags: Vec<String>,
    /// Framework to control ids.
    pub controls: BTreeMap<String, Vec<String>>,
    /// Of check and subject: the same finding in another run.
    pub key: String,
    /// Of check, subject, severity and kind of fault: what a waiver is bound to.
    pub fingerprint: String,
    /// What both are made of.
    pub identity: Vec<String>,
    /// It could not be assessed because what it stands on is too old.
    pub stands_on_stale: bool,
}

/// Where something was seen, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// For people.
    pub text: String,
    /// What kind of place: `file`, `key`, `database`, `system`, `address`, `program`.
    pub kind: &'static str,
    /// The file, where it is one.
    pub file: Option<String>,
    /// The line, counted from 1.
    pub line: Option<u32>,
}

/// What to do where something could not be assessed and the rule knows no better.
const UNSEEN: &str =
    "nothing is known to be wrong: see that what was observed can be looked at, then run this again";

/// A check that something on the command line took out of what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The check.
    pub id: String,
    /// What holds where it passes.
    pub title: String,
    /// How much it would matter.
    pub severity: Severity,
    /// What took it out.
    pub why: String,
}

impl LeftOut {
    /// For this reason; how much it would matter, by the profile.
    pub fn new(check: &Check, severity: Severity, why: &str) -> Self {
        Self { id: check.id.clone(), title: check.title.clone(), severity, why: why.to_owned() }
    }
}

/// Judges the checks that were asked.
pub struct Bench<'a> {
    request: &'a Request,
    asked: Vec<Case<'a>>,
    findings: Vec<Finding>,
    left_out: Vec<LeftOut>,
}

struct Case<'a> {
    check: &'a Check,
    severity: Severity,
    parameters: Parameters,
    is_judged: bool,
}

impl<'a> Bench<'a> {
    /// Takes those checks of the catalogue that the selection asks in the request's profile.
    pub fn new(request: &'a Request, catalogue: &'a Catalogue, selection: &Selection) -> Self {
        let mut bench = Self { request, asked: Vec::new(), findings: Vec::new(), left_out: Vec::new() };
        for check in &catalogue.checks {
            bench.take(catalogue, check, selection.asks(check));
        }
        bench
    }

    fn take(&mut self, catalogue: &Catalogue, check: &'a Check, asked: Asked) {
        let profile = self.request.profile;
        let severity = catalogue.severity(check, profile);
        let without = |severity, why: &str| LeftOut::new(check, severity, why);
        match (asked, severity) {
            (Asked::No, _) => {}
            (Asked::Without(why), _) => self.left_out.push(without(severity.unwrap_or(check.severity), &why)),
            (Asked::Yes, None) => {
                let why = format!("the profile {} has no such check", profile.name());
                self.left_out.push(without(check.severity, &why));
            }
            (Asked::Yes, Some(severity)) => {
                let parameters = catalogue.parameters(check, profile);
                self.asked.push(Case { check, severity, parameters, is_judged: false });
            }
        }
    }

    /// Whether any of these rules is of a check that was asked: else there is nothing to gather for them.
    pub fn wants<F>(&self, rules: &[Rule<F>]) -> bool {
        self.asked.iter().any(|case| rules.iter().any(|rule| rule.id == case.check.id))
    }

    /// Whether one of these checks was asked.
    pub fn asks(&self, ids: &[&str]) -> bool {
        self.asked.iter().any(|case| ids.contains(&case.check.id.as_str()))
    }

    /// Judges by those of these rules whose checks were asked.
    pub fn judge<F>(&mut self, rules: &[Rule<F>], facts: &F) {
        let (request, findings) = (self.request, &mut self.findings);
        for case in &mut self.asked {
            let Some(rule) = rules.iter().find(|rule| rule.id == case.check.id) else { continue };
            let ground = Ground { now: request.now, profile: request.profile, parameters: &case.parameters };
            let mut verdicts = (rule.judge)(facts, &ground);
            if verdicts.is_empty() {
                verdicts
                    .push(Verdict::error(Source::Program, "the check said nothing: this is a mistake in it"));
            }
            case.is_judged = true;
            let whole = |verdict| Finding::new(case.check, case.severity, verdict, &request.loaded);
            findings.extend(verdicts.into_iter().map(whole));
        }
    }

    /// What was found so far.
    pub fn found(&self) -> &[Finding] {
        &self.findings
    }

    /// What was found, by check and subject, and what was left out.
    pub fn judged(mut self) -> (Vec<Finding>, Vec<LeftOut>) {
        for case in self.asked.iter().filter(|case| !case.is_judged) {
            let verdict = Verdict::error(Source::Program, "this program has no rule for it");
            self.findings.push(Finding::new(case.check, case.severity, verdict, &self.request.loaded));
        }
        self.findings.sort_by(|one, other| (&one.id, &one.subject).cmp(&(&other.id, &other.subject)));
        (self.findings, self.left_out)
    }
}

impl Finding {
    /// A verdict beside its check's entry.
    pub fn new(check: &Check, severity: Severity, verdict: Verdict, loaded: &Loaded) -> Self {
        let severity = verdict.severity.unwrap_or(severity);
        let place = Place::of(&verdict.source, loaded);
        let identity: Vec<String> = std::iter::once(check.id.clone()).chain(verdict.identity).collect();
        Self {
            fingerprint: print(&identity, severity),
            key: digest(&identity.iter().map(String::as_str).collect::<Vec<_>>()),
            identity,
            id: check.id.clone(),
            name: check.name.clone(),
            title: check.title.clone(),
            severity,
            state: verdict.state,
            subject: verdict.subject,
            expected: verdict.expected.unwrap_or_else(|| check.expected.clone()),
            observed: verdict.observed,
            place,
            why: verdict.why.unwrap_or_else(|| check.why.clone()),
            fix: verdict.fix.unwrap_or_else(|| match verdict.state {
                // The remedy is against what fails; nothing is known to.
                State::Error => UNSEEN.to_owned(),
                _ => check.fix.clone(),
            }),
            verify: check.verify.clone(),
            references: verdict.references,
            tags: check.tags.clone(),
            controls: check.controls.clone(),
            stands_on_stale: verdict.stands_on_stale,
        }
    }

    /// The fingerprint that the same fault has where it is as grave as this.
    pub fn fingerprint_at(&self, severity: Severity) -> String {
        print(&self.identity, severity)
    }

    /// Whether it has this tag.
    pub fn is_tagged(&self, tag: &str) -> bool {
        self.tags.iter().any(|known| known == tag)
    }
}

impl Place {
    /// Where a source is: for a configuration key the file and line that said it.
    pub fn of(source: &Source, loaded: &Loaded) -> Self {
        let (kind, file, line) = match source {
            Source::File { path, line } => ("file", Some(cleaned(&path.to_string_lossy())), *line),
            Source::Key(key) => return Self::of_key(key, &loaded.origin_of(key)),
            Source::Database(_) => ("database", None, None),
            Source::System(_) => ("system", None, None),
            Source::Address(_) => ("address", None, None),
            Source::Program => ("program", None, None),
        };
        Self { text: source.to_string(), kind, file, line }
    }

    fn of_key(key: &str, origin: &Origin) -> Self {
        let (file, line) = match origin {
            Origin::File { path, line } | Origin::Sealed { path, line } => (Some(path), *line),
            Origin::EnvFile { path, .. } | Origin::SecretFile { path, .. } => (Some(path), None),
            Origin::Default | Origin::Env(_) | Origin::Flag(_) => (None, None),
        };
        Self {
            text: cleaned(&format!("{key} ({origin})")),
            kind: "key",
            file: file.map(|path| cleaned(&path.to_string_lossy())),
            line: line.and_then(|line| u32::try_from(line).ok()),
        }
    }
}

fn print(identity: &[String], severity: Severity) -> String {
    let mut words: Vec<&str> = identity.iter().map(String::as_str).collect();
    words.insert(words.len().min(2), severity.name());
    digest(&words)
}

/// 128 bits in hexadecimal digits, of these words.
fn digest(words: &[&str]) -> String {
    let mut digest = Sha256::new();
    for word in words {
        digest.update((word.len() as u64).to_be_bytes());
        digest.update(word.as_bytes());
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
