//! The consent page: who asks, for what, where the answer goes, and as whom (mcp.md P1, P3, C12, C13, S10).
//!
//! It is the one thing between a listener and a confused deputy: nothing here comes from the client unmarked.

use askama::Template;
use url::Url;

use super::headers::Class;
use super::layout::Site;
use super::redirect::ShownRedirect;
use super::{Page, Untrusted, routes};
use crate::domain::redirect::{RedirectKind, RedirectUri};
use crate::domain::{ClientId, Scope, ScopeSet};
use crate::policy::Offer;

/// What the listener is asked.
#[derive(Clone, Debug)]
pub struct Consent<'a> {
    /// The name the client gives itself; shown as a claim.
    pub client_name: Untrusted,
    /// Whether the operator registered it by hand (`auth.clients`): then the name is the operator's word.
    pub by_operator: bool,
    /// Its id; where that is a metadata document's URL, the host is shown, because it was proven.
    pub client_id: &'a ClientId,
    /// The exact redirect URI of this request, already matched with the client's registration.
    pub redirect_uri: &'a RedirectUri,
    /// What would be granted, and the tools that it is for.
    pub scopes: ScopeSet,
    /// See `scopes`.
    pub offer: &'a Offer,
    /// The display name of the browser session's user, if there is one; otherwise Spotify's login follows.
    pub logged_in_as: Option<Untrusted>,
    /// Hidden field `ticket`: names the pending request.
    pub ticket: &'a str,
    /// Hidden field `csrf`.
    pub csrf: &'a str,
}

/// Renders the consent page. Its form posts `ticket`, `csrf` and `decision` (`approve` or `deny`) to `/authorize`.
pub fn consent(site: &Site, view: &Consent<'_>) -> Page {
    let template = ConsentPage {
        site,
        redirect: ShownRedirect::of(view.redirect_uri),
        proven_host: proven_host(view.client_id),
        scopes: view.scopes.iter().map(|scope| Asked::of(&scope).for_tools(scope, view.offer)).collect(),
        action: routes::AUTHORIZE,
        account: routes::ACCOUNT,
        view,
    };
    Page::of(&template, Class::Consent)
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    site: &'a Site,
    view: &'a Consent<'a>,
    redirect: ShownRedirect,
    proven_host: Option<Untrusted>,
    scopes: Vec<Asked>,
    action: &'static str,
    account: &'static str,
}

impl ConsentPage<'_> {
    fn loopback(&self) -> bool {
        self.view.redirect_uri.kind() == RedirectKind::Loopback
    }

    fn private_scheme(&self) -> bool {
        self.view.redirect_uri.kind() == RedirectKind::CustomScheme
    }
}

/// A scope in plain words, with the Spotify permissions behind it.
pub(super) struct Asked {
    pub(super) title: &'static str,
    pub(super) means: &'static str,
    pub(super) spotify: Vec<&'static str>,
}

impl Asked {
    pub(super) fn of(scope: &Scope) -> Self {
        let (title, means) = match scope {
            Scope::Read => (
                "See your music",
                "Your playlists, saved music, followed artists, top and recently played items, how far you are in episodes, and what is \
                 playing now.",
            ),
            Scope::Write => (
                "Change your music",
                "Create playlists, change them, remove tracks from them and delete them; save music and remove it from your library; \
                 follow and unfollow; set a playlist’s cover; link and unlink your Spotify accounts here.",
            ),
            Scope::Player => {
                ("Control playback", "Play, pause, skip and choose the device on which your Spotify plays.")
            }
        };
        Self { title, means, spotify: scope.asked().collect() }
    }

    /// With the permissions alone that the tools need which are offered.
    fn for_tools(self, scope: Scope, offer: &Offer) -> Self {
        Self { spotify: offer.permissions_of(scope).collect(), ..self }
    }
}

/// The host of a client id that is an https URL: whoever controls it published the client's description.
fn proven_host(id: &ClientId) -> Option<Untrusted> {
    let url = Url::parse(id.as_str()).ok().filter(|url| url.scheme() == "https")?;
    let host = url.host_str()?;
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Some(Untrusted::capped(&authority, 260))
}
