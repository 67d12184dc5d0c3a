//! `spotify-mcp man`: the manual, made from the same definition as `--help`.

use std::path::{Path, PathBuf};

use super::output::{Exit, Output, Refused};
use crate::domain::event::clean;
use crate::failure::{During as _, Failure};

/// What `man` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  spotify-mcp man | man -l -\n  spotify-mcp man --output-dir /usr/local/share/man/man1"
)]
pub struct Args {
    /// Write one page per command into this folder, made where it is missing, instead of printing the main page
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

/// Prints the main page, or writes all of them.
pub fn run(args: &Args, output: &Output) -> Result<Exit, Refused> {
    let done = match &args.output_dir {
        None => main_page().map(|page| output.raw(&page)),
        Some(folder) => all_pages(folder),
    };
    done.map_err(|failure| {
        let folder = args.output_dir.as_deref().unwrap_or(Path::new("-")).display();
        let text = format!("the manual cannot be written to {folder}: {}", clean(&failure.chain()));
        Refused::incomplete("MAN_WRITE", text, "name a folder that this user may make and write to")
    })?;
    Ok(Exit::Done)
}

fn main_page() -> Result<String, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(super::definition()).render(&mut page).during("rendering the manual page")?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn all_pages(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).during("making the folder")?;
    clap_mangen::generate_to(super::definition(), folder).during("writing the manual pages")
}
