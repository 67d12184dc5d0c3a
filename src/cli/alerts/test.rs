//! `spotify-mcp alerts test`: one message through each channel of the configuration, here and now.

use std::time::Instant;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use crate::alerts::{CHANNELS, Channel, Message, NoReceiver, channels};
use crate::ambient::{Clock, Dice};
use crate::cli::administer::{Place, configured_place, runtime};
use crate::cli::output::{Exit, Refused};
use crate::cli::table::columns;
use crate::domain::AlertId;

/// What `alerts test` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Says of each channel whether it took the test, and if not why; status 3 where one did not. Needs no server and no
database. What receivers get has the type alert.test and the rule 'test'. A mail must be taken for every recipient.

Examples:
  spotify-mcp alerts test
  spotify-mcp alerts test --channel webhook --format json")]
pub struct Args {
    /// This channel alone
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CHANNELS))]
    channel: Option<String>,
}

/// What became of one.
struct Told {
    channel: &'static str,
    milliseconds: u128,
    refused: Option<(&'static str, String)>,
}

/// Sends it, and prints what became of it.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let (config, _) = configured_place(place)?;
    let clock = Clock::system();
    let server = (config.security.environment, config.server.issuer());
    let all =
        channels(&config.alerts, (server.0, &server.1), &clock).map_err(|NoReceiver { key, why }| {
            Refused::usage("CONFIG_HOST", format!("{key}: {why}"), NoReceiver::FIX)
        })?;
    let wanted = |channel: &&Channel| args.channel.as_deref().is_none_or(|name| name == channel.name());
    let chosen: Vec<_> = all.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let text = match &args.channel {
            Some(name) => format!("the configuration names no {name} for alerts"),
            None => "the configuration names nobody to be told".to_owned(),
        };
        let next = "set alerts.webhook_url and alerts.webhook_secret, alerts.mail.host, .from and .to, or alerts.command";
        return Err(Refused::usage("ALERTS_NO_CHANNEL", text, next));
    }
    let id = AlertId::mint(Dice::system().bytes());
    let message = Message::test(id.as_str(), &config, clock.now());
    let told: Vec<Told> = runtime()?.block_on(async {
        let mut told = Vec::new();
        for channel in chosen {
            let began = Instant::now();
            let refused = channel.tell(&message).await.err().map(|why| (why.code, why.why));
            told.push(Told { channel: channel.name(), milliseconds: began.elapsed().as_millis(), refused });
        }
        told
    });
    let document: Vec<Value> = told.iter().map(one).collect();
    place.global.output().result(&table(&told), &json!({ "id": id, "channels": document }));
    Ok(if told.iter().all(|one| one.refused.is_none()) { Exit::Done } else { Exit::Incomplete })
}

fn one(told: &Told) -> Value {
    json!({
        "channel": told.channel,
        "told": told.refused.is_none(),
        "milliseconds": told.milliseconds,
        "code": told.refused.as_ref().map(|(code, _)| code),
        "why": told.refused.as_ref().map(|(_, why)| why),
    })
}

fn table(told: &[Told]) -> String {
    let row = |one: &Told| {
        let (result, why) = match &one.refused {
            None => ("told".to_owned(), String::new()),
            Some((code, why)) => (format!("NOT TOLD ({code})"), why.clone()),
        };
        [one.channel.to_owned(), result, format!("{} ms", one.milliseconds), why]
    };
    let rows: Vec<[String; 4]> = told.iter().map(row).collect();
    columns(&["CHANNEL", "RESULT", "TOOK", "WHY"], &rows)
}
