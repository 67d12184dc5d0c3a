//! The load generator of `scripts/bench`: logs pretend people in, calls `get_current_track` for them over some
//! connections, and holds every answer against the person whose token was sent. Talks to 127.0.0.1 alone.

mod drive;
mod grant;
mod log_in;
mod people;
mod report;
mod sessions;
mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use self::drive::{Bound, Plan};
use self::people::Person;
use self::report::{Compared, Figures};
use self::wire::{Era, Target};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Load for an MCP server in front of the simulated Spotify.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Logs the simulator's user0001 ... in at a server, as a client and a browser would.
    LogIn {
        /// The server's origin.
        #[arg(long)]
        server: String,
        /// How many people.
        #[arg(long, default_value_t = 1000)]
        users: usize,
        /// Where to keep their tokens.
        #[arg(long)]
        out: PathBuf,
    },
    /// Gives them tokens for the yardstick, by the simulator's control plane.
    Grant {
        /// The simulator's origin.
        #[arg(long)]
        simulator: String,
        /// How many people.
        #[arg(long, default_value_t = 1000)]
        users: usize,
        /// Where to keep their tokens.
        #[arg(long)]
        out: PathBuf,
    },
    /// Calls one server and prints figures.
    Run {
        /// The endpoint, ending in /mcp.
        #[arg(long)]
        url: String,
        /// What log-in or grant wrote.
        #[arg(long)]
        people: PathBuf,
        #[command(flatten)]
        load: Load,
    },
    /// Opens sessions of 2025-era clients, uses each once more and leaves them open.
    Sessions {
        /// The endpoint, ending in /mcp.
        #[arg(long)]
        url: String,
        /// What log-in wrote.
        #[arg(long)]
        people: PathBuf,
        /// How many sessions, of these people in turn.
        #[arg(long, default_value_t = 10_000)]
        count: usize,
    },
    /// Calls two servers in turn, several times, and prints the ratios of the first to the second.
    Compare {
        /// The endpoint of the server.
        #[arg(long)]
        url: String,
        /// What log-in wrote.
        #[arg(long)]
        people: PathBuf,
        /// The endpoint of the yardstick.
        #[arg(long)]
        yardstick: String,
        /// What grant wrote.
        #[arg(long)]
        yardstick_people: PathBuf,
        /// How often each has its turn.
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        #[command(flatten)]
        load: Load,
    },
}

#[derive(clap::Args)]
struct Load {
    /// Connections, each with one call under way.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Seconds of calls that count, per turn.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Stop after so many calls instead.
    #[arg(long)]
    calls: Option<u64>,
    /// Seconds of calls before that do not count.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// The revision of the protocol: 2025-11-25 or 2026-07-28.
    #[arg(long, value_enum, default_value_t = Era::Modern)]
    era: Era,
}

impl Load {
    fn plan(&self) -> Outcome<Plan> {
        let bound = match self.calls {
            Some(calls) => Bound::Calls(calls),
            None => Bound::Time(Duration::try_from_secs_f64(self.seconds)?),
        };
        let warm_up = Duration::try_from_secs_f64(self.warm_up)?;
        Ok(Plan { connections: self.connections.clamp(1, 10_000), bound, warm_up })
    }
}

/// One thread: a generator must not take both cores from what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match carry_out(Args::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::problem(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> Outcome<()> {
    match command {
        Command::LogIn { server, users, out } => {
            let people = log_in::all(&server, users).await?;
            people::write(&out, &people)
        }
        Command::Grant { simulator, users, out } => {
            let people = grant::all(&simulator, users).await?;
            people::write(&out, &people)
        }
        Command::Run { url, people, load } => {
            let target = Target::new(&url, load.era, &people::read(&people)?)?;
            let figures = Figures::of(drive::run(&target, &load.plan()?).await?);
            report::one(&figures);
            figures.verdict()
        }
        Command::Sessions { url, people, count } => {
            sessions::open(&url, &people::read(&people)?, count).await
        }
        Command::Compare { url, people, yardstick, yardstick_people, rounds, load } => {
            let ours = Target::new(&url, load.era, &people::read(&people)?)?;
            let bare = Target::new(&yardstick, load.era, &people::read(&yardstick_people)?)?;
            compare(&ours, &bare, rounds.clamp(1, 1000), &load.plan()?).await
        }
    }
}

/// Turns alternate, so that whatever else the machine does meets both.
async fn compare(ours: &Target, bare: &Target, rounds: usize, plan: &Plan) -> Outcome<()> {
    let mut compared = Compared::default();
    for _ in 0..rounds {
        let first = Figures::of(drive::run(ours, plan).await?);
        let second = Figures::of(drive::run(bare, plan).await?);
        report::turn(&first, &second);
        first.verdict()?;
        second.verdict()?;
        compared.add(first, second);
    }
    report::ratios(&compared);
    Ok(())
}
