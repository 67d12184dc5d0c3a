//! Changes that tools made, sealed, as long as they may be undone: written before the change, completed after it.
//!
//! Never found by anybody but their person: every statement names the user too.

use crate::ambient::Timestamp;
use crate::domain::change::{Kept, too_many};
use crate::domain::{ChangeId, DataKeyId, LinkId, UserId};
use crate::failure::Failure;

use super::{
    Pool, Store, corrupt, count_seals, data_key_is_active, lock_person, reading, transaction, writing,
};

/// A change that is about to be made.
#[derive(Clone, Debug)]
pub struct NewChange {
    /// Its id.
    pub id: ChangeId,
    /// Whose.
    pub user: UserId,
    /// With which account.
    pub link: LinkId,
    /// By which tool.
    pub tool: &'static str,
    /// The data key that seals the content key.
    pub data_key: DataKeyId,
    /// The content key's envelope.
    pub content_key: Vec<u8>,
    /// The summary's envelope, for version 1.
    pub summary: Vec<u8>,
    /// The pre-image's envelope.
    pub pre_image: Vec<u8>,
    /// Now.
    pub now: Timestamp,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

/// How writing a change down ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is there; where there were too many of the person, so many others went that could still be undone.
    Done(usize),
    /// The data key has been replaced: seal again.
    KeyReplaced,
    /// The person or the account is gone.
    Nobody,
}

/// A change as it is stored; the pre-image only where it was asked for.
#[derive(Clone, Debug)]
pub struct ChangeRow {
    /// Its id.
    pub id: ChangeId,
    /// Whose.
    pub user: UserId,
    /// With which account.
    pub link: LinkId,
    /// By which tool.
    pub tool: String,
    /// The data key that seals the content key.
    pub data_key: DataKeyId,
    /// The content key's envelope.
    pub content_key: Vec<u8>,
    /// For which version the summary is sealed.
    pub version: i64,
    /// The summary's envelope.
    pub summary: Vec<u8>,
    /// The pre-image's envelope; empty in lists.
    pub pre_image: Vec<u8>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it is forgotten.
    pub expires_at: Timestamp,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
    /// Until when somebody is undoing it; in the past where that was not brought to an end.
    pub undoing_until: Option<Timestamp>,
}

/// The sealed key of a change, as rotations deal with it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SealedChange {
    /// The change.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// With which account.
    pub link_id: String,
    /// The data key that it is sealed under.
    pub data_key_id: String,
    /// The envelope.
    pub content_key: Vec<u8>,
}

const COLUMNS: &str = "id, user_id, link_id, tool, data_key_id, content_key, version, summary, created_at,
    expires_at, undone_at, undoing_until";

