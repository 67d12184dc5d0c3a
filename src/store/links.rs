//! Linked Spotify accounts: who has which, first and further logins with one.

use crate::ambient::Timestamp;
use crate::domain::linking::MOST_ACCOUNTS;
use crate::domain::own_app::shortened;
use crate::domain::{AppId, DataKeyId, LinkId, UserId};
use crate::failure::Failure;

use super::apps::{place, take_seat};
use super::own_apps::{BroughtApp, bring_app};
use super::retry::is_unique_violation;
use super::{
    DataKeyRow, Recorded, Store, accounts_changed, corrupt, count_seals, data_key_is_active, lock_person,
    reading, record, transaction,
};

/// A linked account without its tokens.
#[derive(Clone, Debug)]
pub struct Link {
    /// Our id.
    pub id: LinkId,
    /// Whose.
    pub user: UserId,
    /// Through which app.
    pub app: AppId,
    /// How that app's client id may be shown, where it is the person's own: its last digits.
    pub own_app: Option<String>,
    /// Spotify's immutable account id, or `id:` and the user id.
    pub identity: String,
    /// Spotify's user id.
    pub spotify_user_id: String,
    /// Spotify's display name: untrusted text.
    pub display_name: String,
    /// The person's own name for it.
    pub alias: String,
    /// Whether tools use it where no account is named.
    pub primary: bool,
    /// Whether whoever logs in with it is the person: one of their accounts at most.
    pub opens: bool,
    /// The Spotify scopes that were granted.
    pub scope: String,
    /// When the person last approved at Spotify: the refresh token dies six months later.
    pub authorized_at: Timestamp,
    /// Since when it needs a new login, and why.
    pub reconnect: Option<(Timestamp, String)>,
    /// Since when Spotify says that the list of its app does not name it.
    pub unlisted: Option<Timestamp>,
    /// Counts up with every change of its tokens.
    pub token_version: i64,
}

/// An account to link, with what exists only for a newcomer.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Its id.
    pub id: LinkId,
    /// Whose it becomes.
    pub user: UserId,
    /// Whether the person is new too.
    pub new_user: bool,
    /// The person's new data key, where they have none.
    pub new_data_key: Option<DataKeyRow>,
    /// The person's name for it.
    pub alias: String,
    /// See [`Link::opens`]: where another one does when it is saved, that is a conflict.
    pub opens: bool,
}

/// A completed login at Spotify, to be saved for a new or a known account.
#[derive(Clone, Debug)]
pub struct SaveLink {
    /// The known link and the version that was read, or a new one.
    pub link: Result<(LinkId, i64), NewLink>,
    /// Through which app; of one that nobody brought before, the id that it gets.
    pub app: AppId,
    /// The app, where it is the person's own: it takes no seat.
    pub own: Option<BroughtApp>,
    /// How many places of an app with limited places the accounts of one person take.
    pub places_each: i64,
    /// The accounts service.
    pub accounts_url: String,
    /// See [`Link::identity`].
    pub identity: String,
    /// Under which name the share of a person who comes with this account is counted.
    pub payer: Option<String>,
    /// See [`Link::spotify_user_id`].
    pub spotify_user_id: String,
    /// See [`Link::display_name`].
    pub display_name: String,
    /// The granted Spotify scopes.
    pub scope: String,
    /// The key that the tokens are sealed under.
    pub data_key: DataKeyId,
    /// In the place of a data key of the person's that does not open: another, and the one that goes.
    pub instead: Option<(DataKeyRow, DataKeyId)>,
    /// The access token's envelope, for the next version.
    pub access: Vec<u8>,
    /// When the access token dies.
    pub access_expires_at: Timestamp,
    /// The refresh token's envelope, for the next version.
    pub refresh: Option<Vec<u8>>,
    /// Now.
    pub now: Timestamp,
}

/// How saving a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// Saved.
    Done,
    /// Somebody else changed the same account meanwhile: read again.
    Conflict,
    /// The app has no seat left for a new listener.
    NoSeat,
    /// The person has as many seats of the app as one person takes.
    HasEnough,
    /// The person has as many accounts as one may have.
    TooMany,
}

