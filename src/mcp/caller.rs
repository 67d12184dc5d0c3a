//! Who makes a request: put into its extensions by the HTTP layer after authentication, read by every tool.
//!
//! The identity never comes from an argument or from an earlier request, and where it is missing nothing runs.
//! A signed request also carries what its body must be.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::domain::ids::RequestId;
use crate::domain::{ClientId, GrantId, LinkId, ScopeSet, UserId};

/// The authenticated caller of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// Their primary linked account; `None` where no account is linked any more.
    pub link: Option<LinkId>,
    /// Through which OAuth client.
    pub client: ClientId,
    /// What the token allows.
    pub scopes: ScopeSet,
    /// The grant that the token belongs to; `None` for other credentials.
    pub grant: Option<GrantId>,
    /// For matching the answer with the log.
    pub request_id: RequestId,
    /// Where the request came from, as the trusted proxies tell it.
    pub address: IpAddr,
}

/// What the signature over a request says its body is: put into its extensions beside the [`Caller`] by the HTTP
/// layer, held against the body before anything in it is read (RFC 9530 section 2).
#[derive(Clone, Copy, Debug)]
pub struct ExpectedDigest(pub [u8; 32]);

impl ExpectedDigest {
    /// Whether these bytes are that body: their SHA-256 is compared.
    pub fn fits(&self, body: &[u8]) -> bool {
        self.0 == <[u8; 32]>::from(Sha256::digest(body))
    }
}
