//! The one gate for outbound connections.
