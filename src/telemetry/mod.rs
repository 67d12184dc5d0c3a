//! The operational log: tracing, its format, file and rotation.
