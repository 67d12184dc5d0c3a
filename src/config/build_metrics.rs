//! Where metrics are read, and by whom: what nobody guards stays on loopback.

use std::net::SocketAddr;

use super::build::Build;
use super::problem::Wrong;
use crate::crypto::SecretString;

impl Build<'_> {
    pub(super) fn metrics(&mut self) -> (Option<SocketAddr>, Option<SecretString>) {
        let listen: Option<SocketAddr> =
            self.optional_text("telemetry.metrics_listen").and_then(|text| text.parse().ok());
        let token = self.secret("telemetry.metrics_token").map(|(token, _)| token);
        let refused = self.gathered.problems.iter().any(|problem| problem.key == "telemetry.metrics_token");
        if listen.is_some_and(|address| !address.ip().is_loopback()) && token.is_none() && !refused {
            let wrong = Wrong::new(
                "it is not loopback, and there is no telemetry.metrics_token: whoever reaches it could read on",
                "set telemetry.metrics_token too, or write an address of loopback",
            );
            self.problem("telemetry.metrics_listen", wrong.coded("METRICS_UNGUARDED"));
        }
        (listen, token)
    }
}
