//! The sealed envelope.
