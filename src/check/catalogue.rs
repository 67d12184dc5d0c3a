//! The catalogue: what is checked, why, how grave, mapped to what; parsed from `policies/`, embedded or of a directory.
//!
//! Strict: what does not fit is refused as a whole, in words. Never: deciding a check, that is its rule's.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::deps::Licences;
use super::embedded;
use super::finding::Severity;
use super::frameworks::Framework;
use super::profile::{Profile, Profiles};
use super::rule::Parameters;
use super::score::Scale;
use super::tasks::{self, Task};

/// Everything in `policies/` that checks stand on.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Every check, by id.
    pub checks: Vec<Check>,
    /// Every framework, in the order of reports.
    pub frameworks: Vec<Framework>,
    /// Every profile.
    pub profiles: Profiles,
    /// The tasks that come again.
    pub tasks: Vec<Task>,
    /// What the posture score counts.
    pub scale: Scale,
    /// Which licences packages may be under (`licences.toml`), known to be readable.
    pub licences: String,
    /// SHA-256 of all of it, in hexadecimal digits.
    pub digest: String,
    /// What it was read from.
    pub origin: String,
}

/// Which sub-command runs a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// `security-check config`.
    Config,
    /// `security-check deps`.
    Deps,
    /// `security-check network`.
    Network,
    /// `security-check runtime`.
    Runtime,
    /// Each of them.
    All,
}

impl Area {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Deps => "deps",
            Self::Network => "network",
            Self::Runtime => "runtime",
            Self::All => "all",
        }
    }
}

/// What a check needs beside the configuration and this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// The network: `--offline` takes it out of what was asked.
    Network,
    /// The server's database.
    Database,
    /// The server's audit trail.
    Trail,
    /// A live server (`--live`).
    Server,
    /// A registry's index, which is fetched: `--offline` takes it out of what was asked.
    Index,
    /// A server of this program's own, started apart: without `--probe` it is not asked.
    Probe,
}

impl Need {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Database => "database",
            Self::Trail => "trail",
            Self::Server => "server",
            Self::Index => "index",
            Self::Probe => "probe",
        }
    }

    /// Whether `--offline` takes it out of what was asked.
    pub const fn is_fetched(self) -> bool {
        matches!(self, Self::Network | Self::Index)
    }
}

/// What a profile makes of a severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeverityIn {
    /// The check is none in this profile.
    Off,
    /// [`Severity::Low`].
    Low,
    /// [`Severity::Medium`].
    Medium,
    /// [`Severity::High`].
    High,
    /// [`Severity::Critical`].
    Critical,
}

impl SeverityIn {
    const fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Low => Some(Severity::Low),
            Self::Medium => Some(Severity::Medium),
            Self::High => Some(Severity::High),
            Self::Critical => Some(Severity::Critical),
        }
    }
}

/// One entry of the catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// `SMC` and four digits; the first digit is its group.
    pub id: String,
    /// `PascalCase`, unique.
    pub name: String,
    /// What holds where it passes.
    pub title: String,
    /// Which sub-command runs it.
    pub area: Area,
    /// What it needs.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// How much it matters where it fails.
    pub severity: Severity,
    /// The same in some profiles.
    #[serde(default)]
    pub severity_in: BTreeMap<Profile, SeverityIn>,
    /// Words to choose it by. `stale-input`: where it fails, that counts as a stale input (status 4).
    pub tags: Vec<String>,
    /// What ought to be seen.
    pub expected: String,
    /// The risk.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// How one sees that it is mended.
    pub verify: String,
    /// Thresholds.
    #[serde(default)]
    pub parameters: Parameters,
    /// Others in some profiles.
    #[serde(default)]
    pub parameters_in: BTreeMap<Profile, Parameters>,
    /// Framework to control ids; `cwe` beside them.
    pub controls: BTreeMap<String, Vec<String>>,
}

/// A failure of it means that an input is too old, not that something is wrong.
pub const STALE_INPUT: &str = "stale-input";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    check: Vec<Check>,
}

impl Catalogue {
    /// What this program was built with. Tests hold that it can be read.
    ///
    /// # Errors
    /// In words: what is wrong with it.
    pub fn built_in() -> Result<Self, String> {
        Self::parse(&embedded::files(), "built in")
    }

    /// Reads every file: its path below `policies/`, and its text.
    ///
    /// # Errors
    /// In words: what is wrong, and in which file.
    pub fn parse(files: &[(String, String)], origin: &str) -> Result<Self, String> {
        let mut catalogue = Self {
            checks: Vec::new(),
            frameworks: Vec::new(),
            profiles: Profiles::parse(one(files, "profiles.toml")?)
                .map_err(|why| format!("profiles.toml: {why}"))?,
            tasks: tasks::parse(one(files, "tasks.toml")?).map_err(|why| format!("tasks.toml: {why}"))?,
            scale: Scale::parse(one(files, "score.toml")?).map_err(|why| format!("score.toml: {why}"))?,
            licences: licences(files).map_err(|why| format!("licences.toml: {why}"))?,
            digest: digest(files),
            origin: origin.to_owned(),
        };
        for (path, text) in files.iter().filter(|(path, _)| path.starts_with("frameworks/")) {
            catalogue.frameworks.push(Framework::parse(text).map_err(|why| format!("{path}: {why}"))?);
        }
        for (path, text) in files.iter().filter(|(path, _)| path.starts_with("checks/")) {
            let file: File = toml::from_str(text).map_err(|error| format!("{path}: {error}"))?;
            let group =
                embedded::group(path).ok_or_else(|| format!("{path}: there is no such group of checks"))?;
            for check in file.check {
                let id = check.id.clone();
                catalogue.fits(&check, group).map_err(|why| format!("{path}: {id}: {why}"))?;
                catalogue.checks.push(check);
            }
        }
        catalogue.checks.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(catalogue)
    }

