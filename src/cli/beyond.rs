//! What a command of ours cannot end, because it lives at Spotify, and who ends it where. Spotify has no endpoint that
//! revokes anything.

use serde_json::{Value, json};

use super::administer::Desk;
use crate::domain::UserId;
use crate::failure::Failure;

/// Where the operator, and everybody else, end what Spotify granted.
const DASHBOARD: &str = "https://developer.spotify.com/dashboard";
const APPS: &str = "https://www.spotify.com/account/apps/";

/// What Spotify granted to one person, or to all.
pub(super) async fn at_spotify(desk: &Desk, user: Option<&UserId>) -> Result<Vec<Value>, Failure> {
    let (links, people) = desk.store.count_links(user).await?;
    let apps: Vec<&str> = desk.config.spotify.apps.iter().map(|app| app.client_id.as_str()).collect();
    let apps = if apps.is_empty() { "the app".to_owned() } else { apps.join(", ") };
    Ok(vec![
        json!({
            "what": format!(
                "what Spotify granted: {}. Refresh tokens that were copied go on working at Spotify with the app's client \
                 secret",
                granted(links, people)
            ),
            "operator": format!(
                "rotate the client secret of {apps} in {DASHBOARD} (the app, Settings), and give it to the servers",
            ),
            "people": format!("remove the app's access at {APPS}, and log in here again"),
        }),
        json!({
            "what": "Spotify's access tokens that were copied: each dies by itself within an hour",
            "operator": "wait, or have people remove the app's access",
            "people": format!("remove the app's access at {APPS}"),
        }),
    ])
}

fn granted(links: i64, people: i64) -> String {
    let links = if links == 1 { "1 linked account".to_owned() } else { format!("{links} linked accounts") };
    let people = if people == 1 { "1 person".to_owned() } else { format!("{people} people") };
    format!("{links} of {people}")
}

/// The same for people who read.
pub(super) fn in_words(beyond: &[Value]) -> String {
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |left: &Value| {
        let (what, operator, people) = (said(&left["what"]), said(&left["operator"]), said(&left["people"]));
        format!("  NOT ENDED: {what}\n    operator: {operator}\n    people: {people}\n")
    };
    beyond.iter().map(one).collect()
}
