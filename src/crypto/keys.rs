//! The key hierarchy.
