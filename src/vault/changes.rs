//! The journal of changes: what tools changed is sealed before it is changed, opened to be listed and undone, gone when
//! it expires or its account is unlinked. Plans of destructive changes wait here too.
//!
//! Each change has a key of its own, sealed under the person's data key for user, account and change; summary and
//! pre-image are sealed under that key. Never opens a change for anybody but its person.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::ambient::{Dice, Timestamp};
use crate::crypto::Key;
use crate::crypto::envelope::{self, OpenError, Place};
use crate::crypto::keys::SealingKey;
use crate::domain::change::{PreImage, Summary};
use crate::domain::event::{Event, EventCode};
use crate::domain::{ChangeId, LinkId, PlanId, UserId};
use crate::failure::{During as _, Failure};
use crate::store::{Begun, ChangeRow, NewChange, NewPlan, PlanUse, SealedChange, WholeChange};

use super::Vault;
use super::packing::{packed, unpacked};
use super::turns::Turn;

/// How long a plan can be applied.
pub const PLAN_LIVES: Duration = Duration::from_secs(10 * 60);
/// Data keys that are replaced while a change is sealed: each time it is sealed again.
const ATTEMPTS: u32 = 4;

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    vault: Vault,
    kept: Duration,
}

/// A change that is written down and not yet completed. Without a journal there is none.
pub struct OpenChange {
    id: ChangeId,
    user: UserId,
    link: LinkId,
    key: SealingKey,
    forgotten: usize,
}

impl OpenChange {
    /// Its id.
    pub const fn id(&self) -> &ChangeId {
        &self.id
    }

    /// Whose.
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// How many others that could still be undone were forgotten for it.
    pub const fn forgotten(&self) -> usize {
        self.forgotten
    }
}

/// What came of writing a change down.
pub enum Noting {
    /// It is written down.
    Noted(OpenChange),
    /// Nothing is kept here.
    NotKept,
    /// What there was before is too large to be kept.
    TooLarge,
}

/// A change as its person may see it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// With which account.
    pub link: LinkId,
    /// By which tool.
    pub tool: String,
    /// What it was; `None` where it does not open any more.
    pub summary: Option<Summary>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it is forgotten.
    pub expires_at: Timestamp,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
    /// Whether somebody began to undo it and did not come to the end.
    pub undoing_broken_off: bool,
}

/// How undoing a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undoing {
    /// Once and for all.
    Done,
    /// In the middle, or nobody knows where: it may be undone again.
    BrokenOff,
    /// Nothing was done.
    NotBegun,
}

/// What came of asking for the right to undo a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// One has it.
    Taken,
    /// Somebody else has it, for so long at most.
    Held(Duration),
    /// The change was undone before, or is forgotten.
    Over,
}

/// What a plan is bound to beside its person and account.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    /// The tool.
    pub tool: &'static str,
    /// The playlist and the arguments, in one text that says the same for the same.
    pub asked: &'a str,
    /// The playlist's snapshot.
    pub state: &'a str,
}

impl Vault {
    /// The journal, in which changes stay for so long; zero: nothing is kept.
    pub fn changes(&self, kept: Duration) -> Changes {
        Changes { vault: self.clone(), kept }
    }
}

