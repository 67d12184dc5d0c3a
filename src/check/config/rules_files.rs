//! Rules about files: SMC2004 and 2012.

use std::path::Path;

use super::Facts;
use super::acl::{Granted, Who};
use super::files::{FileSeen, Found, Role, There};
use super::way::{Above, Link};
use crate::check::{Ground, Severity, Source, State, Verdict};

/// SMC2004.
pub fn files_closed(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    // Whose the data is: a check by root looks at another user's server.
    let mut owners = vec![0, facts.me];
    if facts.me == 0 {
        owners.extend(facts.files.iter().filter_map(|file| match (&file.role, &file.found) {
            (Role::Folder, Found::There(there)) => Some(there.uid),
            _ => None,
        }));
    }
    let judged = facts.files.iter().map(|file| (file.role, judge(file, &owners)));
    // A trail of years has many segments: those that are in order are told together.
    let is_plain = |(role, verdict): &(Role, Verdict)| *role == Role::Older && verdict.state == State::Pass;
    let (plain, told): (Vec<_>, Vec<_>) = judged.partition(is_plain);
    let mut found: Vec<Verdict> = told.into_iter().map(|(_, verdict)| verdict).collect();
    if !plain.is_empty() {
        let seen = format!(
            "of older segments, logs and backups {} were looked at, each its owner's alone",
            plain.len()
        );
        found.push(Verdict::pass(Source::key("storage.data_dir"), seen).about("older files"));
    }
    if found.is_empty() {
        found.push(Verdict::not_applicable(Source::key("storage.data_dir"), "there is no file yet"));
    }
    found
}

fn judge(file: &FileSeen, owners: &[u32]) -> Verdict {
    let what = file.role.name();
    let at = Source::file(&file.path);
    let verdict = match &file.found {
        // Judged elsewhere than it runs, as in a repository.
        Found::Nothing if file.role == Role::Program => {
            Verdict::not_applicable(at, format!("the {what} is not on this machine"))
        }
        Found::Nothing => Verdict::error(at, format!("the {what} is not there")),
        Found::Unseen(why) => Verdict::error(at, format!("the {what} cannot be looked at: {why}")),
        Found::There(there) => match wrong(file.role, &file.path, there, owners) {
            Some((seen, fix, severity)) => {
                let verdict = Verdict::fail(at, format!("{what}: {seen}")).mended_by(fix);
                let verdict = verdict.about(file.path.to_string_lossy()).of_kind(seen);
                return severity.into_iter().fold(verdict, Verdict::severe);
            }
            None => match unseen_list(file.role, there) {
                Some(unseen) => Verdict::error(at, format!("{what}: {unseen}")),
                None => Verdict::pass(at, format!("{what}: mode {:04o}, owner {}", there.mode, there.uid)),
            },
        },
    };
    verdict.about(file.path.to_string_lossy())
}

/// What is wrong, what to do, and how grave it is where that is not what the catalogue says.
fn wrong(
    role: Role,
    path: &Path,
    there: &There,
    owners: &[u32],
) -> Option<(String, String, Option<Severity>)> {
    let name = path.display();
    let excess = there.mode & role.forbidden();
    if excess != 0 {
        let who = match (excess & 0o007 != 0, excess & 0o070 != 0) {
            (true, _) => "everybody on this machine",
            (false, true) => "its group",
            (false, false) => "somebody else",
        };
        let mode = if role == Role::Folder { "700" } else { "600" };
        let seen = format!("mode {:04o} lets {who} in", there.mode);
        return Some((seen, format!("chmod {mode} {name}"), None));
    }
    let granted = there
        .acl
        .iter()
        .flatten()
        .find(|granted| granted.bits & role.forbidden() & 0o007 != 0 && !is_owner(granted.who, owners));
    if let Some(Granted { who, bits }) = granted {
        let seen = format!("its access control list lets {who} in ({})", letters(*bits));
        return Some((seen, format!("setfacl -b {name}"), None));
    }
    if !owners.contains(&there.uid) {
        let seen = format!("its owner is user {}, neither this one nor root", there.uid);
        return Some((
            seen,
            format!("chown it to the user that the server runs as, after a look at {name}"),
            None,
        ));
    }
    let open = there.above.iter().filter_map(|folder| open_folder(folder, owners));
    let open = open.chain(there.links.iter().filter_map(|link| foreign_link(link, owners)));
    // One that says no severity of its own is the graver.
    if let Some(found) = open.min_by_key(|(.., severity)| severity.is_some()) {
        return Some(found);
    }
    // What is run is often a link that the system keeps.
    if let Some(target) = there.leads_to.as_ref().filter(|_| role != Role::Program) {
        let seen = format!("it is a symbolic link to {}", target.display());
        return Some((
            seen,
            format!("put the file itself at {name}, or name {}", target.display()),
            Some(Severity::Medium),
        ));
    }
    if there.in_shared_folder && role != Role::Folder {
        let seen = "it lies in a folder that everybody writes to".to_owned();
        return Some((seen, format!("move {name} to a folder of its owner's alone"), Some(Severity::Medium)));
    }
    None
}

