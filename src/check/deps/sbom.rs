//! A CycloneDX 1.6 bill of materials: the packages with origin, licence and digest, what needs what, the advisories that
//! concern them with the operator's judgement of each (VEX), and the cryptography in use (CBOM).
//!
//! Deterministic: the same facts and judgements give the same bytes. It carries no time for that reason; its serial
//! number is made of its contents.

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::cbom;
use super::package::{Evidence, Inventory, Origin, Package, Use};
use super::rules::matches;
use super::{Advisory, Facts};
use crate::check::finding::{Severity, Unseen, visible};

/// What somebody decided about an advisory and a package: CycloneDX 1.6, `vulnerabilities[].analysis`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Analysis {
    /// `not_affected`, `exploitable`, `in_triage`, `false_positive`, `resolved`.
    pub state: String,
    /// `code_not_present`, `code_not_reachable`, ...; with `not_affected` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Why, by whom, until when.
    pub detail: String,
}

/// Writes the bill of materials. `judged` answers what was decided about an advisory (its id) and a package (name and
/// version with a space between); without a decision an advisory is `in_triage`.
///
/// # Errors
/// Where the packages are not known.
pub fn bill(facts: &Facts, judged: impl Fn(&str, &str) -> Option<Analysis>) -> Result<String, Unseen> {
    let inventory = facts.inventory.as_ref().map_err(Clone::clone)?;
    let subject = subject(facts, inventory);
    let bodies = inventory.packages.iter().filter(|package| !inventory.is_own(package));
    let mut components: Vec<Value> = bodies.map(|package| component(facts, package)).collect();
    let ours = !matches!(inventory.evidence, Evidence::Lockfile(_));
    if ours {
        components.extend(cbom::components());
    }
    let mut body = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [{
                "type": "application", "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": subject,
            "properties": [{"name": "spotify-mcp:evidence", "value": inventory.evidence.to_string()}],
        },
        "components": components,
        "dependencies": dependencies(inventory, ours),
    });
    if let Some(Ok(database)) = &facts.database {
        let mut found: Vec<_> = matches(inventory, database, |_| true).collect();
        found.sort_by_key(|(advisory, package)| (&advisory.id, package.label()));
        body["vulnerabilities"] =
            found.into_iter().map(|(advisory, package)| vulnerability(advisory, package, &judged)).collect();
        let what = json!({"name": "spotify-mcp:advisory-database", "value": database.summary()});
        if let Some(properties) = body["metadata"]["properties"].as_array_mut() {
            properties.push(what);
        }
    }
    let mut body = visible(body);
    body["serialNumber"] = serial(&body.to_string()).into();
    Ok(format!("{body:#}\n"))
}

/// What it is about: this program, or whatever a lock file was made for.
fn subject(facts: &Facts, inventory: &Inventory) -> Value {
    let own = inventory.packages.iter().find(|package| inventory.is_own(package));
    let mut subject = match (own, &inventory.evidence) {
        (Some(package), _) => component(facts, package),
        (None, Evidence::Lockfile(path)) => {
            json!({"type": "application", "bom-ref": "root", "name": path.display().to_string()})
        }
        (None, _) => json!({"type": "application", "bom-ref": "root", "name": env!("CARGO_PKG_NAME")}),
    };
    subject["type"] = "application".into();
    let linked = inventory.evidence == Evidence::Embedded;
    if let (true, Ok(digest)) = (linked, &facts.program) {
        subject["hashes"] = json!([{"alg": "SHA-256", "content": digest}]);
    }
    subject
}

fn component(facts: &Facts, package: &Package) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(package),
        "name": package.name,
        "version": package.version.to_string(),
        "purl": purl(package),
    });
    match package.used {
        Use::Runtime => component["scope"] = "required".into(),
        // Not part of what is delivered.
        Use::Build => component["scope"] = "excluded".into(),
        Use::Unknown => {}
    }
    let expression = facts.licences.as_ref().ok().and_then(|licences| licences.expression(package));
    if let Some(expression) = expression {
        component["licenses"] = json!([{"expression": expression}]);
    }
    if let Some(checksum) = checksum(facts, package) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if package.origin != Origin::CratesIo {
        component["properties"] =
            json!([{"name": "spotify-mcp:origin", "value": package.origin.to_string()}]);
    }
    component
}

/// The published package's digest: its own, or the one in the lock file that this program was built from.
fn checksum(facts: &Facts, package: &Package) -> Option<String> {
    let same = |other: &&Package| {
        other.name == package.name && other.version == package.version && other.origin == package.origin
    };
    let copy = || facts.lock_copy.as_ref().ok()?.iter().find(same)?.checksum.clone();
    package.checksum.clone().or_else(copy)
}

