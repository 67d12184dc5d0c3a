//! Where the files of a server are: what it reads, what it writes, and which programs it runs. Never: what is in them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::files::Role;
use crate::audit::CHECKPOINTS;
use crate::audit::reader::segments;
use crate::config::{Config, Loaded, Origin, master_key};
use crate::reading::io_cause;
use crate::store::Store;

/// Where programs are looked for that are named without a path.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// More files of one folder are not looked at.
const MOST: usize = 10_000;

/// A file to look at; or, of a folder, that what is in it cannot be seen.
pub type Place = (Role, PathBuf, Option<String>);

/// Every file that the configuration leads to.
pub fn all(loaded: &Loaded) -> Vec<Place> {
    let config = loaded.as_far_as_valid();
    let secret_files: Vec<&Path> = loaded.secret_files().collect();
    let mut all = Vec::new();
    let mut add = |role, path: &Path| all.push((role, path.to_owned(), None));
    if let Some(path) = loaded.file() {
        let plain = secret_files.contains(&path);
        add(if plain { Role::ConfigurationWithSecrets } else { Role::Configuration }, path);
    }
    secret_files.iter().for_each(|path| add(Role::Secret, path));
    closed(loaded).for_each(|path| add(Role::Secret, path));
    loaded.env_file().into_iter().for_each(|path| add(Role::Configuration, path));
    config.security.master_key.credential.iter().for_each(|path| add(Role::Secret, path));
    if let Some(tls) = &config.server.tls {
        add(Role::Secret, &tls.key);
        add(Role::Configuration, &tls.certificate);
    }
    for command in [&config.security.master_key.command, &config.alerts.command] {
        programs(command).iter().for_each(|path| add(Role::Program, path));
    }
    all.extend(written(config));
    all
}

/// Files of secrets that are there and that this user may not read.
fn closed(loaded: &Loaded) -> impl Iterator<Item = &Path> {
    loaded.problems().iter().filter(|problem| problem.is_closed).filter_map(|problem| match &problem.origin {
        Origin::SecretFile { path, .. } => Some(path.as_path()),
        _ => None,
    })
}

/// The program of a command, and what it is told to run: its arguments that are files.
fn programs(command: &[String]) -> Vec<PathBuf> {
    let Some((program, arguments)) = command.split_first() else { return Vec::new() };
    let named = match program.contains('/') {
        true => PathBuf::from(program),
        false => {
            let all = PATH.iter().map(|folder| Path::new(folder).join(program));
            all.clone().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(program))
        }
    };
    let files = arguments.iter().map(PathBuf::from).filter(|path| path.is_absolute() && path.is_file());
    std::iter::once(named).chain(files).collect()
}

/// What servers write, where it is there: it is no fault that a server never ran.
fn written(config: &Config) -> Vec<Place> {
    let (data_dir, trail) = (&config.storage.data_dir, &config.audit.dir);
    let mut all: Vec<Place> = Vec::new();
    let mut add = |role, path: PathBuf| all.push((role, path, None));
    add(Role::Folder, data_dir.clone());
    add(Role::Folder, trail.clone());
    add(Role::MasterKey, master_key::generated_path(data_dir));
    if let Some(database) = Store::file_of(config.storage.url.expose()) {
        for end in ["-wal", "-shm", ""] {
            let mut name = database.as_os_str().to_owned();
            name.push(end);
            add(Role::Data, PathBuf::from(name));
        }
    }
    for name in ["tombstones.ndjson", "master.kdf.json"] {
        add(Role::Data, data_dir.join(name));
    }
    add(Role::Data, trail.join(CHECKPOINTS));
    config.audit.anchors.file.iter().for_each(|path| add(Role::Data, path.clone()));
    let backups = data_dir.join("backups");
    add(Role::Folder, backups.clone());
    all.extend(records(trail));
    all.extend(older(&backups, |_| true));
    all.extend(logs(config.telemetry.log_file.as_deref()));
    all.into_iter().filter_map(there).collect()
}

