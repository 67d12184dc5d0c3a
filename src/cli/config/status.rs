//! `spotify-mcp config status`: what opens a sealed file, how old its keys are against the policy, and which text it is.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::expiry::{self, End};
use super::ledger::Ledger;
use super::safe::{self, KeyArgs};
use crate::ambient::{Clock, Timestamp};
use crate::cli::Global;
use crate::cli::output::{Exit, Refused, SealedExit};
use crate::config::keys;
use crate::config::sealed::{Header, Opened, Sealed, Slot, SlotKind};
use crate::config::unseal;

/// What `config status` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Key derivation below the floor or above the ceiling is refused (status 14). Without a key that opens it the header is
shown as it stands, nothing of it is proven, and the status is 16 (no key) or 10 (another one's).

Servers: which revision and which text (SHA-256) they last started with or took over, from their database, where it can
be reached from here.

Exit status: 1 when a master key's slot is older than security.max_key_age_days.master, or a secret has ended; 12 when the
file is older than what a server has used.

Examples:
  spotify-mcp config status server.encrypted.json
  spotify-mcp config status server.encrypted.json --format json")]
pub struct Args {
    /// The sealed file
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
}

/// Prints the state and judges the ages.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let text = safe::read(&args.file)?;
    let sealed = Sealed::parse(&text).map_err(|refusal| safe::refused(&args.file, &refusal))?;
    let opened = args.key.find(global).and_then(|key| safe::open_text(&args.file, &text, &key));
    let (opened, no_key) = match opened {
        Ok(opened) => (Some(opened), None),
        Err(refused) if is_for_want_of_a_key(&refused) => (None, Some(refused)),
        Err(refused) => return Err(refused),
    };
    let most = max_age(opened.as_ref().map(|opened| &opened.plain));
    let now = Clock::system().now();
    let ages = Ages { now, most };
    let known = |opened: &Opened| Ledger::of(&args.file, &opened.header, &opened.plain, global);
    let report = Report {
        path: &args.file,
        digest: unseal::digest(&text),
        header: sealed.header(),
        ledger: opened.as_ref().map(known),
        ends: expiry::ends(sealed.header(), now),
    };
    global.output().result(&report.in_words(&ages), &report.document(&ages));
    let older = report.ledger.as_ref().and_then(|ledger| ledger.is_rolled_back(report.header));
    let is_late = report.header.slots.iter().any(|slot| ages.too_old(slot));
    match (no_key, older) {
        (Some(refused), _) => Err(refused),
        (None, Some(refusal)) => Err(safe::refused(&args.file, &refusal)),
        (None, None) if is_late || report.ends.iter().any(End::is_over) => Ok(Exit::Findings),
        (None, None) => Ok(Exit::Done),
    }
}

/// The header tells which key is missing; where the file is not what was sealed, nothing of it is shown.
fn is_for_want_of_a_key(refused: &Refused) -> bool {
    matches!(refused.exit(), Exit::Sealed(SealedExit::NoKey | SealedExit::WrongKey))
}

/// How many days a master key may be used, as the file says; 0: no bound.
fn max_age(contents: Option<&Map<String, Node>>) -> u64 {
    const KEY: &str = "security.max_key_age_days.master";
    let said = contents.and_then(|root| super::contents::at(root, KEY)).and_then(|node| match node {
        Node::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    let default = || keys::find(KEY).and_then(|spec| spec.default?.parse().ok());
    said.or_else(default).unwrap_or_default()
}

struct Ages {
    now: Timestamp,
    most: u64,
}

impl Ages {
    /// Whole days; `None` where the file says no instant.
    fn days(&self, slot: &Slot) -> Option<u64> {
        let made = OffsetDateTime::parse(&slot.created_at, &Rfc3339).ok()?;
        Some(self.now.since(Timestamp::from_secs(made.unix_timestamp())).as_secs() / 86_400)
    }

    fn too_old(&self, slot: &Slot) -> bool {
        slot.kind == SlotKind::MasterKey
            && self.most > 0
            && self.days(slot).is_none_or(|days| days > self.most)
    }
}

struct Report<'a> {
    path: &'a Path,
    digest: String,
    header: &'a Header,
    /// What is known beside the file, where it is proven.
    ledger: Option<Ledger>,
    ends: Vec<End>,
}

impl Report<'_> {
    fn in_words(&self, ages: &Ages) -> String {
        let header = self.header;
        let (proof, servers) = match &self.ledger {
            Some(ledger) => ("authentic", ledger.in_words(header, &self.digest)),
            None => {
                ("NOT PROVEN: no key here opens it", "not known: the file names their database".to_owned())
            }
        };
        let end = |end: &End| format!("secret    {}  {}\n", end.key, end.in_words());
        let ends: String = self.ends.iter().map(end).collect();
        let slots: String = header.slots.iter().map(|slot| slot_in_words(slot, ages)).collect();
        format!(
            "{}: {proof}\nrevision  {}  (sealed at {})\nlineage   {}\nsha256    {}\nservers   {servers}\n{slots}{ends}",
            self.path.display(),
            header.rev,
            header.sealed_at,
            header.lineage,
            self.digest,
        )
    }

    fn document(&self, ages: &Ages) -> Node {
        let header = self.header;
        let slot = |slot: &Slot| {
            json!({
                "id": slot.id, "kind": slot.kind.name(), "key_id": slot.key_id, "created_at": slot.created_at,
                "age_days": ages.days(slot), "too_old": ages.too_old(slot), "kdf": slot.kdf,
            })
        };
        json!({
            "file": self.path, "format": header.format, "authentic": self.ledger.is_some(), "lineage": header.lineage,
            "rev": header.rev, "sealed_at": header.sealed_at, "digest": self.digest,
            "servers": self.ledger.as_ref().map(|ledger| ledger.document(header, &self.digest)),
            "ends": self.ends.iter().map(End::document).collect::<Vec<_>>(),
            "max_key_age_days": ages.most, "slots": header.slots.iter().map(slot).collect::<Vec<_>>(),
        })
    }
}

fn slot_in_words(slot: &Slot, ages: &Ages) -> String {
    let age = match ages.days(slot) {
        Some(days) => format!("{days} days old"),
        None => "of unknown age".to_owned(),
    };
    let late = if ages.too_old(slot) {
        format!(", more than the {} days of the policy: run 'spotify-mcp config rekey'", ages.most)
    } else {
        String::new()
    };
    let kdf = match &slot.kdf {
        Some(kdf) => format!("  {}", json!(kdf)),
        None => String::new(),
    };
    format!("slot      {}  {:10}  key {}  {age}{late}{kdf}\n", slot.id, slot.kind.name(), slot.key_id)
}
