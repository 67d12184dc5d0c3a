//! The one door to who a `client_id` is. Endpoints ask here and never the store, because not every client is a row.
//!
//! [`find`] never leaves this server: the token endpoint must work while the rest of the web does not.

use crate::app::App;
use crate::domain::ClientId;
use crate::failure::Failure;
use crate::store::Client;

use super::Visitor;
use super::authorize::Unproven;

/// The client of this id, as it is known here now.
pub async fn find(app: &App, id: &ClientId) -> Result<Option<Client>, Failure> {
    app.store.client(id, app.now()).await
}

/// The client of this id at the start of an authorization, when it may have to introduce itself.
pub async fn introduce(
    app: &App,
    id: &ClientId,
    _visitor: &Visitor,
) -> Result<Result<Client, Unproven>, Failure> {
    Ok(find(app, id).await?.ok_or(Unproven::UnknownClient))
}
