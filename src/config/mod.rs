//! Raw configuration to validated configuration, every problem at once.
