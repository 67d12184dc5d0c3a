//! The command line: one file per command, all listed here; `output.rs` alone prints.

pub mod healthcheck;

/// Parses the command line, runs the command, and gives its exit status.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
