//! The one gate for outbound connections: who may be reached, at which addresses, for how long, how much is read.
//!
//! It never follows a redirect, never reads a proxy from the environment, never accepts a certificate that
//! webpki does not, and never tells a URL or a header to its errors (queries and headers carry secrets).

mod address;
mod authorities;
mod connect;
mod error;
mod gate;
mod ledger;
mod opened;
mod policy;
mod syslog;

pub use address::{AddressClass, classify};
pub use authorities::authorities;
pub use connect::Resolver;
pub use error::{EgressError, Refusal, RefusalReason};
pub use gate::{Gate, Limits};
pub use hyper::body::Bytes;
pub use ledger::Counters;
pub use opened::Opened;
pub use policy::{GatePolicy, NotAHost};
pub use syslog::send_syslog;