impl Store {
    /// The link of a Spotify account. An account that was linked before Spotify told account ids is found by its
    /// user id.
    pub async fn link_of_identity(
        &self,
        accounts_url: &str,
        identity: &str,
        spotify_user_id: &str,
    ) -> Result<Option<Link>, Failure> {
        let sql = format!(
            "{SELECT} WHERE accounts_url = $1 AND identity IN ($2, $3) ORDER BY identity = $2 DESC LIMIT 1"
        );
        let row: Option<LinkRow> = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(accounts_url).bind(identity).bind(format!("id:{spotify_user_id}"))
            .fetch_optional(pool).await)?;
        row.map(LinkRow::parse).transpose()
    }

    /// A linked account, whosever it is.
    pub async fn link(&self, id: &LinkId) -> Result<Option<Link>, Failure> {
        let sql = format!("{SELECT} WHERE id = $1");
        let row: Option<LinkRow> = reading!(self, pool =>
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.as_str()).fetch_optional(pool).await)?;
        row.map(LinkRow::parse).transpose()
    }

    /// A person's linked accounts, the primary one first.
    pub async fn links(&self, user: &UserId) -> Result<Vec<Link>, Failure> {
        let sql = format!(
            "{SELECT} WHERE user_id = $1 ORDER BY primary_since IS NULL, created_at, alias, id LIMIT 100"
        );
        let rows: Vec<LinkRow> = reading!(self, pool =>
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(user.as_str()).fetch_all(pool).await)?;
        rows.into_iter().map(LinkRow::parse).collect()
    }

    /// Saves a completed login: the person and their key where new, the account and its tokens.
    pub async fn save_link(&self, save: &SaveLink, events: &[Recorded]) -> Result<Saved, Failure> {
        let result = match &save.link {
            Ok((id, version)) => self.update_link(save, id, *version, events).await,
            Err(new) => self.insert_link(save, new, events).await,
        };
        match result {
            // Two logins of one new account raced: the loser reads again and finds the winner's.
            Err(failure) if is_unique_violation(&failure) => Ok(Saved::Conflict),
            other => other,
        }
    }

    async fn insert_link(
        &self,
        save: &SaveLink,
        new: &NewLink,
        events: &[Recorded],
    ) -> Result<Saved, Failure> {
        let user = "INSERT INTO users (id, display_name, created_at, last_seen_at, payer)
            VALUES ($1, $2, $3, $3, $4)";
        let link =
            "INSERT INTO linked_accounts (id, user_id, app_id, accounts_url, identity, spotify_user_id,
                display_name, alias, primary_since, scope, authorized_at, data_key_id, token_version,
                access_token, access_expires_at, refresh_token, created_at, sealed_client_id, own_client_secret,
                own_app_since, opens_since)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
                (SELECT $10 WHERE NOT EXISTS
                    (SELECT 1 FROM linked_accounts WHERE user_id = $2 AND primary_since IS NOT NULL)),
                $9, $10, $11, 1, $12, $13, $14, $18, $15, $16, $17, $19)";
        let (now, own) = (save.now.secs(), BroughtApp::columns(save.own.as_ref()));
        let mut linked_at = now;
        let saved = transaction!(self, tx => {
            if new.new_user {
                sqlx::query(user)
                    .bind(new.user.as_str()).bind(&save.display_name).bind(now).bind(&save.payer)
                    .execute(&mut *tx).await?;
            } else if !lock_person!(tx, new.user) {
                return Ok(Saved::Conflict);
            } else {
                // Here and not before: several logins of one person may come back at once.
                let (has, last): (i64, Option<i64>) =
                    sqlx::query_as("SELECT COUNT(*), MAX(created_at) FROM linked_accounts WHERE user_id = $1")
                        .bind(new.user.as_str()).fetch_one(&mut *tx).await?;
                if has >= MOST_ACCOUNTS as i64 {
                    return Ok(Saved::TooMany);
                }
                // Which was linked before which is never in doubt: no clock that stood still or went back tells it.
                linked_at = last.map_or(now, |last| now.max(last + 1));
                sqlx::query(if new.opens { PERSON_COMES } else { KNOWN_PERSON })
                    .bind(new.user.as_str()).bind(&save.display_name).bind(now)
                    .execute(&mut *tx).await?;
            }
            let app = match place!(tx, save, new.id, Some(new.user.as_str()), now) {
                Ok(app) => app,
                Err(why) => return Ok(why),
            };
            if let Some(row) = &new.new_data_key {
                add_data_key!(tx, row, now);
            }
            sqlx::query(link)
                .bind(new.id.as_str()).bind(new.user.as_str()).bind(&app).bind(&save.accounts_url)
                .bind(&save.identity).bind(&save.spotify_user_id).bind(&save.display_name).bind(&new.alias)
                .bind(&save.scope).bind(now).bind(save.data_key.as_str())
                .bind(&save.access[..]).bind(save.access_expires_at.secs()).bind(save.refresh.as_deref())
                .bind(own.0).bind(own.1).bind(own.2).bind(linked_at).bind(new.opens.then_some(linked_at))
                .execute(&mut *tx).await?;
            if !data_key_is_active!(tx, save.data_key) {
                return Ok(Saved::Conflict);
            }
            count_seals!(tx, save.data_key, seals(save));
            accounts_changed!(tx, "$1", new.user);
            // After that lock, which whoever puts another master key in use takes first.
            if let Some(row) = &new.new_data_key && !wrapped_in_time!(tx, &row.master_key_id) {
                return Ok(Saved::Conflict);
            }
            record!(tx, events);
            Saved::Done
        });
        Ok(saved)
    }

    async fn update_link(
        &self,
        save: &SaveLink,
        id: &LinkId,
        version: i64,
        events: &[Recorded],
    ) -> Result<Saved, Failure> {
        let sql =
            "UPDATE linked_accounts SET app_id = $3, identity = $4, spotify_user_id = $5, display_name = $6,
                scope = $7, authorized_at = $8, data_key_id = $9, token_version = token_version + 1,
                access_token = $10, access_expires_at = $11, refresh_token = $12,
                own_client_id = NULL, sealed_client_id = $13, own_client_secret = $14, own_app_since = $15,
                lease_holder = NULL, lease_until = NULL, reconnect_since = NULL, reconnect_reason = NULL, unlisted_since = NULL
            WHERE id = $1 AND token_version = $2";
        let seen = "UPDATE users SET last_seen_at = $3, display_name = CASE WHEN
                EXISTS (SELECT 1 FROM linked_accounts WHERE id = $1 AND primary_since IS NOT NULL)
                THEN $4 ELSE display_name END
            WHERE id = (SELECT user_id FROM linked_accounts WHERE id = $1 AND token_version = $2)";
        let (now, own) = (save.now.secs(), BroughtApp::columns(save.own.as_ref()));
        let saved = transaction!(self, tx => {
            let person = sqlx::query(seen)
                .bind(id.as_str()).bind(version).bind(now).bind(&save.display_name)
                .execute(&mut *tx).await?;
            if person.rows_affected() == 0 {
                return Ok(Saved::Conflict);
            }
            let app = match place!(tx, save, id, None, now) {
                Ok(app) => app,
                Err(why) => return Ok(why),
            };
            if let Some((row, unopened)) = &save.instead {
                let retired = sqlx::query(
                    "UPDATE data_keys SET state = 'retired', retired_at = $2 WHERE id = $1 AND state = 'active'",
                );
                if retired.bind(unopened.as_str()).bind(now).execute(&mut *tx).await?.rows_affected() == 0 {
                    return Ok(Saved::Conflict);
                }
                add_data_key!(tx, row, now);
            }
            let updated = sqlx::query(sql)
                .bind(id.as_str()).bind(version).bind(&app).bind(&save.identity)
                .bind(&save.spotify_user_id).bind(&save.display_name).bind(&save.scope).bind(now)
                .bind(save.data_key.as_str()).bind(&save.access[..]).bind(save.access_expires_at.secs())
                .bind(save.refresh.as_deref())
                .bind(own.0).bind(own.1).bind(own.2)
                .execute(&mut *tx).await?;
            if updated.rows_affected() == 0 || !data_key_is_active!(tx, save.data_key) {
                return Ok(Saved::Conflict);
            }
            count_seals!(tx, save.data_key, seals(save));
            accounts_changed!(tx, "(SELECT user_id FROM linked_accounts WHERE id = $1)", id);
            if let Some((row, _)) = &save.instead && !wrapped_in_time!(tx, &row.master_key_id) {
                return Ok(Saved::Conflict);
            }
            record!(tx, events);
            Saved::Done
        });
        Ok(saved)
    }
}