impl Changes {
    /// Waits for the turn of this person's next change, on all servers; `None` where it does not come in time.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn turn(&self, user: &UserId, until: Instant) -> Result<Option<Turn>, Failure> {
        self.vault.turn(user, until).await
    }

    /// Whether changes are kept at all.
    pub const fn keeps(&self) -> bool {
        !self.kept.is_zero()
    }

    /// Writes down what is about to be changed.
    ///
    /// # Errors
    /// Where it cannot be written: then nothing may be changed.
    pub async fn begin(
        &self,
        (user, link): (&UserId, &LinkId),
        tool: &'static str,
        (summary, pre_image): (&Summary, &PreImage),
    ) -> Result<Noting, Failure> {
        let inner = &self.vault.0;
        if self.kept.is_zero() {
            return Ok(Noting::NotKept);
        }
        let Some(pre_image) = packed(pre_image)? else { return Ok(Noting::TooLarge) };
        for _ in 0..ATTEMPTS {
            let row = inner.store.active_data_key(user).await?;
            let row = row.ok_or_else(|| Failure::new("a person has no data key"))?;
            let data_key = self.vault.data_key(&row.id, user).await?;
            let data_key = data_key.map_err(|_| Failure::new("a person's data key does not open"))?;
            let id = ChangeId::mint(inner.dice.bytes());
            let content = Key::new(inner.dice.bytes());
            let named = SealedChange {
                id: id.as_str().to_owned(),
                user_id: user.as_str().to_owned(),
                link_id: link.as_str().to_owned(),
                data_key_id: row.id.as_str().to_owned(),
                content_key: Vec::new(),
            };
            let content_key = seal_content_key(&data_key, &named, &content, &inner.dice);
            let mut open = OpenChange {
                key: SealingKey::new(id.key_id(), content),
                id,
                user: user.clone(),
                link: link.clone(),
                forgotten: 0,
            };
            let now = inner.clock.now();
            let change = NewChange {
                id: open.id.clone(),
                user: user.clone(),
                link: link.clone(),
                tool,
                data_key: row.id,
                content_key,
                summary: self.seal_summary(&open, 1, summary)?,
                pre_image: envelope::seal(
                    &open.key,
                    &place("pre_image", (&open.user, &bound(&open.link, &open.id)), 0),
                    &pre_image,
                    &inner.dice.bytes(),
                ),
                now,
                expires_at: now.plus(self.kept),
            };
            match inner.store.begin_change(&change).await? {
                Begun::Done(forgotten) => {
                    open.forgotten = forgotten;
                    return Ok(Noting::Noted(open));
                }
                Begun::KeyReplaced => inner.ring.learn().await?,
                Begun::Nobody => return Err(Failure::new("the account of a change is gone")),
            }
        }
        Err(Failure::new("a person's data key kept changing while a change was written down"))
    }

    /// Completes a change with what became of it.
    ///
    /// # Errors
    /// Where the database fails: then the change stays as one that was begun.
    pub async fn finish(&self, open: &OpenChange, summary: &Summary) -> Result<(), Failure> {
        let sealed = self.seal_summary(open, 2, summary)?;
        self.vault
            .0
            .store
            .finish_change((&open.id, &open.user), (1, &sealed), summary.progress.is_whole())
            .await
            .map(drop)
    }

    /// Forgets a change of which nothing was done.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget(&self, open: &OpenChange) -> Result<(), Failure> {
        self.forget_of((&open.id, &open.user)).await
    }

    /// Forgets a change that another one holds as well.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_of(&self, of: (&ChangeId, &UserId)) -> Result<(), Failure> {
        self.vault.0.store.forget_change(of).await
    }

    /// A person's changes, the newest first, with how many there are.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn list(
        &self,
        of: (&UserId, Option<&LinkId>),
        page: (u32, u32),
    ) -> Result<(Vec<Change>, i64), Failure> {
        let (rows, count) = self.vault.0.store.changes(of, page, self.vault.0.clock.now()).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let summary = self.open_summary(row).await?;
            changes.push(shown(row, summary));
        }
        Ok((changes, count))
    }

    /// One change of a person and what there was before; `None` where it is unknown, somebody else's or expired. The
    /// pre-image is missing where it does not open any more, which the trail is told.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn find(
        &self,
        (user, id): (&UserId, &ChangeId),
    ) -> Result<Option<(Change, Option<PreImage>)>, Failure> {
        let inner = &self.vault.0;
        let Some(row) = inner.store.change((id, user), inner.clock.now()).await? else { return Ok(None) };
        let summary = self.open_summary(&row).await?;
        let pre_image = match self.content_key(&row).await? {
            Ok(key) => {
                let bound = bound(&row.link, &row.id);
                let opened =
                    envelope::open(&key, &place("pre_image", (&row.user, &bound), 0), &row.pre_image);
                opened.ok().and_then(|plain| unpacked(&plain))
            }
            Err(_) => None,
        };
        if pre_image.is_none() || summary.is_none() {
            let event = Event::new(EventCode::CryptDecryptFail).link(&row.link).failed().because("change");
            inner.store.record(&[self.vault.event(event)]).await?;
        }
        Ok(Some((shown(&row, summary), pre_image)))
    }

    /// Takes the right to undo a change, for so long at most.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim_undo(&self, of: (&ChangeId, &UserId), at_most: Duration) -> Result<Claim, Failure> {
        let inner = &self.vault.0;
        let now = inner.store.time(inner.clock.now()).await?;
        if inner.store.claim_undo(of, (now, now.plus(at_most))).await? {
            return Ok(Claim::Taken);
        }
        let held = inner.store.change(of, inner.clock.now()).await?;
        let until = held.filter(|change| change.undone_at.is_none()).and_then(|change| change.undoing_until);
        Ok(until.map_or(Claim::Over, |until| Claim::Held(until.since(now))))
    }

    /// Gives that right back.
    ///
    /// # Errors
    /// Where the database fails: then it comes back by itself, in time.
    pub async fn release_undo(&self, of: (&ChangeId, &UserId), undoing: Undoing) -> Result<(), Failure> {
        let now = Some(self.vault.0.store.time(self.vault.0.clock.now()).await?);
        let left = match undoing {
            Undoing::Done => (now, None),
            Undoing::BrokenOff => (None, now),
            Undoing::NotBegun => (None, None),
        };
        self.vault.0.store.release_undo(of, left).await
    }

    /// Keeps a plan for this person and account; it lives for [`PLAN_LIVES`].
    ///
    /// # Errors
    /// Where the database fails, or the account is gone.
    pub async fn plan(&self, of: (&UserId, &LinkId), planned: Planned<'_>) -> Result<PlanId, Failure> {
        let inner = &self.vault.0;
        let id = PlanId::mint(inner.dice.bytes());
        let now = inner.clock.now();
        let kept = inner.store.keep_plan(&planned.row(id.clone(), of, now.plus(PLAN_LIVES)), now).await?;
        if kept { Ok(id) } else { Err(Failure::new("the account of a plan is gone")) }
    }

    /// Uses a plan up.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn apply(
        &self,
        id: &PlanId,
        of: (&UserId, &LinkId),
        planned: Planned<'_>,
    ) -> Result<PlanUse, Failure> {
        let now = self.vault.0.clock.now();
        self.vault.0.store.use_plan(&planned.row(id.clone(), of, now), now).await
    }

    /// What would become of using a plan, which stays as it is.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn look_at(
        &self,
        id: &PlanId,
        of: (&UserId, &LinkId),
        planned: Planned<'_>,
    ) -> Result<PlanUse, Failure> {
        let now = self.vault.0.clock.now();
        self.vault.0.store.look_at_plan(&planned.row(id.clone(), of, now), now).await
    }

    fn seal_summary(&self, open: &OpenChange, version: i64, summary: &Summary) -> Result<Vec<u8>, Failure> {
        let plain = serde_json::to_vec(summary).during("writing a change down")?;
        let bound = bound(&open.link, &open.id);
        let place = place("summary", (&open.user, &bound), version);
        Ok(envelope::seal(&open.key, &place, &plain, &self.vault.0.dice.bytes()))
    }

    async fn open_summary(&self, row: &ChangeRow) -> Result<Option<Summary>, Failure> {
        let Ok(key) = self.content_key(row).await? else { return Ok(None) };
        let bound = bound(&row.link, &row.id);
        let opened = envelope::open(&key, &place("summary", (&row.user, &bound), row.version), &row.summary);
        Ok(opened.ok().and_then(|plain| serde_json::from_slice(&plain).ok()))
    }

    async fn content_key(&self, row: &ChangeRow) -> Result<Result<SealingKey, OpenError>, Failure> {
        let data_key = match self.vault.data_key(&row.data_key, &row.user).await? {
            Ok(key) => key,
            Err(error) => return Ok(Err(error)),
        };
        let sealed = SealedChange {
            id: row.id.as_str().to_owned(),
            user_id: row.user.as_str().to_owned(),
            link_id: row.link.as_str().to_owned(),
            data_key_id: row.data_key.as_str().to_owned(),
            content_key: row.content_key.clone(),
        };
        Ok(open_content_key(&data_key, &sealed).map(|key| SealingKey::new(row.id.key_id(), key)))
    }
}