/// The package URL, which also names the package within the document.
fn purl(package: &Package) -> String {
    // Build metadata begins with a plus, which a package URL writes as %2B.
    let version = package.version.to_string().replace('+', "%2B");
    format!("pkg:cargo/{}@{version}", package.name)
}

/// Unique, also where two packages differ by their origin alone.
fn reference(package: &Package) -> String {
    match &package.origin {
        Origin::CratesIo => purl(package),
        other => format!("{}#{other}", purl(package)),
    }
}

fn dependencies(inventory: &Inventory, ours: bool) -> Vec<Value> {
    let all = &inventory.packages;
    let mut listed: Vec<_> = all
        .iter()
        .map(|package| {
            let mut needs: Vec<_> = package.needs.iter().map(|&need| reference(&all[need])).collect();
            needs.sort_unstable();
            json!({"ref": reference(package), "dependsOn": needs})
        })
        .collect();
    if ours {
        listed.extend(cbom::references().map(|asset| json!({"ref": asset})));
    }
    listed
}

fn vulnerability(
    advisory: &Advisory,
    package: &Package,
    judged: &impl Fn(&str, &str) -> Option<Analysis>,
) -> Value {
    let open = || Analysis {
        state: "in_triage".to_owned(),
        justification: None,
        detail: "Nobody has decided about it.".to_owned(),
    };
    let analysis = judged(&advisory.id, &package.label()).unwrap_or_else(open);
    let mut vulnerability = json!({
        "bom-ref": format!("{}/{}", advisory.id, purl(package)),
        "id": advisory.id,
        "source": {"name": "RustSec", "url": advisory.page()},
        "references": references(advisory),
        "ratings": [rating(advisory)],
        "description": advisory.title,
        "recommendation": advisory.remedy(),
        "advisories": [{"url": advisory.url.clone().unwrap_or_else(|| advisory.page())}],
        "published": format!("{}T00:00:00Z", advisory.date),
        "analysis": analysis,
        "affects": [{"ref": reference(package)}],
        "properties": [{"name": "spotify-mcp:kind", "value": advisory.kind.name()}],
    });
    let credit =
        advisory.attribution().map(|credit| json!({"name": "spotify-mcp:attribution", "value": credit}));
    if let (Some(credit), Some(properties)) = (credit, vulnerability["properties"].as_array_mut()) {
        properties.push(credit);
    }
    vulnerability
}

fn references(advisory: &Advisory) -> Vec<Value> {
    let elsewhere = |alias: &String| {
        let (name, url) = match alias.split_once('-') {
            Some(("CVE", _)) => ("NVD", format!("https://nvd.nist.gov/vuln/detail/{alias}")),
            Some(("GHSA", _)) => ("GitHub Advisories", format!("https://github.com/advisories/{alias}")),
            _ => ("RustSec", advisory.page()),
        };
        json!({"id": alias, "source": {"name": name, "url": url}})
    };
    advisory.aliases.iter().map(elsewhere).collect()
}

fn rating(advisory: &Advisory) -> Value {
    let Some(rating) = &advisory.rating else { return json!({"severity": "unknown"}) };
    let severity = match rating.severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    };
    let method = match rating.vector.split('/').next() {
        Some("CVSS:3.0") => "CVSSv3",
        Some("CVSS:3.1") => "CVSSv31",
        Some("CVSS:4.0") => "CVSSv4",
        _ => "other",
    };
    let score = (rating.score * 10.0).round() / 10.0;
    json!({"score": score, "severity": severity, "method": method, "vector": rating.vector})
}

/// A UUID of the contents (RFC 9562, version 8).
fn serial(contents: &str) -> String {
    let digest = Sha256::digest(contents);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = 0x80 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::super::cases::good;
    use super::*;
    use crate::domain::event::is_deceptive;

    #[test]
    fn no_name_in_a_bill_hides_or_turns_round_what_stands_beside_it() {
        let mut facts = good().unwrap();
        let inventory = facts.inventory.as_mut().unwrap();
        inventory.packages[0].name = "ser\u{202e}de".to_owned();
        let decided = |_: &str, _: &str| {
            let detail = "a\u{200b}b".to_owned();
            Some(Analysis { state: "in_triage".to_owned(), justification: None, detail })
        };
        let text = bill(&facts, decided).unwrap();
        assert_eq!(text.chars().find(|c| *c != '\n' && is_deceptive(*c)), None);
        assert!(text.contains("ser[U+202E]de"), "{text}");
    }
}
