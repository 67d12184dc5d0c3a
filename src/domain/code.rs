//! What becomes of an authorization code that a client presents at the token endpoint (OAuth 2.1 section 4.1.3).

use crate::ambient::Timestamp;

use super::pkce::{CodeChallenge, CodeVerifier};
use super::redirect::RedirectUri;
use super::resource::Resource;
use super::{ClientId, GrantId};

/// Wrong presentations after which a code is dead.
pub const TRIES: i64 = 5;

/// A code as stored, without what redemption does not decide by.
#[derive(Clone, Debug)]
pub struct StoredCode {
    /// The client that it was issued to.
    pub client: ClientId,
    /// The redirect URI of the authorization request.
    pub redirect_uri: RedirectUri,
    /// The PKCE challenge of the authorization request.
    pub challenge: CodeChallenge,
    /// The resource of the authorization request.
    pub resource: Resource,
    /// When it dies.
    pub expires_at: Timestamp,
    /// The grant that its first redemption made.
    pub redeemed: Option<GrantId>,
    /// Wrong presentations so far.
    pub failures: i64,
}

/// What a client presents with a code.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The authenticated or named client.
    pub client: ClientId,
    /// `redirect_uri`; optional since OAuth 2.1, compared where present.
    pub redirect_uri: Option<String>,
    /// `code_verifier`.
    pub verifier: Option<CodeVerifier>,
    /// `resource`, where present and ours; `Err` where foreign.
    pub resource: Result<Option<Resource>, ForeignResource>,
}

/// The `resource` parameter names somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignResource;

/// The decision. Every variant but [`CodeOutcome::Redeem`] is answered with an OAuth error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeOutcome {
    /// Issue tokens, if the code can be marked as used in the same statement.
    Redeem,
    /// Used before, by this same client: end the tokens of the first use.
    Replayed(GrantId),
    /// Expired or tried too often: nothing to save.
    Dead,
    /// Does not fit: count a failure, and leave the code usable.
    Mismatch,
    /// The resource is foreign (`invalid_target`): the code stays usable for a corrected request.
    WrongTarget,
}

/// Decides. A stranger who guesses at a code (wrong client) can neither consume it nor end its tokens.
pub fn redeem(code: &StoredCode, presented: &Presented, now: Timestamp) -> CodeOutcome {
    if code.client != presented.client {
        return CodeOutcome::Mismatch;
    }
    if let Some(grant) = &code.redeemed {
        return CodeOutcome::Replayed(grant.clone());
    }
    if now >= code.expires_at || code.failures >= TRIES {
        return CodeOutcome::Dead;
    }
    let redirect_fits = presented.redirect_uri.as_deref().is_none_or(|uri| uri == code.redirect_uri.as_str());
    let proven = presented.verifier.as_ref().is_some_and(|verifier| code.challenge.proven_by(verifier));
    if !redirect_fits || !proven {
        return CodeOutcome::Mismatch;
    }
    match presented.resource {
        Ok(_) => CodeOutcome::Redeem,
        Err(ForeignResource) => CodeOutcome::WrongTarget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier() -> CodeVerifier {
        CodeVerifier::mint(&[1; 32])
    }

    fn stored() -> StoredCode {
        StoredCode {
            client: ClientId::parse("c_1").unwrap(),
            redirect_uri: RedirectUri::parse("https://a.example/cb").unwrap(),
            challenge: CodeChallenge::of(&verifier()),
            resource: Resource::Mcp,
            expires_at: Timestamp::from_secs(100),
            redeemed: None,
            failures: 0,
        }
    }

    fn presented() -> Presented {
        Presented {
            client: ClientId::parse("c_1").unwrap(),
            redirect_uri: Some("https://a.example/cb".to_owned()),
            verifier: Some(verifier()),
            resource: Ok(None),
        }
    }

    const NOW: Timestamp = Timestamp::from_secs(99);

    #[test]
    fn fits() {
        assert_eq!(redeem(&stored(), &presented(), NOW), CodeOutcome::Redeem);
        let without_uri = Presented { redirect_uri: None, ..presented() };
        assert_eq!(redeem(&stored(), &without_uri, NOW), CodeOutcome::Redeem);
    }

    #[test]
    fn does_not_fit() {
        let wrong = [
            Presented { client: ClientId::parse("c_2").unwrap(), ..presented() },
            Presented { redirect_uri: Some("https://a.example/cb/".to_owned()), ..presented() },
            Presented { verifier: None, ..presented() },
            Presented { verifier: Some(CodeVerifier::mint(&[2; 32])), ..presented() },
        ];
        for presented in wrong {
            assert_eq!(redeem(&stored(), &presented, NOW), CodeOutcome::Mismatch, "{presented:?}");
        }
        let foreign = Presented { resource: Err(ForeignResource), ..presented() };
        assert_eq!(redeem(&stored(), &foreign, NOW), CodeOutcome::WrongTarget);
    }

    #[test]
    fn dead_and_replayed() {
        assert_eq!(redeem(&stored(), &presented(), Timestamp::from_secs(100)), CodeOutcome::Dead);
        assert_eq!(redeem(&StoredCode { failures: TRIES, ..stored() }, &presented(), NOW), CodeOutcome::Dead);
        let grant = GrantId::mint([1; 16]);
        let used = StoredCode { redeemed: Some(grant.clone()), ..stored() };
        assert_eq!(redeem(&used, &presented(), NOW), CodeOutcome::Replayed(grant));
        let stranger = Presented { client: ClientId::parse("c_2").unwrap(), ..presented() };
        assert_eq!(redeem(&used, &stranger, NOW), CodeOutcome::Mismatch);
    }
}
