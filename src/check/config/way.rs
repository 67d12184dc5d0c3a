//! The way to a file, component by component as the system goes it: every folder and every symbolic link on it. Whoever may
//! write to one of these folders, or owns a link in one that is everybody's, decides what is found at the end.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use super::acl::{self, Granted};
use crate::check::Seen;
use crate::reading::io_cause;

/// As many links as Linux follows.
const MOST_LINKS: usize = 40;

/// A folder on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Above {
    /// Which, without a link in its name.
    pub path: PathBuf,
    /// Permission bits, with set-id and sticky.
    pub mode: u32,
    /// Whose.
    pub uid: u32,
    /// Of which group.
    pub gid: u32,
    /// Whom its access control list names beside them.
    pub acl: Seen<Vec<Granted>>,
}

/// A symbolic link on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which, its folder without a link in its name.
    pub path: PathBuf,
    /// Whose.
    pub uid: u32,
    /// In its folder several may write, and each may remove what is theirs alone.
    pub in_shared_folder: bool,
}

/// The way, gone to its end.
pub struct Way {
    /// What is at the end, which is no link.
    pub end: Metadata,
    /// Where that is.
    pub real: PathBuf,
    /// Where the path's own folder is.
    pub home: PathBuf,
    /// The path itself is a link.
    pub is_link: bool,
    /// Every folder, from the nearest up.
    pub above: Vec<Above>,
    /// Every link, in the order in which they are followed.
    pub links: Vec<Link>,
}

/// Why the end was not reached.
#[derive(Debug, PartialEq, Eq)]
pub enum Lost {
    /// There is nothing of this name.
    Nothing,
    /// Something on the way cannot be looked at, or leads nowhere: what and why.
    Unseen(String),
}

/// Goes it.
pub fn go(path: &Path) -> Result<Way, Lost> {
    let whole = std::path::absolute(path).map_err(|error| Lost::Unseen(io_cause(&error)))?;
    let mut walk =
        Walk { at: PathBuf::from("/"), above: Vec::new(), links: Vec::new(), home: None, is_link: false };
    walk.enter(&seen(Path::new("/"))?);
    let mut left = names(&whole);
    loop {
        let Some(name) = left.pop_front() else {
            let (real, end) = (walk.at.clone(), seen(&walk.at)?);
            return Ok(walk.ended(real, end));
        };
        if name == ".." {
            walk.at.pop();
            continue;
        }
        let next = walk.at.join(&name);
        let here = next.symlink_metadata().map_err(|error| lost(&next, &error, walk.links.is_empty()))?;
        if here.is_symlink() {
            walk.follow(&next, &here, &mut left)?;
        } else if left.is_empty() {
            walk.home.get_or_insert_with(|| walk.at.clone());
            return Ok(walk.ended(next, here));
        } else if here.is_dir() {
            walk.at = next;
            walk.enter(&here);
        } else {
            return Err(Lost::Unseen(format!("{} is no folder", next.display())));
        }
    }
}

struct Walk {
    at: PathBuf,
    above: Vec<Above>,
    links: Vec<Link>,
    home: Option<PathBuf>,
    is_link: bool,
}

impl Walk {
    fn enter(&mut self, folder: &Metadata) {
        if !self.above.iter().any(|one| one.path == self.at) {
            let mode = folder.permissions().mode() & 0o7777;
            let (uid, gid, acl) = (folder.uid(), folder.gid(), acl::of(&self.at));
            self.above.push(Above { path: self.at.clone(), mode, uid, gid, acl });
        }
    }

    fn follow(&mut self, link: &Path, seen: &Metadata, left: &mut VecDeque<OsString>) -> Result<(), Lost> {
        // Nothing is left of what was named: the path itself is a link.
        if left.is_empty() && self.home.is_none() {
            (self.home, self.is_link) = (Some(self.at.clone()), true);
        }
        let target = link.read_link().map_err(|error| lost(link, &error, false))?;
        let in_shared_folder = self.above.iter().any(|one| one.path == self.at && one.mode & 0o1000 != 0);
        self.links.push(Link { path: link.to_owned(), uid: seen.uid(), in_shared_folder });
        if self.links.len() > MOST_LINKS {
            return Err(Lost::Unseen(format!("{} leads through too many symbolic links", link.display())));
        }
        if target.is_absolute() {
            self.at = PathBuf::from("/");
        }
        names(&target).into_iter().rev().for_each(|name| left.push_front(name));
        Ok(())
    }

    fn ended(mut self, real: PathBuf, end: Metadata) -> Way {
        self.above.sort_by_key(|one| std::cmp::Reverse(one.path.components().count()));
        let home = self.home.unwrap_or_else(|| real.clone());
        Way { end, real, home, is_link: self.is_link, above: self.above, links: self.links }
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    let of = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(of).collect()
}

fn seen(path: &Path) -> Result<Metadata, Lost> {
    path.symlink_metadata().map_err(|error| lost(path, &error, false))
}

/// What a link leads to is expected to be there.
fn lost(path: &Path, error: &std::io::Error, may_be_away: bool) -> Lost {
    if error.kind() == ErrorKind::NotFound && may_be_away {
        return Lost::Nothing;
    }
    Lost::Unseen(format!("{}: {}", path.display(), io_cause(error)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("spotify-mcp-way-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path.canonicalize().unwrap())
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_folder_and_every_link_on_the_way_is_seen() {
        let folder = Folder::new("links");
        for name in ["k", "open", "real/data"] {
            fs::create_dir_all(folder.at(name)).unwrap();
        }
        fs::write(folder.at("real/key"), "x").unwrap();
        symlink(folder.at("open/dl2"), folder.at("k/dl")).unwrap();
        symlink("../real", folder.at("open/dl2")).unwrap();
        let way = go(&folder.at("k/dl/key")).unwrap();
        assert_eq!((way.real.clone(), way.home.clone()), (folder.at("real/key"), folder.at("real")));
        assert!(!way.is_link);
        let links: Vec<&Path> = way.links.iter().map(|link| link.path.as_path()).collect();
        assert_eq!(links, [folder.at("k/dl"), folder.at("open/dl2")]);
        for name in ["k", "open", "real"] {
            assert!(way.above.iter().any(|one| one.path == folder.at(name)), "{name}: {:?}", way.above);
        }
        assert_eq!(way.above.last().unwrap().path, Path::new("/"));
        // A link at the end, and a name that goes up.
        symlink("real/key", folder.at("last")).unwrap();
        let way = go(&folder.at("k/../last")).unwrap();
        assert!(way.is_link && way.home == folder.0 && way.real == folder.at("real/key"));
        assert_eq!(go(&folder.at("real/..")).unwrap().real, folder.0);
        assert_eq!(go(Path::new("/")).unwrap().real, Path::new("/"));
    }

    #[test]
    fn a_way_that_does_not_end_is_lost() {
        let folder = Folder::new("lost");
        symlink("loop", folder.at("loop")).unwrap();
        symlink("away", folder.at("dangling")).unwrap();
        fs::write(folder.at("file"), "x").unwrap();
        assert_eq!(go(&folder.at("none")).err(), Some(Lost::Nothing));
        assert_eq!(go(&folder.at("none/below")).err(), Some(Lost::Nothing));
        for (name, why) in [
            ("loop", "too many symbolic links"),
            ("loop/x", "too many symbolic links"),
            ("dangling", "there is no such file"),
            ("file/x", "is no folder"),
        ] {
            match go(&folder.at(name)).err() {
                Some(Lost::Unseen(said)) => assert!(said.contains(why), "{name}: {said}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
