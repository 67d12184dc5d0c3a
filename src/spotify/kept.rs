//! What is kept of Spotify's answers for a moment, in memory alone: whole playlists, each for one account, under the name
//! of the state that it was read in. What the account changes drops what is kept of it.
//!
//! Bounded in time and bytes, for one account and in all. Never the player's state, and never anything of one account
//! for another: an account is an opaque text that every look-up names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rows::Row;
use crate::ambient::Timestamp;

/// How long.
const LIVES: Duration = Duration::from_secs(60);
/// How long after a change nothing is taken from here or put here: Spotify may still answer as before.
const QUIET: Duration = Duration::from_secs(10);
/// Most bytes of one account,
const MOST_OF_ONE: usize = 4 * 1024 * 1024;
/// and of all.
const MOST: usize = 64 * 1024 * 1024;
/// Most accounts of which anything is known here.
const MOST_ACCOUNTS: usize = 10_000;

/// Everything that is kept.
#[derive(Default)]
pub struct Kept(Mutex<Books>);

/// How an account stood when a reading began: what was read is kept only where it still stands so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    forgotten: u64,
    changes: u64,
}

#[derive(Default)]
struct Books {
    accounts: HashMap<Arc<str>, Account>,
    bytes: usize,
    /// How often everything was forgotten.
    forgotten: u64,
    /// How many changes there were, of all accounts.
    changes: u64,
}

#[derive(Default)]
struct Account {
    /// The number of its last change.
    changed: u64,
    quiet_until: Option<Timestamp>,
    lists: Vec<List>,
}

struct List {
    id: Box<str>,
    snapshot: Box<str>,
    rows: Arc<[Row]>,
    bytes: usize,
    until: Timestamp,
}

impl Kept {
    /// To be taken before a reading begins.
    pub fn mark(&self, account: &str) -> Mark {
        self.lock().mark(account)
    }

    /// The rows of a playlist in this state, as this account has read them.
    pub fn rows(&self, account: &str, (id, snapshot): (&str, &str), now: Timestamp) -> Option<Arc<[Row]>> {
        let books = self.lock();
        let account = books.accounts.get(account).filter(|account| !account.is_quiet(now))?;
        let mut lists = account.lists.iter();
        let found = lists.find(|list| &*list.id == id && &*list.snapshot == snapshot && now < list.until)?;
        Some(found.rows.clone())
    }

    /// Keeps what was read since `mark`.
    pub fn keep(
        &self,
        (account, mark): (&str, Mark),
        (id, snapshot): (&str, &str),
        rows: &[Row],
        now: Timestamp,
    ) {
        let bytes = rows.iter().map(size).sum::<usize>() + id.len() + snapshot.len();
        let list = List {
            id: id.into(),
            snapshot: snapshot.into(),
            rows: rows.into(),
            bytes,
            until: now.plus(LIVES),
        };
        let mut books = self.lock();
        if bytes > MOST_OF_ONE || books.mark(account) != mark {
            return;
        }
        books.sweep(now);
        books.make_room(bytes);
        let known = books.account(account);
        if known.is_quiet(now) {
            return;
        }
        let mut gone: usize = 0;
        known.lists.retain(|list| {
            let stays = &*list.id != id;
            gone += if stays { 0 } else { list.bytes };
            stays
        });
        while known.bytes() + bytes > MOST_OF_ONE {
            gone += known.lists.remove(0).bytes;
        }
        known.lists.push(list);
        books.bytes = (books.bytes + bytes).saturating_sub(gone);
    }

    /// The account changes something, or has: what is kept of it goes.
    pub fn changed(&self, account: &str, now: Timestamp) {
        let mut books = self.lock();
        books.changes += 1;
        let number = books.changes;
        let known = books.account(account);
        known.changed = number;
        known.quiet_until = Some(now.plus(QUIET));
        let gone = known.bytes();
        known.lists.clear();
        books.bytes = books.bytes.saturating_sub(gone);
    }

    /// Forgets everything: something has ended somewhere.
    pub fn forget_all(&self) {
        let mut books = self.lock();
        books.accounts.clear();
        books.bytes = 0;
        books.forgotten += 1;
    }

