//! What several test modules need: databases of their own on both engines, the real server as a child process, and
//! those who call it, typed by who they are.

pub mod browser;
pub mod client;
pub mod database;
pub mod listener;
pub mod mail;
pub mod prometheus;
pub mod server;
pub mod trail;
