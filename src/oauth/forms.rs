//! Forms of browsers in which nobody may be logged in: bound to the browser's own name.

use crate::app::App;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::KeyPurpose;
use crate::failure::Failure;

use super::{Params, Visitor, cookies, tickets};

/// A form that a browser is shown.
pub struct Form {
    /// The browser's name, which the form is bound to.
    pub browser: Token,
    /// Its hidden field `csrf`.
    pub csrf: String,
    /// `Set-Cookie` of a browser that had no name.
    pub set_cookie: Option<String>,
}

/// Begins a form.
///
/// # Errors
/// Where there is no key for it.
pub fn begin(app: &App, visitor: &Visitor) -> Result<Form, Failure> {
    let (browser, set_cookie) = match visitor.cookies.browsers().next() {
        Some(browser) => (browser.clone(), None),
        None => {
            let fresh = Token::mint(TokenKind::Handle, &app.dice.bytes());
            let cookie = cookies::set_browser(&fresh, app.issuer().starts_with("https:"));
            (fresh, Some(cookie))
        }
    };
    let csrf = tickets::csrf(&*app.keys.own(KeyPurpose::BrowserTickets)?, &browser);
    Ok(Form { browser, csrf, set_cookie })
}

/// Which of the browser's names the form that it posts is bound to.
pub(super) fn holder<'a>(app: &App, visitor: &'a Visitor, form: &Params) -> Option<&'a Token> {
    let keys = app.keys.taken(KeyPurpose::BrowserTickets);
    let csrf = form.get("csrf").unwrap_or_default();
    let mut names = visitor.cookies.browsers().filter(|_| form.fault().is_none());
    names.find(|browser| tickets::csrf_holds(&keys, browser, csrf))
}

/// Whether a form that a browser posts is one that it was shown.
pub fn is_own(app: &App, visitor: &Visitor, form: &Params) -> bool {
    holder(app, visitor, form).is_some()
}
