//! Apps from before February 2026, and with extended quota, may need an older endpoint where a newer one is documented
//! (spotify.md 1.3, 1.11): learned by trying, remembered per app in this process, never asked for at the start.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::Response;

use super::api::Call;
use super::uri::PlaylistId;
use super::{AccessToken, Api, ApiError, QuotaMode};
use crate::egress::Bytes;

/// Most apps of which something is remembered.
const MOST: usize = 10_000;

/// What an app needs the older endpoints for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Older {
    /// A library, but for its artists.
    Library,
    /// Followed artists.
    Artists,
    /// What is in a playlist.
    Rows,
}

/// Which apps need what.
#[derive(Debug, Default)]
pub(super) struct Learned(Mutex<HashSet<(String, Older)>>);

impl Learned {
    pub(super) fn knows(&self, app: &str, older: Older) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&(app.to_owned(), older))
    }

    pub(super) fn learn(&self, app: &str, older: Older) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert((app.to_owned(), older));
    }

    fn unlearn(&self, app: &str, older: Older) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(app.to_owned(), older));
    }
}

/// Whether an endpoint answered so that the older one is worth trying: nothing was done.
pub(super) const fn may_be_older(error: &ApiError) -> bool {
    matches!(error, ApiError::InvalidArgument(_) | ApiError::NotFound | ApiError::NotAvailableInMode)
}

impl Api {
    /// Calls for what is in a playlist: `call` makes the call at an address, where rows go by this word.
    ///
    /// # Errors
    /// [`ApiError`]; the newer endpoint's own where the older one does not know better.
    pub(super) async fn rows_of(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        call: impl Fn(super::base::Address, &'static str) -> Call,
    ) -> Result<Response<Bytes>, ApiError> {
        let ask = |word| self.call(token, call(self.base.at(&["playlists", id.as_str(), word]), word));
        if self.mode_of(token) == QuotaMode::Development {
            return ask("items").await;
        }
        let app = token.holder().map_or("", |holder| &holder.app);
        if self.learned.knows(app, Older::Rows) {
            let done = ask("tracks").await;
            if matches!(&done, Err(ApiError::Forbidden)) || done.as_ref().is_err_and(may_be_older) {
                // Perhaps Spotify has withdrawn it meanwhile: next time the newer one is tried again.
                self.learned.unlearn(app, Older::Rows);
            }
            return done;
        }
        match ask("items").await {
            Err(refused) if may_be_older(&refused) => match ask("tracks").await {
                Err(ApiError::Forbidden) => Err(refused),
                Err(error) if may_be_older(&error) => Err(refused),
                Err(error) => Err(error),
                Ok(done) => {
                    self.learned.learn(app, Older::Rows);
                    Ok(done)
                }
            },
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_of_one_app_is_of_that_app_and_that_thing() {
        let learned = Learned::default();
        learned.learn("a", Older::Rows);
        assert!(learned.knows("a", Older::Rows));
        assert!(!learned.knows("b", Older::Rows) && !learned.knows("a", Older::Library));
        learned.unlearn("a", Older::Rows);
        assert!(!learned.knows("a", Older::Rows));
        for app in 0..=MOST {
            learned.learn(&format!("a{app}"), Older::Artists);
        }
        assert!(learned.0.lock().unwrap().len() <= MOST);
    }
}
