//! `spotify-mcp clients list`: OAuth clients in pages, the last used first.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::ambient::Timestamp;
use crate::cli::administer::{Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::paging::{Page, day, searched};
use crate::cli::table::columns_with_names;
use crate::domain::event::clean;
use crate::store::{ClientsFilter, ListedClient};

/// What `clients list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
PEOPLE counts those who have it connected. Names are what clients say of themselves. A client that registered and was \
never used goes by itself after 7 days, any after 90 days without use.

Examples:
  spotify-mcp clients list
  spotify-mcp clients list --user ada
  spotify-mcp clients list --kind dynamic --unused --format json")]
pub struct Args {
    /// Only clients that this person has connected: our id (u_...), a Spotify user id or account id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only those of this kind: dynamic (registered itself), document (described by its URL) or configured
    #[arg(long, value_name = "KIND", hide_possible_values = true)]
    kind: Option<Kind>,
    /// Only clients whose name or id contains this, whatever its case
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = searched)]
    search: String,
    /// Only clients that nobody has connected
    #[arg(long, conflicts_with = "user")]
    unused: bool,
    #[command(flatten)]
    page: Page,
}

/// How a client came here.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Dynamic,
    Document,
    Configured,
}

/// Prints the list.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let filter = ClientsFilter {
            user: match &args.user {
                Some(named) => Some(desk.person(named).await?),
                None => None,
            },
            kind: args.kind.map(|kind| match kind {
                Kind::Dynamic => "dynamic",
                Kind::Document => "document",
                Kind::Configured => "configured",
            }),
            search: args.search.clone(),
            unused: args.unused,
            limit: args.page.fetch(),
            offset: args.page.offset,
        };
        let clients =
            desk.store.clients(&filter, desk.clock.now()).await.map_err(|failure| broken(&failure))?;
        let clients = args.page.cut(clients, &desk.output);
        let document = clients.iter().map(one).collect();
        desk.output.result(&table(&clients), &Value::Array(document));
        Ok(Exit::Done)
    })
}

fn one(client: &ListedClient) -> Value {
    json!({
        "id": client.id,
        "kind": client.kind,
        "name": client.name,
        "redirect_uris": client.redirect_uris,
        "people": client.people,
        "registered_from": client.registered_from,
        "created_at": client.created_at.rfc3339(),
        "last_used_at": client.last_used_at.map(Timestamp::rfc3339),
        "expires_at": client.expires_at.map(Timestamp::rfc3339),
    })
}

const HEAD: [&str; 7] = ["ID", "KIND", "NAME", "PEOPLE", "USED", "REDIRECTS TO", "REGISTERED FROM"];
/// Which of these are names.
const NAMES: usize = 2;

fn table(clients: &[ListedClient]) -> String {
    if clients.is_empty() {
        return "No clients.\n".to_owned();
    }
    let row = |client: &ListedClient| {
        // An id is never cut: it is what other commands take.
        let used = client.last_used_at.map_or("never".to_owned(), day);
        [
            client.id.clone(),
            client.kind.clone(),
            clean(&client.name),
            client.people.to_string(),
            used,
            hosts(&client.redirect_uris),
            clean(client.registered_from.as_deref().unwrap_or_default()),
        ]
    };
    columns_with_names(&HEAD, NAMES, &clients.iter().map(row).collect::<Vec<_>>())
}

/// Where its codes may go: the hosts, or the schemes of programs.
fn hosts(redirect_uris: &[String]) -> String {
    let host = |uri: &String| match url::Url::parse(uri) {
        Ok(uri) => uri.host_str().map_or_else(|| format!("{}:", uri.scheme()), str::to_owned),
        Err(_) => uri.clone(),
    };
    let mut hosts: Vec<String> = redirect_uris.iter().map(|uri| clean(&host(uri))).collect();
    hosts.sort();
    hosts.dedup();
    hosts.join(" ")
}
