//! What `security-check deps` takes beside what every area takes, and its bill of materials.

use std::path::PathBuf;

use super::outputs;
use crate::ambient::Dice;
use crate::check::deps::{self, Analysis, PUBLISHED};
use crate::check::outcome::Judged;
use crate::check::waiver::{Standing, Waiver};
use crate::check::{Request, State};
use crate::cli::administer::runtime;
use crate::cli::output::{Output, Refused};

/// What the program is made of, and what that is held against.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Packages (deps, compliance)")]
pub(super) struct Supply {
    /// The advisory database: a folder or an archive of it [default: advisory-db of the data directory]
    #[arg(long, value_name = "PATH")]
    pub(super) advisory_db: Option<PathBuf>,
    /// Fetch the advisory database, from RustSec or a mirror; its host must be in network.allowed_hosts
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = PUBLISHED, conflicts_with_all = ["offline", "advisory_db"])]
    pub(super) fetch_advisories: Option<String>,
    /// A lock file to judge in place of this program
    #[arg(long, value_name = "FILE")]
    pub(super) lockfile: Option<PathBuf>,
    /// A copy of the registry's index, for yanked and outdated versions: a checkout, or cargo's cache
    #[arg(long, value_name = "FOLDER")]
    pub(super) registry_index: Option<PathBuf>,
    /// A release's SHA256SUMS, which this program must be in
    #[arg(long, value_name = "FILE")]
    pub(super) release_manifest: Option<PathBuf>,
    /// Write a CycloneDX 1.6 bill of materials there, waivers in it as VEX
    #[arg(long, value_name = "FILE")]
    pub(super) sbom: Option<PathBuf>,
}

/// CycloneDX 1.6: why something is not affected.
const JUSTIFICATIONS: [&str; 9] = [
    "code_not_present",
    "code_not_reachable",
    "requires_configuration",
    "requires_dependency",
    "requires_environment",
    "protected_by_compiler",
    "protected_at_runtime",
    "protected_at_perimeter",
    "protected_by_mitigating_control",
];

impl Supply {
    /// The bill of materials, where one is asked for or evidence is collected of what it is about. What a run has seen of
    /// the packages is not looked at twice.
    pub(super) fn bill(
        &self,
        request: &Request,
        (seen, for_evidence): (Option<deps::Facts>, bool),
        judged: &[Judged],
    ) -> Result<Option<String>, Refused> {
        let facts = match (seen, &self.sbom) {
            (Some(facts), Some(_)) => facts,
            (Some(facts), None) if for_evidence => facts,
            (None, Some(_)) => runtime()?.block_on(deps::gather(request)),
            _ => return Ok(None),
        };
        let bill = deps::bill(&facts, |advisory, package| analysis(judged, &format!("{advisory} {package}")));
        bill.map(Some).map_err(|unseen| {
            let text = format!("the bill of materials cannot be written: {unseen}");
            Refused::incomplete("REPORT_UNWRITTEN", text, "name a lock file that can be read")
        })
    }

    /// Writes it where `--sbom` says, and gives it back.
    pub(super) fn write(
        &self,
        bill: Option<String>,
        dice: &Dice,
        output: &Output,
    ) -> Result<Option<String>, Refused> {
        if let (Some(path), Some(bill)) = (&self.sbom, &bill) {
            outputs::write(path, bill, dice)?;
            output.note(&format!("bill of materials: {}", path.display()));
        }
        Ok(bill)
    }
}

/// What a waiver says of an advisory and package.
fn analysis(judged: &[Judged], subject: &str) -> Option<Analysis> {
    let about = |one: &&Judged| {
        matches!(one.finding.id.as_str(), "SMC7002" | "SMC7004") && one.finding.subject == subject
    };
    let one = judged.iter().find(about)?;
    match (&one.waiver, one.finding.state) {
        (Some(Standing::Covered(waiver)), _) => Some(accepted(waiver)),
        (None, State::NotApplicable) => Some(Analysis {
            state: "not_affected".to_owned(),
            justification: Some("requires_environment".to_owned()),
            detail: one.finding.observed.clone(),
        }),
        _ => None,
    }
}

fn accepted(waiver: &Waiver) -> Analysis {
    let known = |word: &&String| JUSTIFICATIONS.contains(&word.as_str());
    let justification = waiver.justification.as_ref().filter(known).cloned();
    let state = if justification.is_some() { "not_affected" } else { "exploitable" };
    let approver = waiver.approver.as_ref().map(|name| format!(", approved by {name}")).unwrap_or_default();
    let detail = format!("{} ({}{approver}, until {})", waiver.reason, waiver.owner, waiver.expires);
    Analysis { state: state.to_owned(), justification, detail }
}
