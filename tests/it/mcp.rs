//! The MCP server through its front door, in both eras, with an upstream that answers as told.

mod arguments;
mod catalog;
mod examples;
mod faults;
mod foreign;
mod front;
mod guard;
mod library;
mod permissions;
mod player;
mod protocol;
mod rig;
mod schema;
mod several;
mod stage;
mod stdio;
mod told;
mod tools;
mod writes;
