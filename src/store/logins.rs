//! Logins in progress at Spotify: single use, five minutes, bound to one browser. A flood of them pushes out its own
//! network's, never refuses anybody else's.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::ids::LinkPageId;
use crate::domain::{AppId, ClientId, Neighbourhood, UserId};
use crate::failure::Failure;

use super::{Store, circles, corrupt, district, transaction, writing};

/// A login that begins.
#[derive(Clone, Debug)]
pub struct NewLogin {
    /// Hash of the state that Spotify will return.
    pub state: TokenHash,
    /// Hash of the browser's cookie for this login.
    pub browser: TokenHash,
    /// `client`, `browser`, `page` or `link`.
    pub purpose: &'static str,
    /// The Spotify app that it goes through.
    pub app: AppId,
    /// The sealed PKCE verifier.
    pub verifier: Vec<u8>,
    /// The waiting client's authorization request, as JSON.
    pub request: Option<String>,
    /// The client that waits.
    pub client: Option<ClientId>,
    /// Who was logged in here when it began.
    pub user: Option<UserId>,
    /// The one-time page that it leads back to.
    pub page: Option<LinkPageId>,
    /// What the account that it links is to be called.
    pub alias: Option<String>,
    /// The Spotify apps that it went through before this one.
    pub tried: Vec<AppId>,
    /// The Spotify scopes asked for.
    pub spotify_scope: String,
    /// When it began.
    pub now: Timestamp,
    /// When it dies.
    pub expires_at: Timestamp,
    /// Where the browser is.
    pub from: Neighbourhood,
    /// How many may be in progress in all, and a share of it from one district and one region; `None`: any number.
    pub most: Option<u32>,
}

/// A login that Spotify has answered, taken once.
#[derive(Clone, Debug)]
pub struct Login {
    /// `client`, `browser`, `page` or `link`.
    pub purpose: String,
    /// The Spotify app that it went through.
    pub app: AppId,
    /// The sealed PKCE verifier.
    pub verifier: Vec<u8>,
    /// The waiting client's authorization request, as JSON.
    pub request: Option<String>,
    /// Who was logged in here when it began.
    pub user: Option<UserId>,
    /// The one-time page that it leads back to.
    pub page: Option<LinkPageId>,
    /// What the account that it links is to be called.
    pub alias: Option<String>,
    /// The Spotify apps that it went through before this one.
    pub tried: Vec<AppId>,
    /// The Spotify scopes asked for.
    pub spotify_scope: String,
}

macro_rules! insert {
    ($values:literal) => {
        concat!(
            "INSERT INTO logins (state_hash, browser_hash, purpose, app_id, verifier, request, user_id, spotify_scope,
            created_at, expires_at, district, epoch, client_id, link_page, alias, tried) ",
            $values
        )
    };
}

/// The logins that somebody may still come back with.
macro_rules! in_progress {
    ($select:literal, $now:literal, $and:literal) => {
        concat!($select, " FROM logins WHERE used_at IS NULL AND expires_at > ", $now, $and)
    };
}

const IF_ROOM: &str = concat!(
    insert!(
        "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, (SELECT epoch FROM revocation WHERE id = 1), $12, $13, $14, $15 WHERE "
    ),
    in_progress!("(SELECT COUNT(*)", "$9", " AND district = $11) < $16"),
    in_progress!(" AND (SELECT COUNT(*)", "$9", " AND district BETWEEN $17 AND $18) < $19"),
    in_progress!(" AND (SELECT COUNT(*)", "$9", ") < $20")
);
const AT_ONCE: &str = insert!(
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, (SELECT epoch FROM revocation WHERE id = 1), $12, $13, $14, $15)"
);

/// The one row that logins without room lock; SQLite's writers are one after the other anyway.
const IN_ORDER: &str = "UPDATE login_order SET last_at = $1 WHERE id = 1";
const AROUND: &str = in_progress!("SELECT COUNT(*)", "$1", " AND district BETWEEN $2 AND $3");

/// Each district's logins numbered from its newest: the highest numbers are the oldest of those that have the most.
/// The district that asks for room counts the one that comes.
const FURTHEST_BEYOND: &str = in_progress!(
    "DELETE FROM logins WHERE used_at IS NULL AND state_hash IN (SELECT state_hash FROM (SELECT state_hash, expires_at,
        ROW_NUMBER() OVER (PARTITION BY district ORDER BY expires_at DESC, state_hash DESC)
        + CASE WHEN district = $1 THEN 1 ELSE 0 END AS place",
    "$2",
    " AND district BETWEEN $3 AND $4) AS placed ORDER BY place DESC, expires_at, state_hash LIMIT $5)"
);

/// A statement that inserts, with the login's columns.
macro_rules! bound {
    ($sql:expr, $login:expr) => {
        sqlx::query($sql)
            .bind(&$login.state.as_bytes()[..])
            .bind(&$login.browser.as_bytes()[..])
            .bind($login.purpose)
            .bind($login.app.as_str())
            .bind(&$login.verifier[..])
            .bind($login.request.as_deref())
            .bind($login.user.as_ref().map(UserId::as_str))
            .bind(&$login.spotify_scope)
            .bind($login.now.secs())
            .bind($login.expires_at.secs())
            .bind(district($login.from))
            .bind($login.client.as_ref().map(ClientId::as_str))
            .bind($login.page.as_ref().map(LinkPageId::as_str))
            .bind($login.alias.as_deref())
            .bind(written(&$login.tried))
    };
}