impl Store {
    /// Writes a change down. Of too many of one person, or too large ones, some go ([`too_many`]).
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn begin_change(&self, change: &NewChange) -> Result<Begun, Failure> {
        let held = "SELECT COUNT(*) FROM linked_accounts WHERE id = $1 AND user_id = $2";
        let add =
            "INSERT INTO changes (id, user_id, link_id, tool, data_key_id, content_key, version, summary,
                pre_image, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10)";
        let kept = "SELECT id, tool, undone_at, undoing_until, half_done, version,
                CAST(length(pre_image) + length(summary) AS BIGINT) AS bytes
            FROM changes WHERE user_id = $1 ORDER BY created_at DESC, id DESC";
        let begun = transaction!(self, tx => {
            if !lock_person!(tx, change.user) {
                return Ok(Begun::Nobody);
            }
            let held: i64 = sqlx::query_scalar(held)
                .bind(change.link.as_str()).bind(change.user.as_str())
                .fetch_one(&mut *tx).await?;
            if held == 0 {
                return Ok(Begun::Nobody);
            }
            if !data_key_is_active!(tx, change.data_key) {
                return Ok(Begun::KeyReplaced);
            }
            sqlx::query(add)
                .bind(change.id.as_str()).bind(change.user.as_str()).bind(change.link.as_str()).bind(change.tool)
                .bind(change.data_key.as_str()).bind(&change.content_key[..]).bind(&change.summary[..])
                .bind(&change.pre_image[..]).bind(change.now.millis()).bind(change.expires_at.secs())
                .execute(&mut *tx).await?;
            count_seals!(tx, change.data_key, 1);
            let rows: Vec<KeptRow> = sqlx::query_as(kept)
                .bind(change.user.as_str())
                .fetch_all(&mut *tx).await?;
            let (ids, kept): (Vec<_>, Vec<_>) = rows.into_iter().map(KeptRow::parse).unzip();
            let gone = too_many(&kept);
            for at in &gone {
                sqlx::query("DELETE FROM changes WHERE id = $1").bind(&ids[*at]).execute(&mut *tx).await?;
            }
            Begun::Done(gone.iter().filter(|at| !kept[**at].is_undone).count())
        });
        Ok(begun)
    }

    /// Completes a change with what became of it: another summary, for the next version, and whether all of it was done.
    /// `false` where it is gone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn finish_change(
        &self,
        (id, user): (&ChangeId, &UserId),
        (version, summary): (i64, &[u8]),
        is_whole: bool,
    ) -> Result<bool, Failure> {
        let sql = "UPDATE changes SET summary = $4, version = version + 1, half_done = $5
            WHERE id = $1 AND user_id = $2 AND version = $3";
        let done = writing!(self, pool => sqlx::query(sql)
            .bind(id.as_str()).bind(user.as_str()).bind(version).bind(summary).bind(i64::from(!is_whole))
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(done == 1)
    }

    /// Forgets a change of which nothing was done.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_change(&self, (id, user): (&ChangeId, &UserId)) -> Result<(), Failure> {
        writing!(self, pool => sqlx::query("DELETE FROM changes WHERE id = $1 AND user_id = $2")
            .bind(id.as_str()).bind(user.as_str())
            .execute(pool).await.map(drop))?;
        Ok(())
    }

    /// A person's changes that have not expired, the newest first, of one account where one is named; without
    /// pre-images. With how many there are in all.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn changes(
        &self,
        (user, link): (&UserId, Option<&LinkId>),
        (offset, limit): (u32, u32),
        now: Timestamp,
    ) -> Result<(Vec<ChangeRow>, i64), Failure> {
        let of = "FROM changes WHERE user_id = $1 AND ($2 = '' OR link_id = $2) AND expires_at > $3";
        let sql = format!("SELECT {COLUMNS} {of} ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5");
        let count = format!("SELECT COUNT(*) {of}");
        let link = link.map_or("", LinkId::as_str);
        let rows: Vec<Row> = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str()).bind(link).bind(now.secs())
            .bind(i64::from(limit)).bind(i64::from(offset))
            .fetch_all(pool).await)?;
        let count: i64 = reading!(self, pool => sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .bind(user.as_str()).bind(link).bind(now.secs())
            .fetch_one(pool).await)?;
        let rows: Result<_, _> = rows.into_iter().map(|row| row.parse(Vec::new())).collect();
        Ok((rows?, count))
    }

    /// One change of a person with its pre-image; `None` where it is unknown, somebody else's or expired.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn change(
        &self,
        (id, user): (&ChangeId, &UserId),
        now: Timestamp,
    ) -> Result<Option<ChangeRow>, Failure> {
        let sql = format!(
            "SELECT {COLUMNS}, pre_image FROM changes WHERE id = $1 AND user_id = $2 AND expires_at > $3"
        );
        let row: Option<WholeRow> = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id.as_str()).bind(user.as_str()).bind(now.secs())
            .fetch_optional(pool).await)?;
        row.map(|row| row.row.parse(row.pre_image)).transpose()
    }

    /// The time on which all servers of one database agree: the database's own. A file is of one machine, whose time is
    /// ours.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn time(&self, ours: Timestamp) -> Result<Timestamp, Failure> {
        let Pool::Postgres(pool) = &self.pool else { return Ok(ours) };
        let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        let millis: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
        Ok(Timestamp::from_millis(millis))
    }

    /// Takes the right to undo a change from `now` until then; `false` where somebody else has it, or it was undone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim_undo(
        &self,
        (id, user): (&ChangeId, &UserId),
        (now, until): (Timestamp, Timestamp),
    ) -> Result<bool, Failure> {
        let sql = "UPDATE changes SET undoing_until = $4 WHERE id = $1 AND user_id = $2 AND undone_at IS NULL
            AND (undoing_until IS NULL OR undoing_until <= $3)";
        let taken = writing!(self, pool => sqlx::query(sql)
            .bind(id.as_str()).bind(user.as_str()).bind(now.secs()).bind(until.secs())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(taken == 1)
    }

    /// Gives the right to undo a change back: it was undone at some time, or not; then `tried` says until when somebody
    /// tried, where anything came of it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn release_undo(
        &self,
        (id, user): (&ChangeId, &UserId),
        (undone, tried): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<(), Failure> {
        let sql = "UPDATE changes SET undone_at = $3, undoing_until = $4
            WHERE id = $1 AND user_id = $2 AND undone_at IS NULL";
        writing!(self, pool => sqlx::query(sql)
            .bind(id.as_str()).bind(user.as_str())
            .bind(undone.map(Timestamp::secs)).bind(tried.map(Timestamp::secs))
            .execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// As much of a change as says whether it goes for another one.
#[derive(sqlx::FromRow)]
struct KeptRow {
    id: String,
    tool: String,
    undone_at: Option<i64>,
    undoing_until: Option<i64>,
    half_done: i64,
    version: i64,
    bytes: i64,
}

impl KeptRow {
    fn parse(self) -> (String, Kept) {
        let kept = Kept {
            tool: self.tool,
            is_undone: self.undone_at.is_some(),
            is_being_undone: self.undone_at.is_none() && self.undoing_until.is_some(),
            // Of the first version's end nothing was written down.
            is_half_done: self.half_done != 0 || self.version == 1,
            bytes: self.bytes,
        };
        (self.id, kept)
    }
}

#[derive(sqlx::FromRow)]
struct WholeRow {
    #[sqlx(flatten)]
    row: Row,
    pre_image: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    link_id: String,
    tool: String,
    data_key_id: String,
    content_key: Vec<u8>,
    version: i64,
    summary: Vec<u8>,
    created_at: i64,
    expires_at: i64,
    undone_at: Option<i64>,
    undoing_until: Option<i64>,
}

impl Row {
    fn parse(self, pre_image: Vec<u8>) -> Result<ChangeRow, Failure> {
        Ok(ChangeRow {
            id: self.id.parse().map_err(corrupt)?,
            user: self.user_id.parse().map_err(corrupt)?,
            link: self.link_id.parse().map_err(corrupt)?,
            tool: self.tool,
            data_key: self.data_key_id.parse().map_err(corrupt)?,
            content_key: self.content_key,
            version: self.version,
            summary: self.summary,
            pre_image,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_secs(self.expires_at),
            undone_at: self.undone_at.map(Timestamp::from_secs),
            undoing_until: self.undoing_until.map(Timestamp::from_secs),
        })
    }
}
