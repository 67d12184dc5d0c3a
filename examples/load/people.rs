//! People and their tokens in a file between the setup and the runs. The tokens work at one server on this machine
//! as long as it runs; the file is for its owner alone all the same.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::Outcome;

/// One pretend person.
pub(super) struct Person {
    /// The simulator's id, `user0001`. What they see begins with it and a `Z`.
    pub(super) id: String,
    /// The bearer token for the server under load.
    pub(super) token: String,
    /// The token at the simulator, where the server under load does not keep it itself.
    pub(super) upstream: Option<String>,
}

/// The simulator's name of the person with this number, counted from 0.
pub(super) fn name(number: usize) -> String {
    format!("user{:04}", number + 1)
}

pub(super) fn write(path: &Path, people: &[Person]) -> Outcome<()> {
    let mut text = String::new();
    for person in people {
        text.push_str(&format!("{}\t{}", person.id, person.token));
        if let Some(upstream) = &person.upstream {
            text.push_str(&format!("\t{upstream}"));
        }
        text.push('\n');
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

pub(super) fn read(path: &Path) -> Outcome<Vec<Person>> {
    let text = fs::read_to_string(path)?;
    let people: Option<Vec<Person>> = text.lines().map(person).collect();
    match people {
        Some(people) if !people.is_empty() => Ok(people),
        _ => Err(format!("{} is not a list of people", path.display()).into()),
    }
}

fn person(line: &str) -> Option<Person> {
    let mut fields = line.split('\t').map(str::to_owned);
    Some(Person { id: fields.next()?, token: fields.next()?, upstream: fields.next() })
}