impl Planned<'_> {
    fn row(&self, id: PlanId, (user, link): (&UserId, &LinkId), expires_at: Timestamp) -> NewPlan {
        NewPlan {
            id,
            user: user.clone(),
            link: link.clone(),
            tool: self.tool,
            asked: Sha256::digest(self.asked).into(),
            state: Sha256::digest(self.state).into(),
            expires_at,
        }
    }
}

fn shown(row: &ChangeRow, summary: Option<Summary>) -> Change {
    Change {
        id: row.id.clone(),
        link: row.link.clone(),
        tool: row.tool.clone(),
        summary,
        created_at: row.created_at,
        expires_at: row.expires_at,
        undone_at: row.undone_at,
        undoing_broken_off: row.undoing_until.is_some(),
    }
}

/// The account and the change: what the row of an envelope is called.
fn bound(link: &LinkId, change: &ChangeId) -> String {
    row_of(link.as_str(), change.as_str())
}

fn row_of(link: &str, change: &str) -> String {
    format!("{link}/{change}")
}

fn place<'a>(column: &'static str, (user, row): (&'a UserId, &'a str), version: i64) -> Place<'a> {
    Place { table: "changes", column, user: user.as_str(), row, version }
}

fn key_place<'a>(change: &'a SealedChange, row: &'a str) -> Place<'a> {
    Place { table: "changes", column: "content_key", user: &change.user_id, row, version: 0 }
}

