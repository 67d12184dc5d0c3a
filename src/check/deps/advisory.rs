//! One advisory of the RustSec database: what it is about, which versions, how bad.
//!
//! Reading is the `rustsec` crate's; what is kept is plain data. Never: dropping an advisory because its kind is
//! informational or its severity unknown (which that crate's reports do unless told otherwise).

use std::str::FromStr as _;

use rustsec::advisory::{Informational, Severity as Cvss, Versions};
use rustsec::{Collection, Version};

use crate::check::finding::Severity;

/// What an advisory says of its package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It can be attacked.
    Vulnerability,
    /// Nobody looks after it.
    Unmaintained,
    /// Safe code can make it misbehave.
    Unsound,
    /// Something else to know; RustSec's own word for it.
    Notice(String),
}

impl Kind {
    /// Its name in reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Vulnerability => "vulnerability",
            Self::Unmaintained => "unmaintained",
            Self::Unsound => "unsound",
            Self::Notice(word) => word,
        }
    }
}

/// How bad it is, by CVSS.
#[derive(Clone, Debug, PartialEq)]
pub struct Rating {
    /// Its vector.
    pub vector: String,
    /// 0.0 to 10.0.
    pub score: f64,
    /// By the score.
    pub severity: Severity,
}

/// An advisory.
#[derive(Clone, Debug, PartialEq)]
pub struct Advisory {
    /// `RUSTSEC-2021-0003`.
    pub id: String,
    /// The package that it is about.
    pub package: String,
    /// In one line.
    pub title: String,
    /// What it says.
    pub kind: Kind,
    /// `None`: RustSec states no severity, as for more than half of its advisories.
    pub rating: Option<Rating>,
    /// Which versions are concerned.
    pub versions: Versions,
    /// Operating systems that it is limited to; empty: all.
    pub systems: Vec<String>,
    /// Processor architectures that it is limited to; empty: all.
    pub architectures: Vec<String>,
    /// Names elsewhere (`CVE-...`, `GHSA-...`).
    pub aliases: Vec<String>,
    /// Where to read more.
    pub url: Option<String>,
    /// The day it was reported, `2021-01-08`.
    pub date: String,
    /// It was taken back.
    pub withdrawn: bool,
    /// The licence of its text.
    pub licence: String,
}

impl Advisory {
    /// Reads an advisory's file that lies in the folder of `package` under the name `file`. `None`: it is about
    /// packages of another registry, or a placeholder.
    ///
    /// # Errors
    /// Where it is not as RustSec's own tools want it: another name, another folder, text that they cannot read.
    pub fn parse(text: &str, package: &str, file: &str) -> Result<Option<Self>, String> {
        let read =
            rustsec::Advisory::from_str(text).map_err(|_| "its text is not as it should be".to_owned())?;
        let about = read.metadata;
        if about.id.is_placeholder() {
            return Ok(None);
        }
        if file.strip_suffix(".md") != Some(about.id.as_str()) {
            return Err("its file has another name than it".to_owned());
        }
        if about.package.as_str() != package {
            return Err("it lies in another package's folder".to_owned());
        }
        if about.collection.is_some_and(|collection| collection != Collection::Crates) {
            return Err("it says that it belongs to another collection".to_owned());
        }
        if about.source.is_some_and(|source| !source.is_default_registry()) {
            return Ok(None);
        }
        let affected = read.affected.unwrap_or_default();
        Ok(Some(Self {
            id: about.id.to_string(),
            package: package.to_owned(),
            title: about.title,
            kind: about.informational.map_or(Kind::Vulnerability, kind),
            // A score of zero says of a hole that it is none: nobody has rated it.
            rating: about.cvss.filter(|cvss| cvss.score() > 0.0).map(|cvss| Rating {
                vector: cvss.to_string(),
                score: cvss.score(),
                severity: severity(cvss.severity()),
            }),
            versions: read.versions,
            systems: affected.os.iter().map(|system| system.as_str().to_owned()).collect(),
            architectures: affected.arch.iter().map(|arch| arch.as_str().to_owned()).collect(),
            aliases: about.aliases.iter().map(ToString::to_string).collect(),
            url: about.url.map(|url| url.to_string()),
            date: about.date.as_str().to_owned(),
            withdrawn: about.withdrawn.is_some(),
            licence: about.license.spdx().to_owned(),
        }))
    }

    /// Whether a version is concerned. Versions before a release count as RustSec counts them (its OSV ranges).
    pub fn concerns(&self, version: &Version) -> bool {
        self.versions.is_vulnerable(version)
    }

    /// The platforms that it is limited to, where this program's is not among them.
    pub fn elsewhere(&self) -> Option<String> {
        let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
        let other =
            |limits: &[String], ours: &str| !limits.is_empty() && !limits.iter().any(|limit| limit == ours);
        let limits = if other(&self.systems, system) {
            &self.systems
        } else if other(&self.architectures, architecture) {
            &self.architectures
        } else {
            return None;
        };
        Some(limits.join(", "))
    }

