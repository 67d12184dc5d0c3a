//! `spotify-mcp users`: people, listed, shown, kept out, let in again, deleted, and what is held of them, without a browser.

mod delete;
mod disable;
mod enable;
mod export;
mod list;
mod show;

use clap::Subcommand;

use super::Global;
use super::administer::{Desk, Group, broken};
use super::output::{Exit, Refused};
use crate::domain::UserId;

/// What `users` takes.
pub type Args = Group<Command>;

/// What it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List people
    List(list::Args),
    /// Show one person: accounts, clients, sessions, keys, usage
    Show(show::Args),
    /// Keep people out, and end all that they hold
    Disable(disable::Args),
    /// Let people log in again
    Enable(enable::Args),
    /// Delete people and everything of theirs, from the files too
    Delete(delete::Args),
    /// Write down all that is held of a person, without secrets
    Export(export::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let (command, place) = args.named(global);
    match command {
        Command::List(args) => list::run(args, &place),
        Command::Show(args) => show::run(args, &place),
        Command::Disable(args) => disable::run(args, &place),
        Command::Enable(args) => enable::run(args, &place),
        Command::Delete(args) => delete::run(args, &place),
        Command::Export(args) => export::run(args, &place),
    }
}

/// Everybody who is named, before anything is done: one who is unknown keeps it from being done to the others.
async fn everybody(desk: &Desk, named: &[String]) -> Result<Vec<UserId>, Refused> {
    let mut people = Vec::with_capacity(named.len());
    for name in named {
        let person = desk.person(name).await?;
        if !people.contains(&person) {
            people.push(person);
        }
    }
    Ok(people)
}

/// Whether a person is kept out already.
async fn is_disabled(desk: &Desk, user: &UserId) -> Result<bool, Refused> {
    let person = desk.store.user(user).await.map_err(|failure| broken(&failure))?;
    Ok(person.is_some_and(|person| person.disabled_at.is_some()))
}

/// They were deleted between two statements.
fn gone_meanwhile(user: &UserId) -> Refused {
    Refused::incomplete("USER_UNKNOWN", format!("{user} was deleted just now"), "run it again without them")
}
