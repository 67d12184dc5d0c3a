//! The MCP server through its front door, in both eras, with an upstream that answers as told.

mod arguments;
mod foreign;
mod front;
mod guard;
mod protocol;
mod rig;
mod schema;
mod stdio;
mod tools;
mod writes;
