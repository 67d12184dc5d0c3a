//! What `revoke-sessions` ended, what it left, and what nobody can end from here. Never a credential.

use serde_json::{Map, Value, json};

use crate::ambient::Timestamp;
use crate::app::administration::Order;
use crate::cli::administer::{Desk, broken};
use crate::cli::beyond;
use crate::cli::output::Refused;
use crate::domain::ids::EventId;
use crate::domain::selection::Selection;
use crate::store::Revoked;

/// In words: of one, of several.
const WORDS: [(&str, &str, &str); 10] = [
    ("browser_sessions", "browser session", "browser sessions"),
    ("grants", "client's access (grant)", "clients' access (grants)"),
    ("access_tokens", "access token", "access tokens"),
    ("refresh_tokens", "refresh token", "refresh tokens"),
    ("codes", "code on its way", "codes on their way"),
    ("pending_logins", "login on its way", "logins on their way"),
    ("mcp_sessions", "session of a 2025-era client", "sessions of 2025-era clients"),
    ("consents", "approval", "approvals"),
    ("api_keys", "API key", "API keys"),
    ("spotify_links", "linked account's Spotify tokens", "linked accounts' Spotify tokens"),
];

/// What an order would end.
pub(super) fn would(desk: &Desk, order: &Order, counts: &Revoked) {
    let document = json!({
        "dry_run": true,
        "selection": selected(&order.selection),
        "would_end": kinds(counts),
        "would_keep": kept(counts),
    });
    let text = format!("Would end {}.\n{}", in_one_line(counts), kept_in_words(counts));
    desk.output.result(&text, &document);
}

/// Whose, what ends, and what does not.
pub(super) async fn question(desk: &Desk, order: &Order, counts: &Revoked) -> Result<String, Refused> {
    let whose = match order.selection.user() {
        Some(user) => format!(" of {}", desk.called(user).await?),
        None => String::new(),
    };
    Ok(format!("{}End {}{whose} now, on every server?", kept_in_words(counts), in_one_line(counts)))
}

/// What an order ended.
pub(super) async fn ended(
    desk: &Desk,
    order: &Order,
    (event, counts): (&EventId, &Revoked),
) -> Result<(), Refused> {
    let selection = &order.selection;
    let beyond = if selection.reaches_keys_and_links() {
        beyond::at_spotify(desk, selection.user()).await.map_err(|failure| broken(&failure))?
    } else {
        Vec::new()
    };
    let document = json!({
        "dry_run": false,
        "selection": selected(selection),
        "reason": order.reason,
        "ended": kinds(counts),
        "kept": kept(counts),
        "cannot_be_ended_here": beyond,
        "event_id": event.as_str(),
    });
    let mut text = String::new();
    if counts.is_nothing() {
        text += "There was nothing to end.\n";
    } else {
        text += "Ended, on every server within a second, with the calls and streams that run by it:\n";
        for line in lines(counts) {
            text += &format!("  {line}\n");
        }
    }
    text += &kept_in_words(counts);
    if selection.session().is_some() {
        text += "  NOT ENDED: what the session's client or browser holds beside it; --user and --client end that\n";
    }
    text += &beyond::in_words(&beyond);
    desk.output.result(&text, &document);
    Ok(())
}

/// The counts as one sentence.
pub(in crate::cli) fn in_one_line(counts: &Revoked) -> String {
    let lines = lines(counts);
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }
}

fn lines(counts: &Revoked) -> Vec<String> {
    let of = |(name, count): (&str, i64)| {
        let (_, one, several) = WORDS.iter().find(|(kind, ..)| *kind == name)?;
        (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { several }))
    };
    counts.kinds().into_iter().filter_map(of).collect()
}

/// Each kind by its name.
pub(in crate::cli) fn kinds(counts: &Revoked) -> Value {
    let all = counts.kinds().into_iter().map(|(name, count)| (name.to_owned(), json!(count)));
    Value::Object(all.collect::<Map<_, _>>())
}

fn kept(counts: &Revoked) -> Value {
    json!({ "api_keys": counts.kept_api_keys, "spotify_links": counts.kept_spotify_links })
}

fn kept_in_words(counts: &Revoked) -> String {
    let mut text = String::new();
    if counts.kept_api_keys > 0 {
        text +=
            &format!("  KEPT: {} API keys go on working; --api-keys ends them too\n", counts.kept_api_keys);
    }
    if counts.kept_spotify_links > 0 {
        let links = counts.kept_spotify_links;
        text += &format!(
            "  KEPT: Spotify's tokens of {links} linked account{}; --spotify-links forgets them too\n",
            if links == 1 { "" } else { "s" }
        );
    }
    text
}

fn selected(selection: &Selection) -> Value {
    json!({
        "all": selection.is_everything(),
        "user_id": selection.user(),
        "client_id": selection.client().map(|id| id.as_str()),
        "session_id": selection.session(),
        "issued_before": selection.issued_before().map(Timestamp::rfc3339),
    })
}
