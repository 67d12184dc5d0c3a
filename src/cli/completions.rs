//! `spotify-mcp completions SHELL`.

use clap_complete::Shell;

use super::output::{Exit, Output, Refused};

/// What `completions` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  spotify-mcp completions bash > /etc/bash_completion.d/spotify-mcp")]
pub struct Args {
    /// Whose completion script
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args, output: &Output) -> Result<Exit, Refused> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::definition(), "spotify-mcp", &mut script);
    output.raw(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
