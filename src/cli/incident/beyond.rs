//! What only people can do after a playbook, and where: nothing here can end what Spotify granted, or know who has to be told.

use serde_json::{Value, json};

use super::course::{Course, Taken};
use super::facts::Outcome;
use super::playbooks::{Playbook, Step};
use crate::cli::administer::broken;
use crate::cli::beyond;
use crate::cli::output::Refused;
use crate::cli::serve_start;

/// Lists it; each line says who does what.
pub(super) async fn take(course: &Course<'_>) -> Result<Taken, Refused> {
    let mut said = the_new_key(course)?;
    let spotify = match &course.playbook {
        Playbook::Dependency(_) => Vec::new(),
        Playbook::Authentication(_) => {
            let asked = course.order()?.selection;
            beyond::at_spotify(course.desk, asked.user()).await.map_err(|failure| broken(&failure))?
        }
        Playbook::Configuration(_) | Playbook::Network(_) => {
            beyond::at_spotify(course.desk, None).await.map_err(|failure| broken(&failure))?
        }
    };
    for left in &spotify {
        let text = |member: &str| left[member].as_str().unwrap_or_default().to_owned();
        said.push(format!("{}. Operator: {}. People: {}", text("what"), text("operator"), text("people")));
    }
    said.extend(of_playbook(course).into_iter().map(str::to_owned));
    if course.facts.step(Step::Lockdown.name()).is_some() {
        said.push(
            "when it is safe: 'spotify-mcp incident lift' looks first, and lets servers answer again"
                .to_owned(),
        );
    }
    Ok(Taken { outcome: Outcome::ByHand, said, evidence: json!({ "at_spotify": Value::Array(spotify) }) })
}

/// Servers that have their key from a place of its own answer 503 until the new one is there: that comes first.
fn the_new_key(course: &Course<'_>) -> Result<Vec<String>, Refused> {
    let (Playbook::Configuration(_) | Playbook::Network(_)) = &course.playbook else { return Ok(Vec::new()) };
    let Some(file) = course.playbook.new_master_key_file() else { return Ok(Vec::new()) };
    let place = serve_start::present_root(&course.desk.config)?.and_then(|(_, place)| place);
    let place = place.map_or_else(|| "its source".to_owned(), |place| place.to_string());
    Ok(vec![format!(
        "give every server the new key NOW: put {} where it has its key from ({place}), then 'spotify-mcp config reload' \
         there; until then it answers 503",
        file.display()
    )])
}

fn of_playbook(course: &Course<'_>) -> Vec<&'static str> {
    let mut said = match &course.playbook {
        Playbook::Authentication(_) => vec![
            "find out how the credentials came into wrong hands, and close that way: until then they may again",
        ],
        Playbook::Dependency(_) => {
            vec!["take the advisory's own advice for what happened before the mended program was there"]
        }
        Playbook::Configuration(_) => vec![
            "replace every secret that step exposed-values names, where it came from; a Spotify app's with 'rotate-keys \
             --what spotify-client'",
            "remove the configuration from where it leaked; in git, from the history too. Backups from before open with the old \
             master key: keep or delete both",
        ],
        Playbook::Network(_) => vec![
            "look at the machine before it is trusted again; where in doubt, install it anew and restore a backup that 'backup \
             verify' accepts",
            "replace the TLS certificate with its key, the database's password and every other secret that step exposed-values \
             names",
        ],
    };
    said.push("tell the people who are concerned, and whom the law says (in the EU a supervisory authority, within 72 hours)");
    said
}