    fn fits(&self, check: &Check, group: char) -> Result<(), String> {
        let digits = check.id.strip_prefix("SMC").unwrap_or_default();
        if digits.len() != 4
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
            || !digits.starts_with(group)
        {
            return Err(format!("an id here is SMC{group} and three digits"));
        }
        if self.checks.iter().any(|other| other.id == check.id || other.name == check.name) {
            return Err("its id or name is there twice".into());
        }
        let is_pascal = check.name.starts_with(|c: char| c.is_ascii_uppercase())
            && check.name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_pascal {
            return Err("its name is not PascalCase".into());
        }
        let texts = [&check.title, &check.expected, &check.why, &check.fix, &check.verify];
        if texts.into_iter().any(|text| text.trim().len() < 4) {
            return Err("title, expected, why, fix and verify must say something".into());
        }
        let is_tag = |tag: &String| {
            !tag.is_empty()
                && tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if let Some(tag) = check.tags.iter().find(|tag| !is_tag(tag)) {
            return Err(format!("the tag '{tag}' is not of small letters, digits and hyphens"));
        }
        for (profile, others) in &check.parameters_in {
            if let Some(name) = check.parameters.misfits(others).first() {
                let profile = profile.name();
                return Err(format!(
                    "parameters_in.{profile}: {name} is not among [check.parameters], or another kind"
                ));
            }
        }
        self.controls_fit(check)
    }

    fn controls_fit(&self, check: &Check) -> Result<(), String> {
        for (framework, ids) in &check.controls {
            if framework == "cwe" {
                let is_cwe =
                    |id: &String| id.strip_prefix("CWE-").is_some_and(|number| number.parse::<u32>().is_ok());
                match ids.iter().find(|id| !is_cwe(id)) {
                    Some(id) => return Err(format!("{id} is no CWE")),
                    None => continue,
                }
            }
            let known =
                self.framework(framework).ok_or_else(|| format!("there is no framework {framework}"))?;
            if let Some(id) = ids.iter().find(|id| known.control(id).is_none()) {
                return Err(format!("{} has no control {id}", known.named()));
            }
        }
        Ok(())
    }

    /// Whether it can stand in the place of the built-in one: the same checks with the same thresholds, whatever their
    /// values, severities, words and controls. A check is switched off by a profile, so that reports say so.
    ///
    /// # Errors
    /// In words: what is missing, or is more.
    pub fn fits_over(&self, built_in: &Self) -> Result<(), String> {
        for check in &built_in.checks {
            let own = self.check(&check.id).ok_or_else(|| {
                format!("{} is missing: to leave it out, say severity_in = {{ PROFILE = \"off\" }}", check.id)
            })?;
            if own.tags.iter().any(|tag| tag == STALE_INPUT)
                && !check.tags.iter().any(|tag| tag == STALE_INPUT)
            {
                return Err(format!("{}: only the age of an input is tagged {STALE_INPUT}", check.id));
            }
            if !own.parameters.is_like(&check.parameters) {
                return Err(format!("{}: its parameters are not those of the built-in entry", check.id));
            }
        }
        let more = self.checks.iter().find(|check| built_in.check(&check.id).is_none());
        more.map_or(Ok(()), |check| Err(format!("{}: this program has no rule for it", check.id)))
    }

    /// The check of this id.
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }

    /// The framework of this id.
    pub fn framework(&self, id: &str) -> Option<&Framework> {
        self.frameworks.iter().find(|framework| framework.id == id)
    }

    /// How much a check matters in a profile; `None`: it is none there.
    pub fn severity(&self, check: &Check, profile: Profile) -> Option<Severity> {
        let said =
            self.profiles.chain(profile).into_iter().find_map(|profile| check.severity_in.get(&profile));
        said.map_or(Some(check.severity), |said| said.severity())
    }

    /// The thresholds of a check in a profile.
    pub fn parameters(&self, check: &Check, profile: Profile) -> Parameters {
        // From the farthest base to the profile itself: the nearest word counts.
        let chain = self.profiles.chain(profile).into_iter().rev();
        let said = chain.filter_map(|profile| check.parameters_in.get(&profile));
        said.fold(check.parameters.clone(), |all, others| all.with(others))
    }
}

fn one<'a>(files: &'a [(String, String)], path: &str) -> Result<&'a str, String> {
    let found = files.iter().find(|(known, _)| known == path);
    found.map(|(_, text)| text.as_str()).ok_or_else(|| format!("{path} is missing"))
}

fn licences(files: &[(String, String)]) -> Result<String, String> {
    let text = one(files, "licences.toml")?;
    Licences::by_policy(text).map(|_| text.to_owned())
}

fn digest(files: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort();
    let mut digest = Sha256::new();
    for (path, text) in sorted {
        for part in [path, text] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
