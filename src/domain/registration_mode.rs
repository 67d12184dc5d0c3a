//! Who may register a client by themselves: whoever asks, programs on a person's own computer, or nobody.

use super::client::{ClientMetadata, RegistrationError};
use super::redirect::RedirectKind;

/// Who may register by themselves (`auth.registration`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Whoever asks.
    #[default]
    Open,
    /// Programs on a person's own computer: loopback and private-use redirect URIs alone.
    LocalOnly,
    /// Nobody.
    Off,
}

impl RegistrationMode {
    /// Whether a client with these redirect URIs may register. One site among them refuses the whole set, by name.
    ///
    /// # Errors
    /// [`RegistrationError::NotLocal`] for the first redirect URI that is a site's; [`RegistrationError::Closed`].
    pub fn judge(self, metadata: &ClientMetadata) -> Result<(), RegistrationError> {
        match self {
            Self::Open => Ok(()),
            Self::Off => Err(RegistrationError::Closed),
            Self::LocalOnly => {
                let mut uris = metadata.redirect_uris.iter().enumerate();
                match uris.find(|(_, uri)| uri.kind() == RedirectKind::Https) {
                    Some((at, uri)) => Err(RegistrationError::NotLocal(at, uri.shortened())),
                    None => Ok(()),
                }
            }
        }
    }
}
