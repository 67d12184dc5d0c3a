//! The tasks that come again, weekly, monthly, quarterly and yearly, from `policies/tasks.toml`: those that no program
//! can see are attested (`security-check attest`), and a check looks how long ago that was.

use serde::Deserialize;

/// A task that comes again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// As `attest` takes it: small letters, digits and hyphens.
    pub id: String,
    /// What is to be done.
    pub title: String,
    /// How often.
    pub every: Every,
    /// What would show that it was done.
    pub evidence: String,
}

/// How often a task is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// 7 days.
    Week,
    /// 31 days.
    Month,
    /// 92 days.
    Quarter,
    /// 366 days.
    Year,
}

impl Every {
    /// After so many days it is due.
    pub const fn days(self) -> u16 {
        match self {
            Self::Week => 7,
            Self::Month => 31,
            Self::Quarter => 92,
            Self::Year => 366,
        }
    }

    /// `weekly` and so on.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Quarter => "quarterly",
            Self::Year => "yearly",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    task: Vec<Task>,
}

/// Reads `tasks.toml`.
pub(super) fn parse(text: &str) -> Result<Vec<Task>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    for (at, task) in file.task.iter().enumerate() {
        let is_id = !task.id.is_empty()
            && task.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_id || task.title.is_empty() || task.evidence.is_empty() {
            return Err(format!(
                "task {}: an id of small letters, digits and hyphens, a title and evidence",
                at + 1
            ));
        }
        if file.task[..at].iter().any(|other| other.id == task.id) {
            return Err(format!("{} is there twice", task.id));
        }
    }
    Ok(file.task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_told_apart_and_say_what_shows_them() {
        let tasks = parse(include_str!("../../policies/tasks.toml")).unwrap();
        assert!(tasks.iter().any(|task| task.every == Every::Week));
        assert!(tasks.iter().any(|task| task.every == Every::Quarter));
        let twice = "[[task]]\nid = \"a\"\ntitle = \"A\"\nevery = \"week\"\nevidence = \"e\"\n".repeat(2);
        assert!(parse(&twice).unwrap_err().contains("twice"));
        assert!(parse("[[task]]\nid = \"A b\"\ntitle = \"A\"\nevery = \"week\"\nevidence = \"e\"").is_err());
        assert!(Every::Week.days() < Every::Month.days() && Every::Quarter.days() < Every::Year.days());
    }
}
