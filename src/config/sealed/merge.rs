//! A sealed file after a merge by git: each value is still authentic by itself, the text as a whole is not.
//!
//! Opening one proves less than [`super::Sealed::open`] does: names, plain values and slots may be anybody's, and a
//! sealed value may be an older one of the same path. Somebody has to look at it and [vouch](Merged::vouch) for it.

use serde_json::{Map, Value as Node};

use super::header::Header;
use super::{FileKey, MARK, Opened, Opener, Refusal, Sealed, slots, values, write};
use crate::ambient::Timestamp;

/// A file whose values open, and whose text nobody has vouched for yet.
pub struct Merged(Opened);

impl Merged {
    /// Opens what was merged. Names that are there twice are for the caller to refuse: `root` has none.
    ///
    /// # Errors
    /// [`Refusal::WrongKey`]; [`Refusal::Tampered`] where the header is not whole, or a value was not sealed by this
    /// file's key for its place, as where one side of the merge was rekeyed.
    pub fn open(mut root: Map<String, Node>, opener: &Opener<'_>) -> Result<Self, Refusal> {
        let tampered = |why: &str| Refusal::Tampered(why.to_owned());
        let header = root.remove(MARK).ok_or_else(|| tampered("it has no header"))?;
        let header = Header::read(header)?;
        let (key, _) = slots::unlock(&header, opener)?;
        Ok(Self(opened(key, header, root)?))
    }

    /// What it would mean, once vouched for.
    pub const fn contents(&self) -> &Opened {
        &self.0
    }

    /// Whether the MAC is right all the same: then there is nothing to vouch for.
    pub fn is_authentic(&self) -> bool {
        let sealed = Sealed { header: self.0.header.clone(), root: self.0.sealed.clone() };
        sealed.is_authentic(&self.0.key).unwrap_or(false)
    }

    /// The same text under a right MAC, as the revision after `newest` and its own. Sealed values keep their bytes.
    pub fn vouch(&self, newest: u64, now: Timestamp) -> String {
        let rev = self.0.header.rev.max(newest).saturating_add(1);
        let header = Header { rev, sealed_at: now.rfc3339(), ..self.0.header.clone() };
        write(&self.0.key, header, self.0.sealed.clone())
    }
}

fn opened(key: FileKey, header: Header, sealed: Map<String, Node>) -> Result<Opened, Refusal> {
    let plain = values::open_all(&key, &header.lineage, &sealed)?;
    Ok(Opened { header, plain, sealed, key })
}

/// Settles the conflicts that every merge of two revisions has, in the header's `mac`, `rev` and `sealed_at`: our
/// side's, with the higher `rev`. Any other conflict stays for a person.
pub fn resolve_header(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let block = if line.starts_with("<<<<<<<") { Block::read(line, &mut lines) } else { None };
        match block {
            Some(block) => block.settle(&mut out),
            None => out.extend([line, "\n"]),
        }
    }
    out
}

/// One conflict as git writes it.
struct Block<'a> {
    ours: Vec<&'a str>,
    theirs: Vec<&'a str>,
    /// With the marks, and what both sides came from.
    all: Vec<&'a str>,
}

impl<'a> Block<'a> {
    fn read(first: &'a str, lines: &mut std::str::Lines<'a>) -> Option<Self> {
        let mut block = Self { ours: Vec::new(), theirs: Vec::new(), all: vec![first] };
        let mut side = 0;
        for line in lines.by_ref() {
            block.all.push(line);
            match line.get(..7) {
                Some("|||||||") => side = 1,
                Some("=======") => side = 2,
                Some(">>>>>>>") => return Some(block),
                _ if side == 0 => block.ours.push(line),
                _ if side == 2 => block.theirs.push(line),
                _ => {}
            }
        }
        // Without an end it is no conflict of git's; it is no JSON either, which the reader will say.
        Some(block)
    }

    fn settle(&self, out: &mut String) {
        let is_bookkeeping = |line: &&str| BOOKKEEPING.iter().any(|name| line.starts_with(name));
        let names = |side: &[&str]| -> Vec<String> {
            side.iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
        };
        let both = || self.ours.iter().chain(&self.theirs);
        if !both().all(is_bookkeeping) || names(&self.ours) != names(&self.theirs) {
            self.all.iter().for_each(|line| out.extend([line, "\n"]));
            return;
        }
        for (ours, theirs) in self.ours.iter().zip(&self.theirs) {
            let line = if rev(theirs) > rev(ours) { theirs } else { ours };
            out.extend([line, "\n"]);
        }
    }
}

/// Lines of the header that differ between any two revisions.
const BOOKKEEPING: [&str; 3] = ["    \"mac\": \"", "    \"rev\": ", "    \"sealed_at\": \""];

fn rev(line: &str) -> Option<u64> {
    line.strip_prefix(BOOKKEEPING[1])?.trim_end_matches(',').parse().ok()
}
