//! Which rows are credentials that can be ended, how to tell that one is alive, and how it ends: each kind once, so that
//! counting and ending can never differ. Never runs a statement.

use crate::domain::selection::Selection;

use super::Revoked;

/// A kind of what can be ended.
pub(super) struct Kind {
    pub(super) table: &'static str,
    /// Whether a selection is held against the grant of the row, which is alive or was ended just before.
    by_grant: bool,
    /// With the present time as `$1`.
    alive: &'static str,
    /// With the same.
    end: &'static str,
    /// The column or expression that each part of a selection is held against; where there is none and the part is
    /// given, the kind is left out.
    user: &'static str,
    client: Option<&'static str>,
    session: Option<&'static str>,
    issued: &'static str,
    pub(super) count: fn(&mut Revoked) -> &mut i64,
}

const OF_LIVING: &str = "(revoked_at IS NULL OR revoked_because = $2)";

const KINDS: [Kind; 8] = [
    Kind {
        table: "logins",
        by_grant: false,
        alive: "expires_at > $1",
        end: "DELETE FROM logins",
        user: "user_id",
        client: Some("client_id"),
        session: None,
        issued: "created_at",
        count: |revoked| &mut revoked.logins,
    },
    Kind {
        table: "codes",
        by_grant: false,
        alive: "used_at IS NULL AND expires_at > $1",
        end: "DELETE FROM codes",
        user: "user_id",
        client: Some("client_id"),
        session: None,
        issued: "issued_at",
        count: |revoked| &mut revoked.codes,
    },
    Kind {
        table: "grants",
        by_grant: false,
        alive: "revoked_at IS NULL AND expires_at > $1",
        end: "UPDATE grants SET revoked_at = $1, revoked_because = $2",
        user: "user_id",
        client: Some("client_id"),
        session: None,
        issued: "created_at",
        count: |revoked| &mut revoked.grants,
    },
    Kind {
        table: "access_tokens",
        by_grant: true,
        alive: "revoked_at IS NULL AND expires_at > $1",
        end: "UPDATE access_tokens SET revoked_at = $1",
        user: "user_id",
        client: Some("client_id"),
        session: None,
        issued: "created_at",
        count: |revoked| &mut revoked.access_tokens,
    },
    Kind {
        table: "refresh_tokens",
        by_grant: true,
        alive: "rotated_at IS NULL AND expires_at > $1",
        end: "UPDATE refresh_tokens SET expires_at = $1",
        user: "user_id",
        client: Some("client_id"),
        session: None,
        issued: "created_at",
        count: |revoked| &mut revoked.refresh_tokens,
    },
    Kind {
        table: "mcp_sessions",
        by_grant: false,
        alive: "expires_at > $1",
        end: "DELETE FROM mcp_sessions",
        user: "user_id",
        client: Some("client_id"),
        session: Some("id"),
        // It ends with the grant that it was opened through.
        issued: "COALESCE((SELECT g.created_at FROM grants g WHERE g.id = mcp_sessions.grant_id), mcp_sessions.created_at)",
        count: |revoked| &mut revoked.mcp_sessions,
    },
    Kind {
        table: "consents",
        by_grant: false,
        alive: "$1 > 0",
        end: "DELETE FROM consents",
        user: "user_id",
        client: Some("client_id"),
        session: None,
        issued: "granted_at",
        count: |revoked| &mut revoked.consents,
    },
    Kind {
        table: "browser_sessions",
        by_grant: false,
        alive: "revoked_at IS NULL AND expires_at > $1",
        end: "UPDATE browser_sessions SET revoked_at = $1",
        user: "user_id",
        client: None,
        session: Some("id"),
        issued: "created_at",
        count: |revoked| &mut revoked.browser_sessions,
    },
];

pub(super) const API_KEYS: Kind = Kind {
    table: "api_keys",
    by_grant: false,
    alive: "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)",
    end: "UPDATE api_keys SET revoked_at = $1",
    user: "user_id",
    client: None,
    session: None,
    issued: "created_at",
    count: |revoked| &mut revoked.api_keys,
};

pub(super) const LINKS: Kind = Kind {
    table: "linked_accounts",
    by_grant: false,
    alive: "(access_token IS NOT NULL OR refresh_token IS NOT NULL) AND $1 > 0",
    // Whoever refreshes it at this moment finds another version, and what Spotify answers is dropped.
    end: "UPDATE linked_accounts SET access_token = NULL, refresh_token = NULL, token_version = token_version + 1,
        lease_holder = NULL, lease_until = NULL, reconnect_since = $1, reconnect_reason = 'revoked_by_operator'",
    user: "user_id",
    client: None,
    session: None,
    issued: "authorized_at",
    count: |revoked| &mut revoked.spotify_links,
};

/// What is bound after the time and the event.
pub(super) enum Value {
    Text(String),
    Number(i64),
}

/// A kind with the predicate of one selection.
pub(super) struct Statement {
    pub(super) kind: &'static Kind,
    predicate: String,
    pub(super) values: Vec<Value>,
}

impl Statement {
    /// `None` where nothing of the kind can be selected so.
    pub(super) fn of(kind: &'static Kind, selection: &Selection) -> Option<Self> {
        let (mut conditions, mut values) = (String::new(), Vec::new());
        let mut also = |column: &str, compare: &str, value: Value| {
            values.push(value);
            conditions += &format!(" AND {column} {compare} ${}", values.len() + 2);
        };
        if let Some(user) = selection.user() {
            also(kind.user, "=", Value::Text(user.as_str().to_owned()));
        }
        if let Some(client) = selection.client() {
            also(kind.client?, "=", Value::Text(client.as_str().to_owned()));
        }
        if let Some(session) = selection.session() {
            also(kind.session?, "=", Value::Text(session.as_str().to_owned()));
        }
        if let Some(before) = selection.issued_before() {
            // Kept to the second: what was issued within that second counts as before it.
            let secs = before.millis().saturating_add(999).div_euclid(1000);
            also(kind.issued, "<", Value::Number(secs));
        }
        let predicate = if kind.by_grant {
            format!("{} AND grant_id IN (SELECT id FROM grants WHERE {OF_LIVING}{conditions})", kind.alive)
        } else {
            // Both are always bound.
            format!("{} AND $2 <> ''{conditions}", kind.alive)
        };
        Some(Self { kind, predicate, values })
    }

    pub(super) fn all(selection: &Selection) -> Vec<Self> {
        KINDS.iter().filter_map(|kind| Self::of(kind, selection)).collect()
    }

    pub(super) fn counting(&self) -> String {
        format!("SELECT COUNT(*) FROM {} WHERE {}", self.kind.table, self.predicate)
    }

    pub(super) fn ending(&self) -> String {
        format!("{} WHERE {}", self.kind.end, self.predicate)
    }
}
