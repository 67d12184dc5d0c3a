//! The upstream: accounts service, Web API, and the simulator behind the same seam.