impl Store {
    /// Keeps a login that begins. It is never refused: where its district (IPv4 /24, IPv6 /48) has its share, the
    /// oldest of that district go for it; where its region (/16, /32) has its share or the total is reached, those that
    /// are furthest beyond what other districts there have. Those that begin at the same instant on PostgreSQL do not
    /// see each other: they may be a few more, until the next one that finds no room.
    pub async fn begin_login(&self, login: &NewLogin) -> Result<(), Failure> {
        let Some(most) = login.most else {
            writing!(self, pool => bound!(AT_ONCE, login).execute(pool).await.map(drop))?;
            return Ok(());
        };
        let circles = circles(login.from, most);
        let [(.., of_district), (first, last, of_region), (.., in_all)] = circles;
        let kept = writing!(self, pool => bound!(IF_ROOM, login)
            .bind(i64::from(of_district))
            .bind(first).bind(last).bind(i64::from(of_region))
            .bind(i64::from(in_all))
            .execute(pool).await.map(|done| done.rows_affected()))?;
        if kept == 0 { self.make_room_for(login, circles).await } else { Ok(()) }
    }

    /// Makes room for more than one at once, so that a flood does it seldom.
    async fn make_room_for(&self, login: &NewLogin, circles: [(i64, i64, u32); 3]) -> Result<(), Failure> {
        let (from, now) = (district(login.from), login.now.secs());
        transaction!(self, tx => {
            sqlx::query(IN_ORDER).bind(now).execute(&mut *tx).await?;
            for (first, last, share) in circles {
                let share = i64::from(share);
                let count: i64 = sqlx::query_scalar(AROUND).bind(now).bind(first).bind(last)
                    .fetch_one(&mut *tx).await?;
                if count >= share {
                    // Of everybody, fewer: they are others' too.
                    let more = if first == i64::MIN { share / 100 } else { share / 20 };
                    sqlx::query(FURTHEST_BEYOND).bind(from).bind(now).bind(first).bind(last)
                        .bind(count + 1 - share + more)
                        .execute(&mut *tx).await?;
                }
            }
            bound!(AT_ONCE, login).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Takes a login, once, for the browser that began it.
    pub async fn take_login(
        &self,
        state: TokenHash,
        browser: TokenHash,
        now: Timestamp,
    ) -> Result<Option<Login>, Failure> {
        let sql = "UPDATE logins SET used_at = $3
            WHERE state_hash = $1 AND browser_hash = $2 AND used_at IS NULL AND expires_at > $3
            RETURNING purpose, app_id, verifier, request, user_id, spotify_scope, link_page, alias, tried";
        let row: Option<Row> = writing!(self, pool =>
            sqlx::query_as(sql)
                .bind(&state.as_bytes()[..])
                .bind(&browser.as_bytes()[..])
                .bind(now.secs())
                .fetch_optional(pool).await)?;
        row.map(|(purpose, app, verifier, request, user, spotify_scope, page, alias, tried)| {
            let tried = tried.unwrap_or_default();
            Ok(Login {
                purpose,
                app: app.parse().map_err(corrupt)?,
                verifier,
                request,
                user: user.map(|id| id.parse().map_err(corrupt)).transpose()?,
                page: page.map(|id| id.parse().map_err(corrupt)).transpose()?,
                alias,
                tried: tried
                    .split_whitespace()
                    .map(|id| id.parse().map_err(corrupt))
                    .collect::<Result<_, _>>()?,
                spotify_scope,
            })
        })
        .transpose()
    }
}

impl Store {
    /// Removes a login that was taken and that nothing comes from any more: what is sealed in it goes too.
    pub async fn drop_login(&self, state: TokenHash) -> Result<(), Failure> {
        let sql = "DELETE FROM logins WHERE state_hash = $1 AND used_at IS NOT NULL";
        writing!(self, pool => sqlx::query(sql).bind(&state.as_bytes()[..]).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// `None` for none.
fn written(apps: &[AppId]) -> Option<String> {
    let ids: Vec<_> = apps.iter().map(AppId::as_str).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

/// Purpose, app, verifier, request, user, Spotify scope, page, alias, tried apps.
type Row = (
    String,
    String,
    Vec<u8>,
    Option<String>,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// The login that a session or a code comes from.
#[derive(Clone, Copy, Debug)]
pub struct FromLogin {
    /// Hash of its state.
    pub state: TokenHash,
    /// Whether nothing else comes from it.
    pub last: bool,
}

/// Whether a login was ended neither by itself nor with everything of the person that began before. Asked after the
/// person's row is locked, and before what comes from the login is stored: whoever ends logins waits for this one.
macro_rules! login_stands {
    ($tx:ident, $login:expr, $user:expr) => {
        match $login {
            None => true,
            Some(login) => {
                let sql =
                    if login.last { $crate::store::logins::COMPLETED } else { $crate::store::logins::HELD };
                sqlx::query(sql)
                    .bind(&login.state.as_bytes()[..])
                    .bind($user.as_str())
                    .execute(&mut *$tx)
                    .await?
                    .rows_affected()
                    == 1
            }
        }
    };
}

macro_rules! standing {
    ($change:literal) => {
        concat!(
            $change,
            " WHERE state_hash = $1 AND used_at IS NOT NULL
            AND epoch >= (SELECT COALESCE(logins_void_before, 0) FROM users WHERE id = $2)"
        )
    };
}
pub(super) const COMPLETED: &str = standing!("DELETE FROM logins");
pub(super) const HELD: &str = standing!("UPDATE logins SET used_at = used_at");

pub(super) use login_stands;
