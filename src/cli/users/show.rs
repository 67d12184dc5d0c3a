//! `spotify-mcp users show`: one person as an operator needs to see them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::apps;
use crate::cli::output::{Exit, Refused};
use crate::cli::paging::day;
use crate::cli::table::cut;
use crate::domain::event::clean;
use crate::domain::{Scope, ScopeSet, SessionId, UserId};
use crate::failure::Failure;
use crate::store::{ApiKey, ConnectedClient, Link, Store, Usage, UsageFilter, UsageKey};
use crate::web::browser;

/// What `users show` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Shows what lives: what has ended or expired is in 'users export'. Names come from Spotify, from clients and from browsers: \
anybody may have chosen them.

Examples:
  spotify-mcp users show ada
  spotify-mcp users show u_0123456789abcdef0123456789abcdef --format json")]
pub struct Args {
    /// Who: our id (u_...), a Spotify user id or account id
    #[arg(value_name = "USER")]
    user: String,
}

/// Prints the person.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let user = desk.person(&args.user).await?;
        let document = document(desk, &user).await.map_err(|failure| broken(&failure))?;
        let Some(document) = document else { return Err(super::gone_meanwhile(&user)) };
        desk.output.result(&in_words(&document), &document);
        Ok(Exit::Done)
    })
}

async fn document(desk: &Desk, user: &UserId) -> Result<Option<Value>, Failure> {
    let (store, now) = (&desk.store, desk.clock.now());
    let Some(person) = store.user(user).await? else { return Ok(None) };
    let apps = apps::by_id(desk).await?;
    Ok(Some(json!({
        "id": user,
        "display_name": person.display_name,
        "created_at": person.created_at.rfc3339(),
        "last_seen_at": person.last_seen_at.rfc3339(),
        "disabled": person.disabled_at.is_some(),
        "disabled_at": person.disabled_at.map(Timestamp::rfc3339),
        "accounts": store.links(user).await?.iter().map(|link| account(link, &apps)).collect::<Vec<_>>(),
        "clients": store.connected_clients(user, now).await?.iter().map(client).collect::<Vec<_>>(),
        "sessions": sessions(store, user, now).await?,
        "api_keys": store.api_keys(Some(user)).await?.iter().map(key).collect::<Vec<_>>(),
        "usage_of_30_days": usage(store, user, now).await?,
    })))
}

fn account(link: &Link, apps: &BTreeMap<String, Value>) -> Value {
    json!({
        "id": link.id,
        "spotify_user_id": link.spotify_user_id,
        "display_name": link.display_name,
        "alias": link.alias,
        "primary": link.primary,
        "logs_in": link.opens,
        "app": apps.get(link.app.as_str()),
        "authorized_at": link.authorized_at.rfc3339(),
        "not_listed_since": link.unlisted.map(Timestamp::rfc3339),
        "reconnect_reason": link.reconnect.as_ref().map(|(_, reason)| reason),
    })
}

fn client(client: &ConnectedClient) -> Value {
    json!({
        "grant_id": client.grant,
        "client_id": client.client.as_str(),
        "name": client.name,
        "scopes": names(client.scopes),
        "created_at": client.created_at.rfc3339(),
        "last_used_at": client.last_used_at.rfc3339(),
    })
}

fn key(key: &ApiKey) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": names(key.scopes),
        "created_at": key.created_at.rfc3339(),
        "expires_at": key.expires_at.map(Timestamp::rfc3339),
        "last_used_at": key.last_used_at.map(Timestamp::rfc3339),
    })
}

async fn sessions(store: &Store, user: &UserId, now: Timestamp) -> Result<Vec<Value>, Failure> {
    let one = |id: &SessionId, kind: &str, with: &str, (since, used): (Timestamp, Timestamp)| {
        let (since, used) = (since.rfc3339(), used.rfc3339());
        json!({ "id": id, "kind": kind, "with": with, "created_at": since, "last_used_at": used })
    };
    let (browsers, others) = (store.browser_sessions(user, now).await?, store.mcp_sessions(user, now).await?);
    let browsers = browsers.iter().map(|s| one(&s.id, "browser", &s.agent, (s.created_at, s.last_seen_at)));
    let others = others.iter().map(|s| one(&s.id, "mcp", &s.client, (s.created_at, s.last_active)));
    Ok(browsers.chain(others).collect())
}

