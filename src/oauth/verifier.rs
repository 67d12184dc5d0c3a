//! What a login in progress keeps until Spotify sends the browser back: the PKCE verifier, the linked account that it is
//! to bring back where there is one, and the app where that is the person's own. Sealed in its row; nothing else is kept of
//! the app before Spotify has said who came.

use crate::app::App;
use crate::crypto::SecretString;
use crate::crypto::envelope;
use crate::crypto::token::TokenHash;
use crate::domain::own_app::OwnApp;
use crate::domain::pkce::CodeVerifier;
use crate::domain::{KeyPurpose, LinkId};
use crate::failure::Failure;
use crate::vault::{login_place, login_row};

/// What is kept.
pub(super) struct Kept {
    pub(super) verifier: CodeVerifier,
    /// The linked account that is meant; whose own app it is, where it goes through one that was not just typed.
    pub(super) meant: Option<LinkId>,
    pub(super) own: Option<OwnApp>,
    /// Whether Spotify was told to ask who it is.
    pub(super) asked: bool,
    /// Whether an account is wanted that somebody else has linked, where it gives way.
    pub(super) oneself: bool,
}

/// Stands for [`Kept::asked`].
const ASKED: &str = "!";

/// Stands for [`Kept::oneself`].
const ONESELF: &str = "=";

/// Between the parts; none of them can hold it.
const BETWEEN: char = ' ';

impl Kept {
    fn written(&self) -> SecretString {
        let secret = |own: &OwnApp| own.client_secret.as_ref().map(|secret| secret.expose().to_owned());
        let own = self.own.iter().flat_map(|own| [Some(own.client_id.clone()), secret(own)]).flatten();
        let meant = self.meant.iter().map(|link| link.as_str().to_owned());
        let asked = self.asked.then(|| ASKED.to_owned());
        let oneself = self.oneself.then(|| ONESELF.to_owned());
        let parts = std::iter::once(self.verifier.expose().to_owned());
        let parts = parts.chain(asked).chain(oneself).chain(meant);
        let parts: Vec<_> = parts.chain(own).collect();
        SecretString::new(parts.join(&BETWEEN.to_string()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(BETWEEN).peekable();
        let verifier = CodeVerifier::parse(parts.next()?)?;
        let asked = parts.next_if_eq(&ASKED).is_some();
        let oneself = parts.next_if_eq(&ONESELF).is_some();
        let meant = parts.peek().and_then(|part| part.parse().ok());
        if meant.is_some() {
            parts.next();
        }
        let own = OwnApp::parse(parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        Some(Self { verifier, meant, own: own.ok()?, asked, oneself })
    }
}

pub(super) fn seal_kept(app: &App, state: TokenHash, kept: &Kept) -> Result<Vec<u8>, Failure> {
    let row = login_row(state.as_bytes());
    let key = app.keys.own(KeyPurpose::PendingLogins)?;
    let text = kept.written();
    Ok(envelope::seal(&key, &login_place(&row), text.expose().as_bytes(), &app.dice.bytes()))
}

pub(super) async fn open_kept(app: &App, state: TokenHash, sealed: &[u8]) -> Result<Option<Kept>, Failure> {
    let row = login_row(state.as_bytes());
    let Ok(id) = envelope::key_id(sealed) else { return Ok(None) };
    let known = || app.keys.taken(KeyPurpose::PendingLogins).into_iter().find(|key| *key.id() == id);
    let mut key = known();
    if key.is_none() {
        // Another server began this login with a key that has just come.
        app.keys.learn().await?;
        key = known();
    }
    let Some(key) = key else { return Ok(None) };
    let Ok(plain) = envelope::open(&key, &login_place(&row), sealed) else { return Ok(None) };
    Ok(std::str::from_utf8(&plain).ok().and_then(Kept::parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let id = "0123456789abcdef0123456789abcdef";
        let typed = [("", ""), (id, ""), (id, "s3cret!\"\\")];
        for ((id, secret), meant) in
            typed.into_iter().flat_map(|typed| [None, Some([2; 16])].map(|id| (typed, id)))
        {
            let own = OwnApp::parse(id, secret).unwrap();
            let meant = meant.map(LinkId::mint);
            let asked = meant.is_some() == secret.is_empty();
            let verifier = CodeVerifier::mint(&[1; 32]);
            let kept = Kept { verifier, meant: meant.clone(), own, asked, oneself: !asked };
            let read = Kept::parse(kept.written().expose()).unwrap();
            assert_eq!(
                (read.verifier.expose(), &read.meant, read.asked, read.oneself),
                (kept.verifier.expose(), &meant, asked, !asked)
            );
            assert_eq!(read.written().expose(), kept.written().expose());
        }
        assert!(Kept::parse("x").is_none());
    }
}
