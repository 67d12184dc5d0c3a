//! What problem pages say where a client's description of itself is not taken.

use http::StatusCode;

use super::{Problem, Said};

impl Problem {
    pub(super) const fn said_of_documents(self) -> Said {
        match self {
            Self::DocumentRefused => Said(
                "CLIENT_DOCUMENT_REFUSED",
                StatusCode::BAD_REQUEST,
                "This app’s description is not accepted",
                "The app describes itself by a document on the web, and that document, or its address, breaks a rule \
                 that protects you. Nothing was sent back to the app.",
                "If you did not start this in an app just now, close this tab. Otherwise tell the app’s makers the \
                 code below; the operator’s log says which rule it is.",
            ),
            Self::DocumentUnavailable => Said(
                "CLIENT_DOCUMENT_UNAVAILABLE",
                StatusCode::BAD_GATEWAY,
                "This app’s description cannot be read",
                "The app describes itself by a document on the web, and this server could not fetch it. Nothing was \
                 sent back to the app.",
                "Wait a minute, go back to the app and connect again. If it happens again, tell the operator the code \
                 below; their log says why.",
            ),
            _ => Said(
                "CLIENT_NOT_ALLOWED",
                StatusCode::FORBIDDEN,
                "This app is not allowed here",
                "The operator of this server does not accept this app’s own description of itself. Nothing was sent \
                 back to the app.",
                "Ask the operator to allow the app, or to register it by hand.",
            ),
        }
    }
}
