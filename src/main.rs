//! The `spotify-mcp` command: everything is in the library.

fn main() -> std::process::ExitCode {
    spotify_mcp::cli::main()
}
