//! What a run found, as documents: each form in a file of its own. Gives text; never prints or writes a file.

mod json;
mod junit;
mod markdown;
mod oscal;
mod poam;
mod sarif;
mod text;
mod uuid;
mod words;

pub use words::paragraph;

use super::baseline::Drift;
use super::catalogue::Catalogue;
use super::coverage::Coverage;
use super::engine::LeftOut;
use super::finding::{Severity, State, counted};
use super::outcome::{Judged, Outcome, Weight};
use super::profile::Profile;
use super::score::Score;
use crate::ambient::Timestamp;
use crate::policy::Environment;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs: one document.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for test reports.
    Junit,
    /// OSCAL assessment results 1.2.1, for governance tools.
    Oscal,
    /// OSCAL plan of action and milestones 1.2.1: what is to be done, and what is accepted until when.
    Poam,
    /// Markdown, for people.
    Markdown,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 7] =
        [Self::Text, Self::Json, Self::Sarif, Self::Junit, Self::Oscal, Self::Poam, Self::Markdown];

    /// As `--format` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Oscal => "oscal",
            Self::Poam => "poam",
            Self::Markdown => "markdown",
        }
    }

    /// The form of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The form of a file of this name, by its extension.
    pub fn of_file(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        // The longer ones first: report.sarif.json is SARIF.
        if ends(&[".sarif", ".sarif.json"]) {
            Some(Self::Sarif)
        } else if ends(&[".oscal.json", ".oscal"]) {
            Some(Self::Oscal)
        } else if ends(&[".poam.json", ".poam"]) {
            Some(Self::Poam)
        } else if ends(&[".json"]) {
            Some(Self::Json)
        } else if ends(&[".xml", ".junit"]) {
            Some(Self::Junit)
        } else if ends(&[".md", ".markdown"]) {
            Some(Self::Markdown)
        } else {
            ends(&[".txt", ".text"]).then_some(Self::Text)
        }
    }
}

/// How the text form looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// With colours.
    pub colour: bool,
    /// With every check that passed, and every control.
    pub verbose: bool,
    /// How many columns a line has at most.
    pub width: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self { colour: false, verbose: false, width: words::WIDTH }
    }
}

impl Look {
    /// On a terminal of so many columns: lines that are neither broken again nor too long to read.
    #[must_use]
    pub fn on(self, columns: usize) -> Self {
        Self { width: columns.clamp(60, 100), ..self }
    }
}

/// What a run found.
pub struct Report<'a> {
    /// What was asked: `compliance`, `config`, ...
    pub asked: &'static str,
    /// The environment of the configuration.
    pub environment: Environment,
    /// Whose thresholds held.
    pub profile: Profile,
    /// When the run began.
    pub at: Timestamp,
    /// From this severity on a failure counts.
    pub fail_on: Severity,
    /// What was judged by.
    pub catalogue: &'a Catalogue,
    /// The configuration file, as it was named.
    pub file: Option<String>,
    /// The folder that relative paths start at.
    pub folder: Option<String>,
    /// The file of this program.
    pub executable: Option<String>,
    /// SHA-256 of the program, where it can be read.
    pub program: Option<String>,
    /// By check and subject.
    pub judged: Vec<Judged>,
    /// What something on the command line took out.
    pub left_out: Vec<LeftOut>,
    /// What became different since the baseline.
    pub drift: Option<Drift>,
    /// What it says about frameworks; of `compliance` alone.
    pub coverage: Option<Vec<Coverage>>,
    /// The posture score.
    pub score: Score,
}

impl Report<'_> {
    /// In this form.
    pub fn write(&self, form: Form, look: Look) -> String {
        match form {
            Form::Text => text::write(self, look),
            Form::Json => json::write(self),
            Form::Sarif => sarif::write(self),
            Form::Junit => junit::write(self),
            Form::Oscal => oscal::write(self),
            Form::Poam => poam::write(self),
            Form::Markdown => markdown::write(self),
        }
    }

    /// What the run comes to.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(&self.judged)
    }

    /// Those of a weight, the gravest first.
    fn weighing(&self, weight: Weight) -> Vec<&Judged> {
        let mut found: Vec<&Judged> = self.judged.iter().filter(|one| one.weight == weight).collect();
        found.sort_by_key(|one| std::cmp::Reverse(one.finding.severity));
        found
    }

    /// Those of a weight, the gravest first, errors of one cause together.
    fn grouped(&self, weight: Weight) -> Vec<Vec<&Judged>> {
        let mut groups: Vec<Vec<&Judged>> = Vec::new();
        for one in self.weighing(weight) {
            match groups.iter_mut().find(|group| words::Cause::is_shared(group[0], one)) {
                Some(group) => group.push(one),
                None => groups.push(vec![one]),
            }
        }
        groups
    }

    /// What became of a check: the worst of what it says, as the score counts it.
    fn state(&self, id: &str) -> Option<State> {
        let says =
            |state: &State| self.judged.iter().any(|one| one.finding.id == id && one.finding.state == *state);
        State::ALL.into_iter().find(says)
    }

    /// The checks of which this became, each with all that it says.
    fn checks(&self, wanted: State) -> Vec<&[Judged]> {
        let of_check = self.judged.chunk_by(|one, other| one.finding.id == other.finding.id);
        of_check.filter(|all| self.state(&all[0].finding.id) == Some(wanted)).collect()
    }

    /// What holds or does not apply of checks that say something worse too.
    fn in_part(&self) -> Vec<&Judged> {
        let is_calm = |state| matches!(state, State::Pass | State::NotApplicable);
        let stands_by =
            |one: &&Judged| is_calm(one.finding.state) && !self.state(&one.finding.id).is_some_and(is_calm);
        self.judged.iter().filter(stands_by).collect()
    }

    fn count(&self, weight: Weight) -> usize {
        self.judged.iter().filter(|one| one.weight == weight).count()
    }

    /// What it comes to, in one sentence.
    pub fn conclusion(&self) -> String {
        let (counting, unseen) = (self.count(Weight::Counts), self.count(Weight::Unseen));
        let old = self.count(Weight::Expired) + self.count(Weight::Stale);
        let mut parts = Vec::new();
        if counting > 0 || (unseen == 0 && old == 0) {
            let level = self.fail_on.name();
            let about = if self.fail_on == Severity::Critical {
                level.to_owned()
            } else {
                format!("at or above {level}")
            };
            let none = if counting == 0 {
                "no findings".to_owned()
            } else {
                counted(counting, "finding", "findings")
            };
            parts.push(format!("{none} {about}"));
        }
        if unseen > 0 {
            parts.push(format!("{} could not be assessed", counted(unseen, "thing", "things")));
        }
        if old > 0 {
            parts.push(format!("{} expired or too old", counted(old, "thing is", "things are")));
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod structure;
#[cfg(test)]
mod tests;
