//! The one door to who a `client_id` is. Endpoints ask here and never the store, because not every client is a row:
//! configured clients come first (mcp.md K8), then metadata documents for ids that are URLs, then registered clients.
//!
//! [`find`] never leaves this server: the token endpoint must work while the rest of the web does not. It takes a
//! document as it was last fetched, however long ago, for as long as it is kept: nothing in one is a credential, and
//! the operator's word on its host holds at once.

use crate::app::{App, DocumentProblem};
use crate::domain::ClientId;
use crate::domain::client_document::DocumentUrl;
use crate::failure::Failure;
use crate::policy::DocumentMode;
use crate::store::Client;

use super::authorize::Unproven;
use super::{Visitor, client_document};

/// The client of this id, as it is known here now.
pub async fn find(app: &App, id: &ClientId) -> Result<Option<Client>, Failure> {
    if let Some(client) = app.clients.configured(id) {
        return Ok(Some(client.clone()));
    }
    if !id.is_url() {
        return app.store.client(id, app.now()).await;
    }
    match believed(app, id) {
        Err(_) => Ok(None),
        Ok(_) if app.config.auth.documents.mode == DocumentMode::BuiltinOnly => {
            Ok(app.clients.well_known(id))
        }
        Ok(_) => Ok(app.store.client(id, app.now()).await?.or_else(|| app.clients.well_known(id))),
    }
}

/// The client of this id at the start of an authorization, when it may have to introduce itself.
pub async fn introduce(
    app: &App,
    id: &ClientId,
    visitor: &Visitor,
) -> Result<Result<Client, Unproven>, Failure> {
    if !id.is_url() || app.clients.configured(id).is_some() {
        return Ok(find(app, id).await?.ok_or(Unproven::UnknownClient));
    }
    let url = match believed(app, id) {
        Ok(url) => url,
        Err(why) => return Ok(Err(why)),
    };
    if app.config.auth.documents.mode == DocumentMode::BuiltinOnly {
        return Ok(app.clients.well_known(id).ok_or(Unproven::ClientNotAllowed));
    }
    let described = client_document::describe(app, &url, visitor).await?;
    Ok(match described {
        Ok(client) => Ok(client),
        Err(DocumentProblem::Refused(_)) => Err(Unproven::DocumentRefused),
        Err(DocumentProblem::Unavailable(_)) => Err(Unproven::DocumentUnavailable),
        Err(DocumentProblem::TooMany) => Err(Unproven::TooManyDocuments),
        Err(DocumentProblem::Busy) => Err(Unproven::BusyWithDocuments),
        Err(DocumentProblem::NotKept) => return Err(Failure::new("a client's metadata could not be kept")),
    })
}

/// The URL of a document that would be believed: of good form, on a host that the operator trusts, and not on
/// loopback where only a client under development has one.
fn believed(app: &App, id: &ClientId) -> Result<DocumentUrl, Unproven> {
    let documents = &app.config.auth.documents;
    if documents.mode == DocumentMode::Off {
        return Err(Unproven::ClientNotAllowed);
    }
    let url = DocumentUrl::parse(id).map_err(|_| Unproven::DocumentRefused)?;
    if !documents.hosts.trusts(url.host()) {
        return Err(Unproven::ClientNotAllowed);
    }
    match app.clients.gate(&url) {
        Some(_) => Ok(url),
        None => Err(Unproven::DocumentRefused),
    }
}
