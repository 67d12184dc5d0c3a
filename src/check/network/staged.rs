//! TLS servers that are sound or have one fault, on loopback, for the self-test: looked at as any server is.

use super::proof::{Certificates, answering, old_server_hello, secured};
use super::tls::{self, Server, Trust};
use super::{At, Facts, Kind, Looked, cases, hello};
use crate::ambient::Dice;
use crate::check::finding::{Seen, Unseen};

/// What a server is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staged {
    /// Nothing is wrong with it.
    Sound,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is for another name.
    OtherName,
    /// It answers with TLS 1.0.
    Tls10,
    /// It goes on with AES in CBC under a key that RSA transported.
    WeakSuite,
}

/// What is seen of such a server, as one of ours and as an upstream.
///
/// # Errors
/// Where there can be no listener on loopback, or no certificate.
pub async fn staged(like: Staged, dice: &Dice) -> Seen<Facts> {
    let unmade = |error: rcgen::Error| Unseen::because(format!("no certificate for the trial: {error}"));
    let certificates = Certificates::new().map_err(unmade)?;
    let issued = |name: &str, expired| certificates.issue(name, expired, false).map_err(unmade);
    let old = |version, suite| answering(old_server_hello(version, suite), std::sync::Arc::default());
    let server = match like {
        Staged::Sound => secured(issued("127.0.0.1", false)?).await?,
        Staged::Expired => secured(issued("127.0.0.1", true)?).await?,
        Staged::OtherName => secured(issued("other.invalid", false)?).await?,
        Staged::Tls10 => old(hello::TLS10, 0xc013).await?,
        Staged::WeakSuite => old(hello::TLS12, 0x002f).await?,
    };
    let address = server.address;
    let trust = Trust::web_and(std::slice::from_ref(&certificates.authority));
    let shown = tls::look(&Server { address, host: address.ip().to_string() }, &trust, dice).await;
    let looked = Looked {
        name: "a server on loopback".to_owned(),
        kind: Kind::Secured,
        at: vec![At { address: Some(address), shown }],
        without_way: Vec::new(),
        more: 0,
    };
    Ok(Facts { servers: vec![looked.clone()], upstreams: vec![looked], ..cases::passing() })
}
