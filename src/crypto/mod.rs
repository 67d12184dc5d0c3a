//! Secrets as types, the key hierarchy, the sealed envelope, opaque tokens.
//!
//! Never: input/output, async, the clock, randomness (bytes are passed in), or any other module of ours.

pub mod envelope;
pub mod kdf;
pub mod keys;
pub mod secret;
pub mod signature;
pub mod stream;
pub mod succession;
pub mod token;

pub use secret::{Key, SecretString};
