//! Raw to validated configuration: every problem at once, each with its origin and its remedy.
//!
//! Never: the store, the network, printing. Values of secrets never enter a message.

mod network;
mod typed;

pub use network::Network;
pub use typed::*;
