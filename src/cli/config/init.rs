//! `spotify-mcp config init`: asks on a terminal, or takes flags, and writes a working configuration with a fresh
//! master key beside it. Never over a file that is there; what it writes is loaded once before it is written.

mod ask;
mod draft;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::keygen::{already_there, write_secret};
use crate::ambient::Dice;
use crate::cli::configured;
use crate::cli::output::{Exit, Output, Refused, io_cause};
use crate::config::master_key::generate;
use crate::config::{Purpose, Sources};
use crate::crypto::SecretString;
use draft::Draft;

/// What `config init` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  spotify-mcp config init
  spotify-mcp config init --non-interactive \\
      --output /etc/spotify-mcp/server.toml \\
      --client-id 0123456789abcdef0123456789abcdef \\
      --client-secret-file /etc/spotify-mcp/client-secret \\
      --public-url https://music.example.org")]
pub struct Args {
    /// The configuration to write, .toml or .json; the master key goes beside it as master.key
    #[arg(short, long, value_name = "FILE", default_value = "spotify-mcp.toml")]
    output: PathBuf,
    /// Client id of your app at developer.spotify.com
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// File that holds the app's client secret (optional: PKCE is used with and without it)
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// The origin that clients see, for example https://music.example.org
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Ask nothing, even on a terminal
    #[arg(long)]
    non_interactive: bool,
}

const POLICY: &str = "\
Spotify's Developer Policy (https://developer.spotify.com/policy) concerns you as the app's owner: III.14 forbids feeding
Spotify content into machine learning or AI models, III.13 to derive listenership metrics from it. This server trains,
profiles and bulk-exports nothing, but whether your use is permitted is between you and Spotify. Once you have read the
policy, set spotify.policy_acknowledged (SPOTIFY_POLICY_ACKNOWLEDGED=true); until then 'serve' warns.";

/// Writes configuration and key.
pub fn run(args: &Args, output: &Output) -> Result<Exit, Refused> {
    let key_file = args.output.with_file_name("master.key");
    if args.output.symlink_metadata().is_ok() {
        return Err(already_there(&args.output));
    }
    if key_file.symlink_metadata().is_ok() {
        let text = format!("{} is there already and stays as it is", key_file.display());
        let next = "a database may need that key: name a file in another folder with --output";
        return Err(Refused::usage("FILE_EXISTS", text, next));
    }
    let (draft, client_secret) = draft(args, output)?;
    let secret_file = args.output.with_file_name("client-secret");
    let text = draft.text(is_json(&args.output));
    let key = generate(&Dice::system());

    let mut written = Written::default();
    written.file(&key_file, &key)?;
    if let Some(secret) = &client_secret {
        written.file(&secret_file, secret)?;
    }
    written.file(&args.output, &SecretString::new(text.trim_end()))?;
    let redirect_uri = check(&args.output)?;
    written.keep();
    report(args, &key_file, &redirect_uri, (draft.client_id.is_some(), output));
    if draft.client_id.is_none() {
        output.warn(
            "CONFIG_MISSING",
            "spotify.client_id is not set: 'serve' needs it, 'serve --sandbox' does not",
            "create an app at https://developer.spotify.com/dashboard and add its client id",
        );
    }
    Ok(Exit::Done)
}

/// The answers, from flags or from a person; a client secret that a person typed goes into a file of its own.
fn draft(args: &Args, output: &Output) -> Result<(Draft, Option<SecretString>), Refused> {
    let mut draft = Draft {
        client_id: args.client_id.clone(),
        client_secret_file: args.client_secret_file.as_deref().map(absolute).transpose()?,
        public_url: args.public_url.clone(),
        policy_acknowledged: false,
    };
    if args.non_interactive || !ask::can_ask() {
        return Ok((draft, None));
    }
    output.note(POLICY);
    let secret = ask::complete(&mut draft, output)?;
    if secret.is_some() {
        draft.client_secret_file = Some(PathBuf::from("client-secret"));
    }
    Ok((draft, secret))
}

fn absolute(path: &Path) -> Result<PathBuf, Refused> {
    path.canonicalize().map_err(|error| {
        let text =
            format!("the client secret's file {} cannot be read: {}", path.display(), io_cause(&error));
        Refused::usage("CONFIG_FILE_UNREADABLE", text, "name a file that exists and that this user may read")
    })
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Loads what was written as `serve` would, without this process's environment, and gives the redirect URI.
fn check(path: &Path) -> Result<String, Refused> {
    let home = std::env::var_os("HOME").map(|home| ("HOME".to_owned(), home));
    let sources = Sources {
        file: Some(path.to_owned()),
        env: home.into_iter().collect(),
        purpose: Purpose::Inspect,
        ..Sources::default()
    };
    let loaded = crate::config::load(&sources).map_err(|failure| {
        Refused::unexpected("BUILD_DAMAGED", &failure, "use a build that passes its tests")
    })?;
    configured::accept(loaded, &Output::silent()).map(|config| config.spotify.redirect_uri.to_string())
}

fn report(args: &Args, key_file: &Path, redirect_uri: &str, (complete, output): (bool, &Output)) {
    let (config, key) = (args.output.display(), key_file.display());
    // On a terminal the last line is what people follow.
    let missing =
        if complete { String::new() } else { format!("write your app's client_id into {config}, then ") };
    let text = format!(
        "Wrote {config}\n\
         Wrote {key} (the master key: keep a copy apart from the database)\n\n\
         Register this redirect URI at https://developer.spotify.com/dashboard, to the letter:\n  {redirect_uri}\n\n\
         {POLICY}\n\n\
         Then: {missing}spotify-mcp serve --config {config}\n"
    );
    let document = json!({
        "config": args.output,
        "master_key_file": key_file,
        "redirect_uri": redirect_uri,
        "notice": POLICY,
    });
    output.result(&text, &document);
}

/// Files that are removed again unless everything went well.
#[derive(Default)]
struct Written {
    files: Vec<PathBuf>,
}

impl Written {
    fn file(&mut self, path: &Path, text: &SecretString) -> Result<(), Refused> {
        write_secret(path, text)?;
        self.files.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) {
        self.files.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in &self.files {
            let _stays = std::fs::remove_file(path);
        }
    }
}
