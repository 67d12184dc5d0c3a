//! Security events as plain data: what happened, to whom, from where, with what outcome.
//!
//! The audit door ([`crate::audit`]) stamps the time and the id and gives the record its OCSF shape.
