//! `spotify-mcp users list`: people in pages, the first to come first.

use serde_json::{Value, json};

use crate::cli::administer::{Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::paging::{Page, day, searched};
use crate::cli::table::columns_with_names;
use crate::domain::event::clean;
use crate::store::{ListedPerson, PeopleFilter};

/// What `users list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The first to come stands first. SESS. counts living sessions of browsers and of 2025-era clients; 'users show' names \
the connected clients too. JSON is an array of {id, display_name, spotify_user_ids, accounts, sessions, created_at, \
last_seen_at, disabled}.

Examples:
  spotify-mcp users list
  spotify-mcp users list --search ada --format json
  spotify-mcp users list --disabled
  spotify-mcp users list --limit 50 --offset 100")]
pub struct Args {
    /// Only people whose name or Spotify id contains this, or whose id begins so, whatever its case
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = searched)]
    search: String,
    /// Only people who are disabled
    #[arg(long, conflicts_with = "enabled")]
    disabled: bool,
    /// Only people who are not
    #[arg(long)]
    enabled: bool,
    #[command(flatten)]
    page: Page,
}

/// Prints the list.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let filter = PeopleFilter {
            search: args.search.clone(),
            disabled: match (args.disabled, args.enabled) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
            limit: args.page.fetch(),
            offset: args.page.offset,
        };
        let people =
            desk.store.people(&filter, desk.clock.now()).await.map_err(|failure| broken(&failure))?;
        let people = args.page.cut(people, &desk.output);
        let document = people.iter().map(one).collect();
        desk.output.result(&table(&people), &Value::Array(document));
        Ok(Exit::Done)
    })
}

/// A person as programs read them.
pub(super) fn one(person: &ListedPerson) -> Value {
    json!({
        "id": person.id,
        "display_name": person.display_name,
        "spotify_user_ids": person.spotify_user_ids,
        "accounts": person.spotify_user_ids.len(),
        "sessions": person.sessions,
        "created_at": person.created_at.rfc3339(),
        "last_seen_at": person.last_seen_at.rfc3339(),
        "disabled": person.disabled_at.is_some(),
    })
}

const HEAD: [&str; 5] = ["ID", "NAME", "SPOTIFY", "SESS.", "SEEN"];
/// Which of these are names.
const NAMES: usize = 1;

fn table(people: &[ListedPerson]) -> String {
    if people.is_empty() {
        return "No people.\n".to_owned();
    }
    let row = |person: &ListedPerson| {
        // Nothing is kept of the name of who disconnected.
        let name = if person.display_name.is_empty() { "-".to_owned() } else { clean(&person.display_name) };
        let spotify: Vec<String> = person.spotify_user_ids.iter().map(|id| clean(id)).collect();
        let spotify = if spotify.is_empty() { "-".to_owned() } else { spotify.join(" ") };
        let seen =
            if person.disabled_at.is_some() { "disabled".to_owned() } else { day(person.last_seen_at) };
        [person.id.to_string(), name, spotify, person.sessions.to_string(), seen]
    };
    columns_with_names(&HEAD, NAMES, &people.iter().map(row).collect::<Vec<_>>())
}