/// A person who links an account is called as their primary one is; the first is that.
const KNOWN_PERSON: &str = "UPDATE users SET last_seen_at = $3, display_name = CASE WHEN
        EXISTS (SELECT 1 FROM linked_accounts WHERE user_id = $1) THEN display_name ELSE $2 END
    WHERE id = $1";

/// The same of one who logs in with it from now on: no account that they had before comes back as this person.
const PERSON_COMES: &str =
    "UPDATE users SET former_identity = NULL, last_seen_at = $3, display_name = CASE WHEN
        EXISTS (SELECT 1 FROM linked_accounts WHERE user_id = $1) THEN display_name ELSE $2 END
    WHERE id = $1";

/// How many envelopes a login brings.
fn seals(save: &SaveLink) -> i64 {
    let own = save.own.as_ref().map_or(0, |own| 1 + i64::from(own.client_secret.is_some()));
    1 + i64::from(save.refresh.is_some()) + own
}

macro_rules! add_data_key {
    ($tx:ident, $row:expr, $now:expr) => {
        sqlx::query(
            "INSERT INTO data_keys (id, user_id, master_key_id, wrapped, state, created_at, seal_count)
            VALUES ($1, $2, $3, $4, 'active', $5, 0)",
        )
        .bind($row.id.as_str())
        .bind($row.user.as_str())
        .bind(&$row.master_key_id)
        .bind(&$row.wrapped[..])
        .bind($now)
        .execute(&mut *$tx)
        .await?
    };
}
use add_data_key;

