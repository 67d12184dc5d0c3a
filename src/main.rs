//! The `spotify-mcp` command: everything is in the library.

/// The system's allocator (glibc's arenas) makes threads wait for each other where one frees what another allocated, as
/// the audit trail's writer does with every event: a fifth of all time under load (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    spotify_mcp::cli::main()
}
