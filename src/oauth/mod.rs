//! Our OAuth 2.1 authorization server, one file per endpoint.
