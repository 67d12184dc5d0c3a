//! `spotify-mcp api-keys list`: which keys there are, never the keys.

use serde_json::{Value, json};

use crate::ambient::Timestamp;
use crate::cli::administer::{Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::table::columns;
use crate::domain::event::clean;
use crate::domain::{Scope, ScopeSet};
use crate::store::ApiKey;

/// What `api-keys list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Expired keys stay in the list for 30 days; revoked ones leave it at once. Last use is kept to the minute or so.

Examples:
  spotify-mcp api-keys list
  spotify-mcp api-keys list --user ada --format json")]
pub struct Args {
    /// Only this person's: our id (u_...), a Spotify user id or account id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// Prints the list, newest first.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let user = match &args.user {
            Some(named) => Some(desk.person(named).await?),
            None => None,
        };
        let keys = desk.store.api_keys(user.as_ref()).await.map_err(|failure| broken(&failure))?;
        let now = desk.clock.now();
        let document = keys.iter().map(|key| one(key, now)).collect();
        desk.output.result(&table(&keys, now), &Value::Array(document));
        Ok(Exit::Done)
    })
}

fn one(key: &ApiKey, now: Timestamp) -> Value {
    json!({
        "id": key.id,
        "user_id": key.user,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": names(key.scopes),
        "can_sign": key.can_sign,
        "expired": is_expired(key, now),
        "created_at": key.created_at.rfc3339(),
        "expires_at": key.expires_at.map(Timestamp::rfc3339),
        "last_used_at": key.last_used_at.map(Timestamp::rfc3339),
    })
}

/// Scopes as programs read them.
pub(super) fn names(scopes: ScopeSet) -> Vec<&'static str> {
    scopes.iter().map(Scope::name).collect()
}

fn is_expired(key: &ApiKey, now: Timestamp) -> bool {
    key.expires_at.is_some_and(|end| now >= end)
}

const HEAD: [&str; 8] = ["ID", "KEY", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "USER"];

fn table(keys: &[ApiKey], now: Timestamp) -> String {
    if keys.is_empty() {
        return "No API keys.\n".to_owned();
    }
    let rows: Vec<[String; 8]> = keys.iter().map(|key| row(key, now)).collect();
    columns(&HEAD, &rows)
}

fn row(key: &ApiKey, now: Timestamp) -> [String; 8] {
    let day = |at: Timestamp| at.rfc3339()[..10].to_owned();
    let expires = match key.expires_at {
        None => "never".to_owned(),
        Some(end) if is_expired(key, now) => format!("{} (expired)", day(end)),
        Some(end) => day(end),
    };
    [
        key.id.to_string(),
        format!("{}…", key.prefix),
        clean(&key.name),
        key.scopes.to_string(),
        day(key.created_at),
        expires,
        key.last_used_at.map_or("never".to_owned(), day),
        key.user.to_string(),
    ]
}
