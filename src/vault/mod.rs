//! The only door to upstream tokens.
