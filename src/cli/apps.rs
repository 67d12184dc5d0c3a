//! Spotify apps as an operator needs to see them: whose they are, how full, and which quotas have run out until when.
//!
//! Asks the database alone. Of people's own apps the last digits of the client id are told, as to themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::administer::{Desk, broken};
use super::output::Refused;
use super::shares::{Day, in_words};
use super::table::columns_with_names;
use crate::ambient::Timestamp;
use crate::domain::AppId;
use crate::domain::event::{Event, EventCode, clean};
use crate::domain::own_app::shortened;
use crate::failure::Failure;
use crate::store::{AppInUse, EVERYTHING, QuotaRow};
use crate::vault::OPERATOR;

/// Prints all of them.
pub(super) async fn print(desk: &Desk) -> Result<(), Refused> {
    let apps = all(desk).await.map_err(|failure| broken(&failure))?;
    let text = table(&apps) + &in_words(&apps);
    desk.output.result(&text, &Value::Array(apps));
    Ok(())
}

/// The app of each linked account, by our id for it: what it is called, and whose it is.
pub(super) async fn by_id(desk: &Desk) -> Result<BTreeMap<String, Value>, Failure> {
    let rows = desk.store.apps_in_use().await?;
    Ok(rows.iter().map(|row| (row.id.clone(), Value::Object(whose(desk, row)))).collect())
}

/// Has Spotify asked again for what has run out of the app that is named.
pub(super) async fn reopen(desk: &Desk, named: &str, dry_run: bool) -> Result<(), Refused> {
    let failed = |failure: Failure| broken(&failure);
    let rows = desk.store.apps_in_use().await.map_err(failed)?;
    let is_named = |row: &&AppInUse| {
        let told = Value::Object(whose(desk, row));
        [called(&told).as_str(), told["client_id"].as_str().unwrap_or_default(), &row.id].contains(&named)
    };
    let found: Vec<_> = rows.iter().filter(is_named).collect();
    let [row] = found[..] else {
        let why = if found.is_empty() {
            "no Spotify app is called so"
        } else {
            "several Spotify apps are called so"
        };
        return Err(Refused::usage(
            "APP_UNKNOWN",
            why,
            "'spotify-mcp usage --apps' lists them; name one by its client id",
        ));
    };
    // The app may have to wait by itself, and its developer's quotas may have run out.
    let developer = if row.is_own() { None } else { developer(desk, row) };
    let now = desk.clock.now();
    let is_closed = |quota: &&QuotaRow| quota.closed_until > Some(now.secs());
    let mut found: Vec<QuotaRow> = Vec::new();
    for pool in developer.into_iter().chain([row.id.as_str()]) {
        if dry_run {
            let all =
                desk.store.quotas().await.map_err(failed)?.into_iter().filter(|quota| quota.pool == pool);
            found.extend(all.filter(|quota| is_closed(&quota) || quota.learned_size.is_some()));
        } else {
            let event = desk.stamp(Event::new(EventCode::QuotaReopened).subject(pool));
            found.extend(desk.store.reopen_quotas(pool, now, &[event]).await.map_err(failed)?);
        }
    }
    let opened: Vec<_> = found.iter().filter(is_closed).map(|quota| quota.bucket.as_str()).collect();
    let sizes: Vec<_> = found.iter().filter_map(|quota| Some((&quota.bucket, quota.learned_size?))).collect();
    let mut text = match (opened.is_empty(), dry_run) {
        (true, _) if sizes.is_empty() => "Nothing has run out there: nothing was changed.\n".to_owned(),
        (true, _) => "Nothing is closed there.\n".to_owned(),
        (false, true) => format!("Spotify would be asked again for: {}.\n", opened.join(", ")),
        (false, false) => {
            format!("Every server asks Spotify again within ten seconds for: {}.\n", opened.join(", "))
        }
    };
    if !sizes.is_empty() {
        let sizes: Vec<_> = sizes.iter().map(|(calls, size)| format!("{calls} ({size} a day)")).collect();
        let forgets = if dry_run { "It would be forgotten" } else { "Forgotten is" };
        text += &format!("{forgets} how large these were thought to be: {}.\n", sizes.join(", "));
    }
    let forgotten: Vec<_> = sizes.iter().map(|(calls, size)| json!({"calls": calls, "size": size})).collect();
    let told = json!({
        "developer": pool(desk, row),
        "reopened": opened,
        "forgotten": forgotten,
        "dry_run": dry_run,
    });
    desk.output.result(&text, &told);
    Ok(())
}

