//! The two discovery documents: RFC 8414 for the authorization server, RFC 9728 for the protected resources.
//! Everything derives from the configured public URL, never from a request.

use serde_json::{Value, json};

use crate::domain::client::RegistrationMode;
use crate::domain::resource::Resource;
use crate::domain::{Scope, ScopeSet};
use crate::policy::DocumentMode;

/// `/.well-known/oauth-authorization-server`. Without `registration_endpoint` where nobody may register; `documents`:
/// whether clients may introduce themselves by a metadata document; `scopes`: those that some tool needs.
pub fn authorization_server(
    issuer: &str,
    (registration, documents): (RegistrationMode, DocumentMode),
    scopes: ScopeSet,
) -> Value {
    let scopes = names(scopes).chain(["offline_access"]).collect::<Vec<_>>();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": documents != DocumentMode::Off,
        "authorization_response_iss_parameter_supported": true,
        "service_documentation": format!("{issuer}/"),
    });
    if registration != RegistrationMode::Off {
        document["registration_endpoint"] = json!(format!("{issuer}/register"));
    }
    document
}

/// `/.well-known/oauth-protected-resource` and its path-inserted forms.
pub fn protected_resource(issuer: &str, resource: Resource, scopes: ScopeSet) -> Value {
    json!({
        "resource": resource.url(issuer),
        "authorization_servers": [issuer],
        "scopes_supported": names(scopes).collect::<Vec<_>>(),
        "bearer_methods_supported": ["header"],
        "resource_name": "Spotify for MCP clients",
        "resource_documentation": format!("{issuer}/"),
    })
}

fn names(scopes: ScopeSet) -> impl Iterator<Item = &'static str> {
    scopes.iter().map(Scope::name)
}

/// Where the metadata of a resource stands.
pub fn protected_resource_url(issuer: &str, resource: Resource) -> String {
    format!("{issuer}/.well-known/oauth-protected-resource{}", resource.path())
}