    /// Forgets what is too old.
    pub fn sweep(&self, now: Timestamp) {
        self.lock().sweep(now);
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn mark(&self, account: &str) -> Mark {
        let changes = self.accounts.get(account).map_or(0, |account| account.changed);
        Mark { forgotten: self.forgotten, changes }
    }

    fn account(&mut self, name: &str) -> &mut Account {
        if self.accounts.len() >= MOST_ACCOUNTS && !self.accounts.contains_key(name) {
            self.accounts.clear();
            self.bytes = 0;
            self.forgotten += 1;
        }
        self.accounts.entry(name.into()).or_default()
    }

    fn make_room(&mut self, bytes: usize) {
        if self.bytes + bytes > MOST {
            self.accounts.values_mut().for_each(|account| account.lists.clear());
            self.bytes = 0;
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        for account in self.accounts.values_mut() {
            account.lists.retain(|list| now < list.until);
        }
        self.accounts.retain(|_, account| !account.lists.is_empty() || account.is_quiet(now));
        self.bytes = self.accounts.values().map(Account::bytes).sum();
    }
}

impl Account {
    fn is_quiet(&self, now: Timestamp) -> bool {
        self.quiet_until.is_some_and(|until| now < until)
    }

    fn bytes(&self) -> usize {
        self.lists.iter().map(|list| list.bytes).sum()
    }
}

fn size(row: &Row) -> usize {
    size_of::<Row>()
        + row.uri.len()
        + row.name.len()
        + row.artists.len()
        + row.isrc.as_ref().map_or(0, |isrc| isrc.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);

    fn rows(number: usize) -> Vec<Row> {
        let row = |n| Row {
            uri: format!("spotify:track:{n:022}"),
            name: "n".into(),
            artists: "a".into(),
            isrc: None,
            added_at: None,
        };
        (0..number).map(row).collect()
    }

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn keep(kept: &Kept, account: &str, id: &str, number: usize, now: Timestamp) {
        kept.keep((account, kept.mark(account)), (id, "s"), &rows(number), now);
    }

    fn has(kept: &Kept, account: &str, id: &str, now: Timestamp) -> bool {
        kept.rows(account, (id, "s"), now).is_some()
    }

    #[test]
    fn one_accounts_state_is_kept_for_that_account_and_state_and_for_a_minute() {
        let kept = Kept::default();
        keep(&kept, "ada", "p", 3, NOW);
        assert_eq!(kept.rows("ada", ("p", "s"), NOW).unwrap().to_vec(), rows(3));
        assert!(!has(&kept, "ben", "p", NOW) && !has(&kept, "ada", "q", NOW));
        assert!(kept.rows("ada", ("p", "s2"), NOW).is_none());
        assert!(has(&kept, "ada", "p", later(59)) && !has(&kept, "ada", "p", later(60)));
        kept.sweep(later(60));
        let books = kept.lock();
        assert_eq!((books.accounts.len(), books.bytes), (0, 0));
    }

    #[test]
    fn a_change_drops_what_is_kept_and_what_was_being_read() {
        let kept = Kept::default();
        keep(&kept, "ada", "p", 3, NOW);
        keep(&kept, "ben", "p", 3, NOW);
        let before = kept.mark("ada");
        kept.changed("ada", NOW);
        assert!(!has(&kept, "ada", "p", NOW) && has(&kept, "ben", "p", NOW));
        assert_ne!(kept.mark("ada"), before);
        keep(&kept, "ada", "p", 3, later(9));
        assert!(!has(&kept, "ada", "p", later(9)), "Spotify may still answer as before");
        kept.keep(("ada", before), ("p", "s"), &rows(3), later(10));
        assert!(!has(&kept, "ada", "p", later(10)), "read before the change");
        keep(&kept, "ada", "p", 3, later(10));
        assert!(has(&kept, "ada", "p", later(10)));
    }

    #[test]
    fn forgetting_takes_all_and_what_is_still_being_read() {
        let kept = Kept::default();
        keep(&kept, "ada", "p", 3, NOW);
        let before = kept.mark("ada");
        kept.forget_all();
        assert!(!has(&kept, "ada", "p", NOW));
        kept.keep(("ada", before), ("p", "s"), &rows(3), NOW);
        assert!(!has(&kept, "ada", "p", NOW));
    }

    #[test]
    fn bytes_are_bounded_for_one_account_and_for_all() {
        let kept = Kept::default();
        let whole = MOST_OF_ONE / size(&rows(1)[0]);
        for list in 0..5 {
            keep(&kept, "ada", &format!("p{list}"), whole / 3, NOW);
        }
        assert!(!has(&kept, "ada", "p0", NOW) && has(&kept, "ada", "p4", NOW));
        assert!(kept.lock().bytes <= MOST_OF_ONE);
        keep(&kept, "ada", "huge", whole * 2, NOW);
        assert!(!has(&kept, "ada", "huge", NOW));
        for account in 0..40 {
            keep(&kept, &format!("u{account}"), "p", whole / 2, NOW);
            let books = kept.lock();
            assert_eq!(books.bytes, books.accounts.values().map(Account::bytes).sum::<usize>());
            assert!(books.bytes <= MOST);
        }
    }
}
