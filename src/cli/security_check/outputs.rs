//! Where reports go: to standard output or to files, several of one run. A file is replaced whole or not at all, for its
//! owner's eyes alone. Never: writing through a symbolic link.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::ambient::Dice;
use crate::check::report::Form;
use crate::cli::output::{Refused, io_cause};

/// What is written where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// To standard output.
    pub(super) shown: Option<Form>,
    /// To files.
    pub(super) files: Vec<(Form, PathBuf)>,
}

/// An output whose name says no format, such as `-`, gets a said one that no other output's name says, else the first
/// that was said. Each other one gets the said format that its extension names, else the next one that was said, else the
/// one that its extension names. A format that is left over goes to standard output; without any output the only one does.
pub(super) fn plan(said: &[Form], outputs: &[PathBuf]) -> Result<Plan, Refused> {
    if outputs.is_empty() {
        return match said {
            [] => Ok(Plan { shown: Some(Form::Text), files: Vec::new() }),
            [one] => Ok(Plan { shown: Some(*one), files: Vec::new() }),
            _ => Err(too_many()),
        };
    }
    if let Some(path) = twice(outputs) {
        let text = format!("two reports would be written to {}", path.display());
        return Err(Refused::usage("USAGE", text, "give each --output a name of its own"));
    }
    let mut left = said.to_vec();
    let mut forms: Vec<Option<Form>> = vec![None; outputs.len()];
    let says = |form: &Form| outputs.iter().any(|path| named(path) == Some(*form));
    for (form, _) in forms.iter_mut().zip(outputs).filter(|(_, path)| named(path).is_none()) {
        let free = left.iter().position(|one| !says(one)).or((!left.is_empty()).then_some(0));
        *form = free.map(|at| left.remove(at));
    }
    for (form, path) in forms.iter_mut().zip(outputs).filter(|(_, path)| named(path).is_some()) {
        *form = named(path).filter(|wanted| left.contains(wanted));
        left.retain(|one| Some(*one) != *form);
    }
    let mut plan = Plan { shown: None, files: Vec::new() };
    for (form, path) in forms.into_iter().zip(outputs) {
        let is_shown = path.as_os_str() == "-";
        let next = || if left.is_empty() { None } else { Some(left.remove(0)) };
        let form = form.or_else(next).or_else(|| named(path)).or(is_shown.then_some(Form::Text));
        let form = form.ok_or_else(|| unnamed(path))?;
        match is_shown {
            true if plan.shown.is_some() => return Err(too_many()),
            true => plan.shown = Some(form),
            false => plan.files.push((form, path.clone())),
        }
    }
    match left.as_slice() {
        [] => Ok(plan),
        [one] if plan.shown.is_none() => Ok(Plan { shown: Some(*one), ..plan }),
        _ => Err(too_many()),
    }
}

fn named(path: &Path) -> Option<Form> {
    Form::of_file(&path.file_name()?.to_string_lossy())
}

/// The first output that is named again.
fn twice(outputs: &[PathBuf]) -> Option<&PathBuf> {
    let plain = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let mut known = std::collections::BTreeSet::new();
    outputs.iter().filter(|path| path.as_os_str() != "-").find(|path| !known.insert(plain(path)))
}

fn too_many() -> Refused {
    let text = "there are more formats than outputs, and standard output takes one";
    Refused::usage("USAGE", text, "give an --output FILE for each further --format")
}

fn unnamed(path: &Path) -> Refused {
    let text = format!("the name of {} does not say a format", path.display());
    Refused::usage(
        "USAGE",
        text,
        "add --format, or end it in .json, .sarif, .oscal.json, .poam.json, .xml, .md or .txt",
    )
}

/// A mistyped name must not cost a key, a database or a configuration: only an earlier report is replaced.
pub(super) fn free(plan: &Plan) -> Result<(), Refused> {
    plan.files.iter().try_for_each(|(_, path)| {
        if is_ours(path) {
            return Ok(());
        }
        let text = format!("{} is there and is no report of this program", path.display());
        Err(Refused::usage("OUTPUT_TAKEN", text, "name another file for --output, or remove that one first"))
    })
}

/// Whether nothing is there, or what was written by an earlier run. What cannot be looked at is found out by writing.
fn is_ours(path: &Path) -> bool {
    if !path.symlink_metadata().is_ok_and(|known| known.is_file() && known.len() > 0) {
        return true;
    }
    let Ok(file) = OpenOptions::new().read(true).open(path) else { return true };
    let mut head = Vec::new();
    if file.take(HEAD).read_to_end(&mut head).is_err() {
        return true;
    }
    let head = String::from_utf8_lossy(&head);
    BEGINNINGS.iter().any(|begins| head.starts_with(begins))
}

