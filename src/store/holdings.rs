//! All that the database holds of one person, as JSON, for whoever asks what is held of them. Never what opens anything: no
//! token, no hash of one, nothing sealed.

use serde_json::{Map, Value, json};

use crate::ambient::Timestamp;
use crate::domain::UserId;
use crate::domain::own_app::shortened;
use crate::failure::Failure;

use super::Store;

/// How a value is written.
#[derive(Clone, Copy)]
enum As {
    Text,
    /// From seconds to RFC 3339.
    Time,
    /// From milliseconds.
    Millis,
    Number,
    /// From words with spaces between.
    Words,
    /// As it stands in the database.
    Json,
    /// The last digits of the client id of the account's app.
    Ending,
}
use As::{Ending, Json, Millis, Number, Text, Time, Words};

/// A section: its name, its columns, and where they come from, with the person's id as `$1`.
type Section = (&'static str, &'static [(&'static str, As)], &'static str);

/// Every table that holds rows of a person: a test walks the schema and misses none.
const SECTIONS: [Section; 18] = [
    (
        "person",
        &[
            ("id", Text),
            ("display_name", Text),
            ("created_at", Time),
            ("last_seen_at", Time),
            ("disabled_at", Time),
        ],
        "users WHERE id = $1",
    ),
    (
        "linked_accounts",
        &[
            ("id", Text),
            ("app_id", Text),
            ("own_client_id", Ending),
            ("own_app_since", Time),
            ("accounts_url", Text),
            ("identity", Text),
            ("spotify_user_id", Text),
            ("display_name", Text),
            ("alias", Text),
            ("primary_since", Time),
            ("opens_since", Time),
            ("scope", Words),
            ("authorized_at", Time),
            ("access_expires_at", Time),
            ("reconnect_since", Time),
            ("reconnect_reason", Text),
            ("unlisted_since", Time),
            ("created_at", Time),
        ],
        "linked_accounts WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "connected_clients",
        &[
            ("id", Text),
            ("client_id", Text),
            ("scope", Words),
            ("resource", Text),
            ("redirect_uri", Text),
            ("created_at", Time),
            ("last_used_at", Time),
            ("expires_at", Time),
            ("revoked_at", Time),
        ],
        "grants WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "access_tokens",
        &[
            ("grant_id", Text),
            ("issued_at", Time),
            ("expires_at", Time),
            ("revoked_at", Time),
            ("scope", Words),
        ],
        "access_tokens WHERE grant_id IN (SELECT id FROM grants WHERE user_id = $1) ORDER BY issued_at",
    ),
    (
        "refresh_tokens",
        &[("grant_id", Text), ("issued_at", Time), ("expires_at", Time), ("rotated_at", Time)],
        "refresh_tokens WHERE grant_id IN (SELECT id FROM grants WHERE user_id = $1) ORDER BY issued_at",
    ),
    (
        "approvals",
        &[("client_id", Text), ("redirect_uri", Text), ("scope", Words), ("granted_at", Time)],
        "consents WHERE user_id = $1 ORDER BY granted_at, client_id, redirect_uri",
    ),
    (
        "codes",
        &[
            ("client_id", Text),
            ("scope", Words),
            ("issued_at", Time),
            ("expires_at", Time),
            ("used_at", Time),
        ],
        "codes WHERE user_id = $1 ORDER BY expires_at",
    ),
    (
        "logins_on_their_way",
        &[
            ("purpose", Text),
            ("client_id", Text),
            ("spotify_scope", Words),
            ("created_at", Time),
            ("expires_at", Time),
        ],
        "logins WHERE user_id = $1 ORDER BY created_at",
    ),
    (
        "link_pages",
        &[("id", Text), ("alias", Text), ("created_at", Time), ("expires_at", Time), ("used_at", Time)],
        "link_pages WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "browser_sessions",
        &[
            ("id", Text),
            ("agent", Text),
            ("created_at", Time),
            ("last_seen_at", Time),
            ("expires_at", Time),
            ("revoked_at", Time),
        ],
        "browser_sessions WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "mcp_sessions",
        &[
            ("id", Text),
            ("client_id", Text),
            ("grant_id", Text),
            ("created_at", Time),
            ("last_active", Time),
            ("used_at", Millis),
            ("expires_at", Time),
            ("connection_status", Text),
            ("metadata", Json),
        ],
        "mcp_sessions WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "api_keys",
        &[
            ("id", Text),
            ("name", Text),
            ("prefix", Text),
            ("scope", Words),
            ("created_at", Time),
            ("expires_at", Time),
            ("last_used_at", Time),
            ("revoked_at", Time),
        ],
        "api_keys WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "usage",
        &[("day", Text), ("tool", Text), ("calls", Number), ("errors", Number)],
        "usage WHERE user_id = $1 ORDER BY day, tool",
    ),
    (
        "changes",
        &[
            ("id", Text),
            ("link_id", Text),
            ("tool", Text),
            ("created_at", Millis),
            ("expires_at", Time),
            ("undone_at", Time),
            ("undoing_until", Time),
        ],
        "changes WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "plans",
        &[
            ("id", Text),
            ("link_id", Text),
            ("tool", Text),
            ("created_at", Time),
            ("expires_at", Time),
            ("used_at", Time),
        ],
        "plans WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "questions",
        &[("id", Text), ("session_id", Text), ("reply", Text), ("created_at", Millis), ("expires_at", Time)],
        "questions WHERE user_id = $1 ORDER BY created_at, id",
    ),
    (
        "quota_calls",
        &[("pool", Text), ("bucket", Text), ("hour", Number), ("calls", Number)],
        "quota_calls WHERE payer = (SELECT COALESCE(payer, id) FROM users WHERE id = $1) ORDER BY pool, bucket, hour",
    ),
    (
        "data_keys",
        &[("id", Text), ("state", Text), ("created_at", Time), ("retired_at", Time)],
        "data_keys WHERE user_id = $1 ORDER BY created_at, id",
    ),
];

impl Store {
    /// All that is held of a person; `None` where there is nobody.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn holdings(&self, user: &UserId) -> Result<Option<Value>, Failure> {
        let mut document = Map::new();
        for (name, columns, from) in SECTIONS {
            let names: Vec<_> = columns.iter().map(source).collect();
            let rows = self.held(&names, from, user).await?;
            let mut rows: Vec<_> = rows.into_iter().map(|row| written(columns, row)).collect();
            let value = if name == "person" {
                let Some(person) = rows.pop() else { return Ok(None) };
                person
            } else {
                Value::Array(rows)
            };
            document.insert(name.to_owned(), value);
        }
        Ok(Some(Value::Object(document)))
    }
}

/// What is selected for a column.
const fn source((column, form): &(&'static str, As)) -> &'static str {
    match form {
        Ending => "(SELECT client_id FROM spotify_apps a WHERE a.id = app_id AND own_app_since IS NOT NULL)",
        _ => column,
    }
}

fn written(columns: &[(&str, As)], row: Vec<Option<String>>) -> Value {
    let of = |((name, form), value): (&(&str, As), Option<String>)| {
        ((*name).to_owned(), value.map_or(Value::Null, |text| one(*form, text)))
    };
    Value::Object(columns.iter().zip(row).map(of).collect())
}

fn one(form: As, text: String) -> Value {
    let number = || text.parse::<i64>().unwrap_or_default();
    match form {
        Text => Value::String(text),
        Time => json!(Timestamp::from_secs(number()).rfc3339()),
        Millis => json!(Timestamp::from_millis(number()).rfc3339()),
        Number => json!(number()),
        Words => json!(text.split_whitespace().collect::<Vec<_>>()),
        Ending => Value::String(shortened(&text)),
        Json => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}
