//! What several test modules need: databases of their own on both engines.

pub mod database;