    /// The versions in which it is mended, in words.
    pub fn remedy(&self) -> String {
        let patched: Vec<_> = self.versions.patched().iter().map(ToString::to_string).collect();
        match (patched.is_empty(), &self.kind) {
            (false, _) => format!("Update {} to {}.", self.package, patched.join(" or ")),
            (true, Kind::Vulnerability) => format!("No version of {} is mended: replace it.", self.package),
            (true, _) => format!("Replace {}; no version of it mends this.", self.package),
        }
    }

    /// Where people read it.
    pub fn page(&self) -> String {
        format!("https://rustsec.org/advisories/{}.html", self.id)
    }

    /// What its licence asks to be said wherever it is shown; `None` for the public domain (CC0-1.0).
    pub fn attribution(&self) -> Option<String> {
        (self.licence != "CC0-1.0").then(|| format!("{}, {}: from {}", self.id, self.licence, self.origin()))
    }

    fn origin(&self) -> String {
        let ghsa = self.aliases.iter().find(|alias| alias.starts_with("GHSA-"));
        match (&self.url, ghsa) {
            (Some(url), _) => url.clone(),
            (None, Some(id)) => format!("https://github.com/advisories/{id}"),
            (None, None) => self.page(),
        }
    }
}

fn kind(informational: Informational) -> Kind {
    match informational {
        Informational::Unmaintained => Kind::Unmaintained,
        Informational::Unsound => Kind::Unsound,
        other => Kind::Notice(other.to_string()),
    }
}

fn severity(cvss: Cvss) -> Severity {
    match cvss {
        Cvss::None | Cvss::Low => Severity::Low,
        Cvss::Medium => Severity::Medium,
        Cvss::High => Severity::High,
        Cvss::Critical => Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::file;
    use super::*;

    fn read(more: &str) -> Advisory {
        Advisory::parse(&file("RUSTSEC-2026-0001", "dep", more), "dep", "RUSTSEC-2026-0001.md")
            .unwrap()
            .unwrap()
    }

    #[test]
    fn versions_are_concerned_from_the_first_bad_one_to_the_first_mended_one() {
        let advisory = read("");
        let concerned = |version: &str| advisory.concerns(&version.parse().unwrap());
        assert_eq!(
            ["0.9.9", "1.0.0", "1.2.2", "1.2.3-rc.1", "1.2.3", "2.0.0"].map(concerned),
            [false, true, true, true, false, false]
        );
        assert_eq!(advisory.remedy(), "Update dep to >=1.2.3.");
        assert_eq!((advisory.kind, advisory.rating), (Kind::Vulnerability, None));
    }

    #[test]
    fn severity_is_by_cvss_of_any_version_and_otherwise_unknown() {
        for (vector, severity) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Severity::Critical),
            ("CVSS:3.0/AV:L/AC:H/PR:L/UI:R/S:U/C:N/I:N/A:L", Severity::Low),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Severity::Critical),
        ] {
            let rating = read(&format!("cvss = \"{vector}\"")).rating.unwrap();
            assert_eq!((rating.severity, rating.vector.as_str()), (severity, vector));
        }
        // None of anything: nobody has rated it.
        assert_eq!(read("cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N\"").rating, None);
    }

    #[test]
    fn informational_kinds_are_kept_apart() {
        for (word, kind) in [
            ("unmaintained", Kind::Unmaintained),
            ("unsound", Kind::Unsound),
            ("notice", Kind::Notice("notice".to_owned())),
            ("something-new", Kind::Notice("something-new".to_owned())),
        ] {
            assert_eq!(read(&format!("informational = \"{word}\"")).kind, kind);
        }
    }

    #[test]
    fn what_lies_elsewhere_or_cannot_be_read_is_an_error() {
        let good = file("RUSTSEC-2026-0001", "dep", "");
        assert!(Advisory::parse(&good, "other", "RUSTSEC-2026-0001.md").is_err());
        assert!(Advisory::parse(&good, "dep", "RUSTSEC-2026-0002.md").is_err());
        assert!(Advisory::parse("# text", "dep", "RUSTSEC-2026-0001.md").is_err());
        let broken = file("RUSTSEC-2026-0001", "dep", "cvss = \"CVSS:9.9/X\"");
        assert!(Advisory::parse(&broken, "dep", "RUSTSEC-2026-0001.md").is_err());
        let placeholder = file("RUSTSEC-0000-0000", "dep", "");
        assert_eq!(Advisory::parse(&placeholder, "dep", "RUSTSEC-0000-0000.md"), Ok(None));
    }

    #[test]
    fn a_limited_advisory_knows_whether_it_is_about_this_platform() {
        let limited = |system: &str| Advisory { systems: vec![system.to_owned()], ..read("") };
        assert_eq!(limited(std::env::consts::OS).elsewhere(), None);
        assert_eq!(limited("plan9").elsewhere().as_deref(), Some("plan9"));
    }

    #[test]
    fn imported_text_names_where_it_is_from() {
        let imported = read("license = \"CC-BY-4.0\"\naliases = [\"GHSA-43w2-9j62-hq99\"]");
        let words = imported.attribution().unwrap();
        assert!(words.contains("CC-BY-4.0") && words.contains("advisories/GHSA-43w2-9j62-hq99"), "{words}");
        assert_eq!(read("").attribution(), None);
    }
}
