//! `spotify-mcp config encrypt --accept-merge`: a merge by version control keeps every sealed value authentic and
//! leaves the text as a whole without a right MAC. A person looks at what it says and vouches for it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node, json};

use super::changes::{self, changes, shown_whole};
use super::confirm::{check_answerable, confirm};
use super::ledger::{Deed, Ledger};
use super::safe::{self, FoundKey};
use crate::ambient::Clock;
use crate::cli::Global;
use crate::cli::output::{Exit, Refused, SealedExit};
use crate::config::file::parse_json;
use crate::config::sealed::{Merged, Opened, Refusal, resolve_header};
use crate::config::sealed_file::{self, Change, Lock};
use crate::config::unseal;
use crate::domain::event::EventCode;

/// Shows what a merged file says, asks, and gives it a MAC.
pub fn run(path: &Path, against: &[PathBuf], yes: bool, global: &Global) -> Result<Exit, Refused> {
    safe::present(path)?;
    check_answerable(yes)?;
    let output = global.output();
    let key = safe::server_key(global)?.ok_or_else(safe::no_key_refused)?;
    let lock = Lock::take(path).map_err(|trouble| safe::troubled(path, trouble))?;
    let text = safe::read(path)?;
    let merged = Merged::open(parse(path, &text)?, &key.opener()).map_err(|why| safe::refused(path, &why))?;
    let opened = merged.contents();
    if merged.is_authentic() && safe::open_text(path, &text, &key).is_ok() {
        let exit = Exit::Sealed(SealedExit::Unchanged);
        let text = format!("{} is authentic as it is", path.display());
        return Err(Refused::new(exit, "CONFIG_UNCHANGED", text, "nothing was changed"));
    }
    safe::judge(path, &opened.plain, &opened.faults())?;
    let ledger = Ledger::of(path, &opened.header, &opened.plain, global);

    let bases = bases(path, against, &key, opened)?;
    let differences = show(opened, &bases);
    output.note(&differences.words);
    confirm("Vouch for this text?", yes, &output)?;

    let newest =
        bases.iter().map(|base| base.opened.header.rev).chain([ledger.newest()]).max().unwrap_or_default();
    let after = merged.vouch(newest, Clock::system().now());
    let change = Change { before: &text, after: &after, keep: true };
    let proof = |back: &str| safe::proven(back, &key, &opened.plain);
    sealed_file::replace(&lock, path, change, &proof).map_err(|trouble| safe::troubled(path, trouble))?;

    let (digest, rev) = (unseal::digest(&after), opened.header.rev.max(newest).saturating_add(1));
    let (code, verb, about) =
        (EventCode::ConfigMergeAccepted, "config encrypt --accept-merge", &differences.keys);
    ledger.record(&opened.header, &Deed { code, verb, rev, digest: &digest, about });
    let words = format!("{} is authentic again (revision {rev})\n", path.display());
    let document = json!({
        "file": path, "lineage": opened.header.lineage, "rev": rev, "digest": digest, "compared": differences.document,
    });
    output.result(&words, &document);
    Ok(Exit::Done)
}

fn parse(path: &Path, text: &str) -> Result<Map<String, Node>, Refused> {
    let tree = parse_json(&resolve_header(text)).map_err(|(line, why)| {
        let at =
            line.map(|line| format!(" (line {line}, counted after the header's own conflicts were settled)"));
        Refused::usage(
            "CONFIG_SYNTAX",
            format!("{}: {why}{}", path.display(), at.unwrap_or_default()),
            "settle the conflicts that are left: take one side of each, sealed values as they are",
        )
    })?;
    Ok(tree.root)
}

/// An authentic revision of the same file.
struct Base {
    path: PathBuf,
    opened: Opened,
}

fn bases(path: &Path, against: &[PathBuf], key: &FoundKey, merged: &Opened) -> Result<Vec<Base>, Refused> {
    let mut bases = Vec::new();
    for path in against {
        let opened = safe::open(path, key)?.opened;
        if opened.header.lineage != merged.header.lineage {
            let refusal = Refusal::Tampered("it is a revision of another file".to_owned());
            return Err(safe::refused(path, &refusal));
        }
        bases.push(Base { path: path.clone(), opened });
    }
    let kept = sealed_file::backup_path(path);
    if bases.is_empty()
        && let Ok(open) = safe::open(&kept, key)
        && open.opened.header.lineage == merged.header.lineage
    {
        bases.push(Base { path: kept, opened: open.opened });
    }
    Ok(bases)
}

/// What a person has to look at.
struct Differences {
    words: String,
    document: Vec<Node>,
    keys: String,
}

fn show(merged: &Opened, bases: &[Base]) -> Differences {
    let after = shown_whole(merged, merged);
    let mut differences = Differences { words: String::new(), document: Vec::new(), keys: String::new() };
    for base in bases {
        let before = shown_whole(&base.opened, merged);
        let changes = changes(&before, &after);
        let (path, rev) = (base.path.display(), base.opened.header.rev);
        differences.words += &format!("Against {path} (revision {rev}):\n{}", changes::in_words(&changes));
        differences
            .document
            .push(json!({ "against": base.path, "rev": rev, "changes": changes::document(&changes) }));
        differences.keys += &changes::keys(&changes);
    }
    if bases.is_empty() {
        let lines = after.iter().map(|(key, value)| format!("  {key} = {value}\n"));
        differences.words =
            "There is no revision to compare it with. It says:\n".to_owned() + &lines.collect::<String>();
        differences.keys = "every key".to_owned();
    }
    differences
}
