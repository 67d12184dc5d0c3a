//! What a run reads beside the configuration: policies of a folder, waivers, a baseline. All of it bounded and strict.

use std::path::{Path, PathBuf};

use crate::check::baseline::Baseline;
use crate::check::waiver::{self, Waivers};
use crate::check::{Catalogue, embedded_policies};
use crate::cli::configured::parts;
use crate::cli::output::{Part, Refused, io_cause};
use crate::domain::event::clean;
use crate::failure::Failure;

/// A file of policies, or a former report, is never larger.
const LARGEST_POLICY: u64 = 1 << 20;
const LARGEST_BASELINE: u64 = 32 << 20;

/// The catalogue: as built in, or with the files of a folder in the place of those of the same name.
pub(super) fn catalogue(folder: Option<&Path>) -> Result<Catalogue, Refused> {
    let built_in = Catalogue::built_in().map_err(|why| {
        let failure = Failure::caused("the built-in policies cannot be read", why);
        Refused::unexpected("BUILD_DAMAGED", &failure, "use a build that passes its tests")
    })?;
    let Some(folder) = folder else { return Ok(built_in) };
    let refused = |why: String| {
        let text = format!("the policies in {} cannot be used: {}", folder.display(), clean(&why));
        Refused::usage("POLICIES_INVALID", text, "mend them; docs/security-check.md says what may be changed")
    };
    let (files, replaced) = overlaid(folder).map_err(refused)?;
    let origin =
        format!("{}: {} of {} files replaced", clean(&folder.display().to_string()), replaced, files.len());
    let catalogue = Catalogue::parse(&files, &origin).map_err(refused)?;
    catalogue.fits_over(&built_in).map_err(refused)?;
    Ok(catalogue)
}

/// The built-in files, those of the folder in their place; and how many.
fn overlaid(folder: &Path) -> Result<(Vec<(String, String)>, usize), String> {
    let mut files = embedded_policies();
    let mut found = Vec::new();
    for below in ["", "checks", "frameworks"] {
        let place = folder.join(below);
        if !below.is_empty() && !place.is_dir() {
            continue;
        }
        let entries = std::fs::read_dir(&place)
            .map_err(|error| format!("{}: {}", place.display(), io_cause(&error)))?;
        for entry in entries {
            let path = entry.map_err(|error| io_cause(&error))?.path();
            if path.extension().is_some_and(|end| end == "toml") {
                found.push(path);
            }
        }
    }
    found.sort();
    let mut replaced = 0;
    for path in &found {
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
        // The server's own policies lie beside these, and are not read here.
        if ["alerts.toml", "clients.toml", "environments.toml", "tools.toml"].contains(&name.as_str()) {
            continue;
        }
        let slot = files.iter_mut().find(|(known, _)| *known == name);
        let slot = slot.ok_or_else(|| format!("{name}: no file of this name is known here"))?;
        slot.1 = read(path, LARGEST_POLICY).map_err(|why| format!("{name}: {why}"))?;
        replaced += 1;
    }
    if found.is_empty() {
        return Err("there is no .toml file in it".to_owned());
    }
    Ok((files, replaced))
}

/// The waivers of a file, TOML or JSON by extension.
pub(super) fn waivers(path: Option<&PathBuf>, catalogue: &Catalogue) -> Result<Waivers, Refused> {
    let Some(path) = path else { return Ok(Waivers::default()) };
    let text = format!("the waivers in {} cannot be used", path.display());
    let root = crate::config::read_plain(path).map_err(|problems| {
        Refused::usage("WAIVERS_INVALID", text.clone(), "mend the file, TOML or JSON by its extension")
            .with_parts(parts(&problems))
    })?;
    waiver::parse(&root, catalogue).map_err(|problems| {
        let part = |why: String| Part {
            code: "WAIVER_INVALID".to_owned(),
            about: "waiver".to_owned(),
            origin: path.display().to_string(),
            why,
            fix:
                "each has id, owner, reason (ten characters or more) and expires (a day such as 2026-12-31), and may have fingerprint, approver and justification"
                    .to_owned(),
        };
        let next = "mend all of them; nothing is waived by a file with a mistake";
        Refused::usage("WAIVERS_INVALID", text.clone(), next)
            .with_parts(problems.into_iter().map(part).collect())
    })
}

/// A former JSON report.
pub(super) fn baseline(path: Option<&PathBuf>) -> Result<Option<Baseline>, Refused> {
    let Some(path) = path else { return Ok(None) };
    let refused = |why: String| {
        let text = format!("{} cannot be a baseline: {why}", path.display());
        Refused::usage("BASELINE_INVALID", text, "give a report that --format json wrote")
    };
    let text = read(path, LARGEST_BASELINE).map_err(refused)?;
    Baseline::parse(&text).map(Some).map_err(refused)
}

fn read(path: &Path, most: u64) -> Result<String, String> {
    crate::reading::text(path, most).map_err(|error| io_cause(&error))
}