/// Whether the master key that wrapped a new data key is still the one in use; counts it in there.
macro_rules! wrapped_in_time {
    ($tx:ident, $master:expr) => {{
        sqlx::query("UPDATE master_keys SET seal_count = seal_count + 1 WHERE id = $1")
            .bind($master)
            .execute(&mut *$tx)
            .await?;
        let other: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM master_keys WHERE id = $1 AND state <> 'active'")
                .bind($master)
                .fetch_one(&mut *$tx)
                .await?;
        other == 0
    }};
}
use wrapped_in_time;

const SELECT: &str = "SELECT id, user_id, app_id,
    CASE WHEN own_app_since IS NOT NULL THEN (SELECT client_id FROM spotify_apps a WHERE a.id = app_id) END AS own_app,
    identity, spotify_user_id, display_name, alias, primary_since, scope,
    opens_since IS NOT NULL AS opens, authorized_at, reconnect_since, reconnect_reason, unlisted_since, token_version FROM linked_accounts";

#[derive(sqlx::FromRow)]
struct LinkRow {
    id: String,
    user_id: String,
    app_id: String,
    own_app: Option<String>,
    identity: String,
    spotify_user_id: String,
    display_name: String,
    alias: String,
    primary_since: Option<i64>,
    opens: bool,
    scope: String,
    authorized_at: i64,
    reconnect_since: Option<i64>,
    reconnect_reason: Option<String>,
    unlisted_since: Option<i64>,
    token_version: i64,
}

impl LinkRow {
    fn parse(self) -> Result<Link, Failure> {
        Ok(Link {
            id: self.id.parse().map_err(corrupt)?,
            user: self.user_id.parse().map_err(corrupt)?,
            app: self.app_id.parse().map_err(corrupt)?,
            own_app: self.own_app.as_deref().map(shortened),
            identity: self.identity,
            spotify_user_id: self.spotify_user_id,
            display_name: self.display_name,
            alias: self.alias,
            primary: self.primary_since.is_some(),
            opens: self.opens,
            scope: self.scope,
            authorized_at: Timestamp::from_secs(self.authorized_at),
            reconnect: self
                .reconnect_since
                .map(|since| (Timestamp::from_secs(since), self.reconnect_reason.unwrap_or_default())),
            unlisted: self.unlisted_since.map(Timestamp::from_secs),
            token_version: self.token_version,
        })
    }
}