async fn usage(store: &Store, user: &UserId, now: Timestamp) -> Result<Vec<Value>, Failure> {
    let month = day(now.minus(Duration::from_secs(30 * 86_400)));
    let by = UsageFilter::by(&[UsageKey::Tool]);
    let filter = UsageFilter { user: Some(user.clone()), since: Some(month), ..by };
    let one = |row: &Usage| json!({ "tool": row.keys[0], "calls": row.calls, "errors": row.errors });
    Ok(store.usage(&filter).await?.iter().map(one).collect())
}

fn names(scopes: ScopeSet) -> Vec<&'static str> {
    scopes.iter().map(Scope::name).collect()
}

/// Characters of what a client or browser calls itself.
const MOST_OF_A_NAME: usize = 70;

/// Day and minute, UTC.
fn minute(value: &Value) -> String {
    value.as_str().map_or("never".to_owned(), |at| at[..16].replace('T', " "))
}

/// That Spotify refuses an account, and why.
fn unlisted(account: &Value) -> Option<String> {
    let since = account["not_listed_since"].as_str()?.get(..10)?;
    Some(format!(", refused by Spotify since {since}: not on the app's list (Users Management)"))
}

fn in_words(document: &Value) -> String {
    let text = |value: &Value| clean(value.as_str().unwrap_or_default());
    let date = |value: &Value| value.as_str().map_or("never".to_owned(), |at| at[..10].to_owned());
    let mut said = format!("{}  {}\n", text(&document["id"]), text(&document["display_name"]));
    said += &format!(
        "  since {}, last login {}\n",
        date(&document["created_at"]),
        date(&document["last_seen_at"])
    );
    if document["disabled"] == true {
        said += &format!("  DISABLED since {}\n", date(&document["disabled_at"]));
    }
    let mut section = |head: &str, rows: &Value, line: &dyn Fn(&Value) -> String| {
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        said += &format!(
            "\n{head}: {}\n",
            if rows.is_empty() { "none".to_owned() } else { rows.len().to_string() }
        );
        rows.iter().for_each(|row| said += &format!("  {}\n", line(row)));
    };
    section("Spotify accounts", &document["accounts"], &|row| {
        let primary = if row["primary"] == true { ", default" } else { "" };
        let opens = if row["logs_in"] == true { ", logs in with it" } else { "" };
        let again =
            row["reconnect_reason"].as_str().map(|why| format!(", must log in again ({})", clean(why)));
        let (id, alias) = (text(&row["spotify_user_id"]), text(&row["alias"]));
        let app = &row["app"];
        let removed = if app["removed"] == true { ", which is removed" } else { "" };
        let through = format!(", through {}{removed}", apps::called(app));
        let state = again.or_else(|| unlisted(row)).unwrap_or_default();
        format!("{id} ({alias}{primary}{opens}{through}{state})")
    });
    section("Connected clients", &document["clients"], &|row| {
        format!("{}  {}, used {}", text(&row["client_id"]), text(&row["name"]), date(&row["last_used_at"]))
    });
    section("Sessions", &document["sessions"], &|row| {
        let kind = if row["kind"] == "browser" { "browser" } else { "2025-era" };
        // Several may have been used on one day: which one is to be ended is told by the rest.
        let with = row["with"].as_str().unwrap_or_default();
        let with = if kind == "browser" { browser(with).text().to_owned() } else { clean(with) };
        let with = cut(&with, MOST_OF_A_NAME);
        let of = if with.is_empty() { kind.to_owned() } else { format!("{kind}, {with}") };
        format!(
            "{}\n    {of}\n    since {}, used {}",
            text(&row["id"]),
            minute(&row["created_at"]),
            minute(&row["last_used_at"])
        )
    });
    section("API keys", &document["api_keys"], &|row| {
        format!("{}  {}, used {}", text(&row["id"]), text(&row["name"]), date(&row["last_used_at"]))
    });
    let tools = document["usage_of_30_days"].as_array().map(Vec::as_slice).unwrap_or_default();
    let calls: i64 = tools.iter().filter_map(|row| row["calls"].as_i64()).sum();
    said +=
        &format!("\nCalls in 30 days: {}\n", if calls == 0 { "none".to_owned() } else { calls.to_string() });
    for row in tools {
        said += &format!("  {}: {}, {} failed\n", text(&row["tool"]), row["calls"], row["errors"]);
    }
    said
}