/// Whether this is the server's user, or root.
fn is_owner(who: Who, owners: &[u32]) -> bool {
    matches!(who, Who::User(user) if owners.contains(&user))
}

fn letters(bits: u32) -> String {
    let all = [(0o4, 'r'), (0o2, 'w'), (0o1, 'x')];
    all.iter().map(|(bit, letter)| if bits & bit == 0 { '-' } else { *letter }).collect()
}

/// The access control list, of the file or of a folder above, that could not be read.
fn unseen_list(role: Role, there: &There) -> Option<String> {
    let folder =
        |above: &Above| above.acl.as_ref().err().map(|unseen| format!("{}: {unseen}", above.path.display()));
    let own = there.acl.as_ref().err().map(|unseen| unseen.why.clone());
    own.filter(|_| role.forbidden() != 0).or_else(|| there.above.iter().find_map(folder))
}

/// Who may put something in a file's place, because of this folder above it. In a sticky one only the folder's owner may.
fn open_folder(folder: &Above, owners: &[u32]) -> Option<(String, String, Option<Severity>)> {
    let (path, mode, uid, gid) = (folder.path.display(), folder.mode, folder.uid, folder.gid);
    if !owners.contains(&uid) {
        let seen = format!("user {uid} may replace it: {path} is theirs, neither this user's nor root's");
        return Some((seen, format!("chown root {path}, or move it to a folder of its owner's alone"), None));
    }
    match mode & 0o1022 {
        bits @ (0o002 | 0o022) => {
            let seen = format!("everybody may replace it: {path} may be written by all");
            Some((seen, format!("chmod {} {path}", if bits == 0o022 { "go-w" } else { "o-w" }), None))
        }
        // A group of the owner's number is the owner's alone by custom.
        0o020 if gid != uid => {
            let seen = format!("group {gid} may replace it: {path} may be written by that group");
            Some((seen, format!("chmod g-w {path}"), Some(Severity::Medium)))
        }
        bits if bits & 0o1000 == 0 => {
            let writes = |granted: &&Granted| granted.bits & 0o2 != 0 && !is_owner(granted.who, owners);
            let Granted { who, .. } = folder.acl.iter().flatten().find(writes)?;
            let seen = format!("{who} may replace it: the access control list of {path} lets them write");
            let severity = matches!(who, Who::Group(_)).then_some(Severity::Medium);
            Some((seen, format!("setfacl -b {path}"), severity))
        }
        _ => None,
    }
}

/// Whose link it is decides where it leads, where others keep theirs in its folder too.
fn foreign_link(link: &Link, owners: &[u32]) -> Option<(String, String, Option<Severity>)> {
    let (path, uid) = (link.path.display(), link.uid);
    if !link.in_shared_folder || owners.contains(&uid) {
        return None;
    }
    let seen = format!("user {uid} may replace it: the symbolic link {path} on the way to it is theirs");
    Some((
        seen,
        "name the place itself instead of that link, or put the link into a folder of its owner's alone"
            .to_owned(),
        None,
    ))
}

/// SMC2012.
pub fn nothing_left_behind(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let one = |path: &std::path::PathBuf| {
        Verdict::fail(Source::file(path), format!("{} may hold secrets", path.display()))
            .about(path.display().to_string())
            .mended_by(format!("look at it, then: shred -u {}", path.display()))
    };
    let mut found: Vec<Verdict> = facts.residue.found.iter().map(one).collect();
    found.extend(facts.residue.unseen.iter().map(|(folder, why)| {
        Verdict::error(
            Source::file(folder),
            format!("what lies in {} cannot be seen: {why}", folder.display()),
        )
    }));
    if !found.is_empty() {
        return found;
    }
    let seen = "no core dump and no editor's or other copy beside the files with secrets";
    vec![Verdict::pass(Source::key("storage.data_dir"), seen)]
}