/// What is there; of what cannot be seen, its folder.
fn there((role, path, unseen): Place) -> Option<Place> {
    if unseen.is_some() {
        return Some((role, path, unseen));
    }
    match path.symlink_metadata() {
        Ok(_) => Some((role, path, None)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            let folder = path.parent().unwrap_or(&path);
            Some((Role::Data, folder.join("*"), Some(in_it(&error))))
        }
    }
}

/// The trail's segments: that which is written to, and older ones.
fn records(trail: &Path) -> Vec<Place> {
    match segments(trail) {
        Ok(found) => {
            let last = found.len().saturating_sub(1);
            let first = found.len().saturating_sub(MOST);
            let role = |at| if at == last { Role::Data } else { Role::Older };
            let all = found.into_iter().enumerate().skip(first);
            let mut all: Vec<Place> = all.map(|(at, one)| (role(at), one.path, None)).collect();
            all.extend((first > 0).then(|| too_many(trail)));
            all
        }
        Err(error) => unseen(trail, &error),
    }
}

/// Files of a folder whose names are so.
fn older(folder: &Path, is_one: impl Fn(&str) -> bool) -> Vec<Place> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) => return unseen(folder, &error),
    };
    let mut hidden = Vec::new();
    let mut all: Vec<Place> = entries
        .filter_map(|entry| entry.map_err(|error| hidden = unseen(folder, &error)).ok())
        .filter(|entry| entry.file_name().to_str().is_some_and(&is_one))
        .take(MOST + 1)
        .map(|entry| (Role::Older, entry.path(), None))
        .collect();
    if all.len() > MOST {
        all.truncate(MOST);
        all.push(too_many(folder));
    }
    all.extend(hidden);
    all.sort_by(|one, other| one.1.cmp(&other.1));
    all
}

/// What rotation makes of `DIR/NAME.log`: `DIR/NAME.2026-11-21.log`, or the file itself.
fn logs(path: Option<&Path>) -> Vec<Place> {
    let Some(path) = path else { return Vec::new() };
    let part = |part: Option<&std::ffi::OsStr>, none: &str| {
        part.map_or_else(|| none.to_owned(), |part| part.to_string_lossy().into_owned())
    };
    let (stem, extension) = (part(path.file_stem(), "spotify-mcp"), part(path.extension(), "log"));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    older(folder, |name| {
        name.strip_prefix(&stem)
            .and_then(|rest| rest.strip_suffix(&extension))
            .is_some_and(|between| between == "." || between.starts_with('.') && between.ends_with('.'))
    })
}

fn too_many(folder: &Path) -> Place {
    (Role::Older, folder.join("*"), Some(format!("there are more than {MOST} of them")))
}

/// A folder that is not there has nothing in it.
fn unseen(folder: &Path, error: &std::io::Error) -> Vec<Place> {
    if error.kind() == ErrorKind::NotFound {
        return Vec::new();
    }
    vec![(Role::Older, folder.join("*"), Some(in_it(error)))]
}

fn in_it(error: &std::io::Error) -> String {
    format!("what is in its folder cannot be seen: {}", io_cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[&str]) -> Vec<String> {
        all.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_program_is_found_with_the_files_that_it_is_told_to_run() {
        assert_eq!(programs(&[]), Vec::<PathBuf>::new());
        let own = std::env::current_exe().unwrap();
        let script = words(&["sh", "-e", own.to_str().unwrap(), "/nowhere", "word"]);
        let found = programs(&script);
        assert!(found[0].is_absolute() && found[0].ends_with("sh") && found[1] == own, "{found:?}");
        assert_eq!(found.len(), 2);
        assert_eq!(programs(&words(&["no-such-program-at-all"])), [PathBuf::from("no-such-program-at-all")]);
    }

    #[test]
    fn log_files_are_known_by_their_names() {
        let folder = std::env::temp_dir().join(format!("spotify-mcp-places-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["a.log", "a.2026-11-21.log", "a.2026-11-21-07.log", "ab.log", "a.txt", "a.log.gz"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let names = |file: &str| -> Vec<String> {
            let all = logs(Some(&folder.join(file))).into_iter();
            all.map(|(_, path, _)| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("a.log"), ["a.2026-11-21-07.log", "a.2026-11-21.log", "a.log"]);
        assert_eq!(names("none.log"), Vec::<String>::new());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
