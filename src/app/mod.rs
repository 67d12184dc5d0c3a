//! The composition root: one plain struct.
