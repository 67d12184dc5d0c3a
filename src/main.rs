//! The `spotify-mcp` command: everything is in the library.

/// The system's allocator takes a fifth of all time under load, this one an eighth (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    spotify_mcp::cli::main()
}
