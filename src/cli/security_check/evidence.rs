//! `--evidence-dir`: every form of the report in one folder, and a manifest of their digests, signed as the evidence of
//! rotations is, with the manifest's own digest in the audit trail. Never: over an earlier bundle.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::outputs;
use crate::ambient::Dice;
use crate::check::report::{Form, Look, Report};
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused, io_cause};
use crate::cli::rotate_keys::{roots, sign};
use crate::cli::{Global, serve_start};
use crate::config::master_key::make_data_dir;
use crate::domain::event::{Event, EventCode};

const FILES: [(Form, &str); 7] = [
    (Form::Json, "report.json"),
    (Form::Markdown, "report.md"),
    (Form::Sarif, "report.sarif"),
    (Form::Oscal, "report.oscal.json"),
    (Form::Poam, "report.poam.json"),
    (Form::Junit, "report.junit.xml"),
    (Form::Text, "report.txt"),
];

/// The bill of materials, where packages were looked at.
const BILL: &str = "sbom.cdx.json";

/// Writes a bundle; false where its manifest could not be signed, which it then says.
pub(super) fn write(
    (report, bill): (&Report<'_>, Option<&str>),
    folder: &Path,
    global: &Global,
) -> Result<bool, Refused> {
    let bundle = fresh(report, folder)?;
    let dice = Dice::system();
    let look = Look { verbose: true, ..Look::default() };
    let mut texts: Vec<(&str, String)> =
        FILES.iter().map(|(form, name)| (*name, report.write(*form, look))).collect();
    texts.extend(bill.map(|bill| (BILL, bill.to_owned())));
    let mut files = Map::new();
    for (name, text) in texts {
        outputs::write(&bundle.join(name), &text, &dice)?;
        files.insert(name.to_owned(), json!({ "sha256": sha256(&text), "bytes": text.len() }));
    }
    let manifest = json!({
        "schema": "spotify-mcp/security-check-evidence/v1",
        "asked": report.asked,
        "environment": report.environment.name(),
        "profile": report.profile.name(),
        "generated_at": report.at.rfc3339(),
        "outcome": report.outcome().name(),
        "exit_status": report.outcome().status(),
        "files": files,
        "policies": { "origin": report.catalogue.origin, "sha256": report.catalogue.digest },
        "program": { "version": env!("CARGO_PKG_VERSION"), "sha256": report.program },
    });
    let (document, unsigned) = match signed(&manifest, report, global) {
        Ok(document) => (document, None),
        Err(why) => (json!({ "evidence": manifest, "signature": null, "unsigned_because": why }), Some(why)),
    };
    outputs::write(&bundle.join("manifest.json"), &format!("{document:#}\n"), &dice)?;
    let output = global.output();
    match &unsigned {
        None => output.note(&format!("signed evidence: {}", bundle.display())),
        Some(why) => output.refused(&Refused::incomplete(
            "EVIDENCE_UNSIGNED",
            format!("the evidence in {} is not signed: {why}", bundle.display()),
            "run it where the server's configuration, database and master key are",
        )),
    }
    Ok(unsigned.is_none())
}

/// A folder of its own, named by what was asked and when.
fn fresh(report: &Report<'_>, folder: &Path) -> Result<PathBuf, Refused> {
    let at: String = report.at.rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let name = format!("security-check-{}-{at}", report.asked);
    let refused = |error: std::io::Error| {
        let text = format!("{} cannot be made: {}", folder.join(&name).display(), io_cause(&error));
        Refused::incomplete("REPORT_UNWRITTEN", text, "name a folder that this user may write")
    };
    make_data_dir(folder).map_err(refused)?;
    // Others may begin in the same millisecond.
    let numbered = (2..100).map(|number| format!("{name}-{number}"));
    for name in std::iter::once(name.clone()).chain(numbered) {
        let bundle = folder.join(name);
        match DirBuilder::new().mode(0o700).create(&bundle) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| bundle).map_err(refused),
        }
    }
    Err(refused(ErrorKind::AlreadyExists.into()))
}

/// Signs with the server's evidence key, and records the manifest's digest in the trail.
fn signed(manifest: &Value, report: &Report<'_>, global: &Global) -> Result<Value, String> {
    let mut document = None;
    let place = Place { global, sandbox: false };
    let done = at_database(&place, async |desk| {
        document = Some(at_desk(desk, manifest, report).await?);
        Ok(Exit::Done)
    });
    match (done, document) {
        (Ok(_), Some(document)) => Ok(document),
        (Err(refused), _) => Err(refused.message().to_owned()),
        (Ok(_), None) => Err("nothing was signed".to_owned()),
    }
}

async fn at_desk(desk: &Desk, manifest: &Value, report: &Report<'_>) -> Result<Value, Refused> {
    let roots = roots(desk, None)?;
    let (ring, _) = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await?;
    let document = sign(&ring, manifest.clone()).map_err(|failure| broken(&failure))?;
    let event = Event::new(EventCode::SecurityChecked)
        .subject(report.asked)
        .status(report.outcome().name())
        .detail("manifest_sha256", sha256(&manifest.to_string()))
        .detail("profile", report.profile.name());
    desk.store.record(&[desk.stamp(event)]).await.map_err(|failure| broken(&failure))?;
    Ok(document)
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