/// A change's key, sealed under a data key.
pub(super) fn seal_content_key(
    key: &SealingKey,
    change: &SealedChange,
    content: &Key,
    dice: &Dice,
) -> Vec<u8> {
    let row = row_of(&change.link_id, &change.id);
    envelope::seal(key, &key_place(change, &row), content.expose(), &dice.bytes())
}

/// A change's key, opened with a data key.
pub(super) fn open_content_key(key: &SealingKey, change: &SealedChange) -> Result<Key, OpenError> {
    let row = row_of(&change.link_id, &change.id);
    let opened = envelope::open(key, &key_place(change, &row), &change.content_key)?;
    <[u8; 32]>::try_from(opened.as_slice()).map(Key::new).map_err(|_| OpenError::Format)
}

/// Whether everything of a change opens.
pub(super) fn opens(key: &SealingKey, whole: &WholeChange) -> [Result<(), OpenError>; 3] {
    let change = &whole.change;
    let content = match open_content_key(key, change) {
        Ok(content) => content,
        Err(why) => return [Err(why); 3],
    };
    let Ok(id) = change.id.parse::<ChangeId>() else { return [Err(OpenError::Format); 3] };
    let (key, row) = (SealingKey::new(id.key_id(), content), row_of(&change.link_id, &change.id));
    let at = |column, version| Place { table: "changes", column, user: &change.user_id, row: &row, version };
    let summary = envelope::open(&key, &at("summary", whole.version), &whole.summary).map(drop);
    [Ok(()), summary, envelope::open(&key, &at("pre_image", 0), &whole.pre_image).map(drop)]
}