/// So much of a file shows whose it is, in bytes.
const HEAD: u64 = 256;
/// How reports and bills of materials begin, in each form.
const BEGINNINGS: [&str; 8] = [
    "security-check ",
    "# Security report: ",
    "{\n  \"asked\": ",
    "{\n  \"$schema\": \"https://docs.oasis-open.org/sarif/",
    "{\n  \"assessment-results\": {",
    "{\n  \"plan-of-action-and-milestones\": {",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"spotify-mcp security-check ",
    "{\n  \"bomFormat\": \"CycloneDX\"",
];

/// Puts a text in the place of a file, or makes it; mode 0600.
pub(super) fn write(path: &Path, text: &str, dice: &Dice) -> Result<(), Refused> {
    put(path, text, dice).map_err(|why| {
        let next =
            "name a file in a folder that exists and that this user may write; the other reports are written";
        Refused::incomplete("REPORT_UNWRITTEN", format!("{} cannot be written: {why}", path.display()), next)
    })
}

fn put(path: &Path, text: &str, dice: &Dice) -> Result<(), String> {
    match path.symlink_metadata() {
        Ok(known) if known.file_type().is_symlink() => return Err("it is a symbolic link".to_owned()),
        Ok(known) if !known.is_file() => return Err("it is no file (for standard output write -)".to_owned()),
        Ok(_) if !is_ours(path) => return Err("it is there and is no report of this program".to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_cause(&error)),
    }
    let name = path.file_name().ok_or("it has no name")?.to_string_lossy();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let chance: String = dice.name().iter().map(|byte| format!("{byte:02x}")).collect();
    let next = folder.join(format!(".{name}.{chance}.new"));
    let written = fill(&next, text).and_then(|()| std::fs::rename(&next, path));
    if let Err(error) = written {
        let _not_there = std::fs::remove_file(&next);
        return Err(io_cause(&error));
    }
    // The name too; what cannot be synced is still whole.
    let _synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

fn fill(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(said: &[Form], outputs: &[&str]) -> Option<(Option<Form>, Vec<Form>)> {
        let outputs: Vec<PathBuf> = outputs.iter().map(PathBuf::from).collect();
        let plan = plan(said, &outputs).ok()?;
        Some((plan.shown, plan.files.into_iter().map(|(form, _)| form).collect()))
    }

    #[test]
    fn a_format_that_is_not_given_follows_the_extension() {
        use Form::{Json, Junit, Markdown, Oscal, Sarif, Text};
        assert_eq!(planned(&[], &[]), Some((Some(Text), vec![])));
        assert_eq!(planned(&[Sarif], &[]), Some((Some(Sarif), vec![])));
        let all = ["a.json", "b.sarif", "c.oscal.json", "d.xml", "e.md", "f.txt"];
        assert_eq!(planned(&[], &all), Some((None, vec![Json, Sarif, Oscal, Junit, Markdown, Text])));
        assert_eq!(planned(&[Sarif], &["report.json"]), Some((None, vec![Sarif])));
        assert_eq!(planned(&[Sarif], &["r.json", "r.sarif"]), Some((None, vec![Json, Sarif])));
        assert_eq!(planned(&[Oscal, Json], &["one", "two"]), Some((None, vec![Oscal, Json])));
        assert_eq!(planned(&[Text, Sarif], &["r.sarif"]), Some((Some(Text), vec![Sarif])));
        assert_eq!(planned(&[], &["-", "r.json"]), Some((Some(Text), vec![Json])));
        assert_eq!(planned(&[Json], &["-"]), Some((Some(Json), vec![])));
    }

    #[test]
    fn a_format_goes_first_to_an_output_whose_name_says_none() {
        use Form::{Json, Sarif, Text};
        assert_eq!(planned(&[Json], &["-", "r.json"]), Some((Some(Json), vec![Json])));
        assert_eq!(planned(&[Json], &["r.json", "-"]), Some((Some(Json), vec![Json])));
        assert_eq!(planned(&[Json, Sarif], &["-", "r.json"]), Some((Some(Sarif), vec![Json])));
        assert_eq!(planned(&[Sarif], &["r.json", "report"]), Some((None, vec![Json, Sarif])));
        assert_eq!(planned(&[Text, Sarif], &["-", "r.json"]), Some((Some(Text), vec![Sarif])));
    }

    #[test]
    fn what_would_be_written_nowhere_is_refused() {
        use Form::{Json, Sarif, Text};
        assert_eq!(planned(&[Json, Sarif], &[]), None);
        assert_eq!(planned(&[Json, Sarif, Text], &["r.sarif"]), None);
        assert_eq!(planned(&[], &["report"]), None);
        assert_eq!(planned(&[], &["-", "-"]), None);
        assert_eq!(planned(&[], &["a.json", "./a.json"]), None);
        assert_eq!(planned(&[], &["a.json", "b/a.json"]), Some((None, vec![Json, Json])));
    }
}