async fn all(desk: &Desk) -> Result<Vec<Value>, Failure> {
    let quotas = desk.store.quotas().await?;
    let now = desk.clock.now();
    let rows = desk.store.apps_in_use().await?;
    let pool_of = |app: &AppId| {
        let row = rows.iter().find(|row| row.id == app.as_str())?;
        Some(Arc::from(pool(desk, row)?))
    };
    let day = Day::read(desk, &pool_of).await?;
    let one = |row: &AppInUse| {
        let pool = pool(desk, row);
        let is_its = |quota: &&QuotaRow| match quota.bucket == EVERYTHING {
            true => quota.pool == row.id,
            false => Some(quota.pool.as_str()) == pool,
        };
        let closed = quotas.iter().filter(is_its);
        let closed = closed.filter_map(|quota| {
            let until = quota.closed_until.filter(|until| *until > now.secs())?;
            Some(json!({"calls": quota.bucket, "opens_at": Timestamp::from_secs(until).rfc3339()}))
        });
        let mut told = whose(desk, row);
        told.insert("quota_mode".to_owned(), json!((!row.is_own()).then_some(&row.quota_mode)));
        told.insert("linked".to_owned(), json!(row.linked));
        told.insert("not_listed".to_owned(), json!(row.unlisted));
        told.insert("seats".to_owned(), json!(row.seats));
        told.insert("closed".to_owned(), json!(closed.collect::<Vec<_>>()));
        told.insert("developer".to_owned(), json!(pool));
        let day = pool.map(|pool| day.told(pool)).unwrap_or_default();
        told.insert("requests_of_a_day".to_owned(), json!(day));
        Value::Object(told)
    };
    Ok(rows.iter().filter(|row| row.linked > 0 || !row.is_removed()).map(one).collect())
}

fn whose(desk: &Desk, row: &AppInUse) -> serde_json::Map<String, Value> {
    let configured = desk.config.spotify.apps.iter().find(|app| app.client_id == row.client_id);
    let id = if row.is_own() { shortened(&row.client_id) } else { row.client_id.clone() };
    let fields = [
        ("name", json!(configured.map(|app| &app.name))),
        ("client_id", json!(id)),
        ("own", json!(row.is_own())),
        ("removed", json!(row.is_removed())),
    ];
    fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

/// The developer account whose quotas the calls of an app use.
fn pool<'a>(desk: &'a Desk, row: &'a AppInUse) -> Option<&'a str> {
    if row.is_own() { Some(row.id.as_str()) } else { developer(desk, row) }
}

/// As quotas are counted: extended quota has none by the day.
fn developer<'a>(desk: &'a Desk, row: &AppInUse) -> Option<&'a str> {
    let configured = desk.config.spotify.apps.iter().find(|app| app.client_id == row.client_id);
    let named = configured.and_then(|app| app.developer.as_deref());
    (row.quota_mode != "extended").then(|| named.unwrap_or(OPERATOR))
}

/// What an operator calls it.
pub(super) fn called(app: &Value) -> String {
    let id = clean(app["client_id"].as_str().unwrap_or_default());
    match (app["own"] == true, app["name"].as_str()) {
        (true, _) => format!("own app {id}"),
        (false, Some(name)) => clean(name),
        (false, None) => id,
    }
}

fn table(apps: &[Value]) -> String {
    if apps.is_empty() {
        return "No Spotify app is in use.\n".to_owned();
    }
    let closed = |app: &Value| {
        let all = app["closed"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| clean(value.as_str().unwrap_or_default());
        let one = |closed: &Value| format!("{} until {}", text(&closed["calls"]), text(&closed["opens_at"]));
        all.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let line = |app: &Value| {
        let mode = match (app["removed"] == true, app["quota_mode"].as_str()) {
            (true, _) => "removed".to_owned(),
            (false, mode) => mode.unwrap_or("-").to_owned(),
        };
        let taken = match app["seats"].as_i64() {
            Some(seats) => format!("{} of {seats}", app["linked"]),
            None => app["linked"].to_string(),
        };
        let taken = match app["not_listed"].as_i64() {
            Some(unlisted) if unlisted > 0 => format!("{taken}, {unlisted} not listed at Spotify"),
            _ => taken,
        };
        [called(app), mode, taken, closed(app)]
    };
    columns_with_names(&["APP", "MODE", "ACCOUNTS", "CLOSED"], 0, &apps.iter().map(line).collect::<Vec<_>>())
}
