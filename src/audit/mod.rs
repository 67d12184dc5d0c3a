//! The only door to the audit trail.
