//! `spotify-mcp config encrypt`: a sealed copy of a plain configuration. The plain file stays untouched.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Map, Value as Node, json};

use super::accept_merge;
use super::safe::{self, FoundKey};
use crate::ambient::{Clock, Dice};
use crate::cli::configured::parts;
use crate::cli::output::{Exit, Output, Refused, SealedExit};
use crate::cli::{Global, secret_input};
use crate::config::master_key::{decode, generate};
use crate::config::sealed::{self, Opener, Sealed};
use crate::config::sealed_file::{self, Change, Lock};
use crate::config::{read_plain, unseal};
use crate::crypto::SecretString;
use crate::crypto::kdf::Kdf;
use crate::crypto::keys::RootKey;

/// What `config encrypt` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key is the server's own: SPOTIFY_MCP_MASTER_KEY, its _FILE, the systemd credential, a key command or a passphrase in
the environment, or master.key in the data directory. Key names stay readable, secrets are sealed, and the whole text is
authenticated: no other byte of it can be changed by hand.

Examples:
  spotify-mcp config encrypt server.toml -o server.encrypted.json \\
      --recovery-out recovery.key
  spotify-mcp config encrypt server.json --passphrase-file phrase

After a merge by version control the values of a sealed file are still sealed, and its text as a whole is nobody's:
  spotify-mcp config encrypt server.encrypted.json --accept-merge \\
      --against ours.json --against theirs.json
shows what it says, secrets as fingerprints, and seals the text anew once you confirm. Without --against it is compared with
FILE.bak, or shown whole.")]
pub struct Args {
    /// The plain configuration, TOML or JSON
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The sealed file to write, .json; IN with .encrypted.json unless it is said
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Vouch for IN, a sealed file that was merged, and seal its text anew in its place
    #[arg(long, conflicts_with_all = ["output", "force", "passphrase_file", "passphrase", "recovery_out"])]
    accept_merge: bool,
    /// With --accept-merge: an authentic revision to compare it with; may be given several times
    #[arg(long, value_name = "FILE", requires = "accept_merge")]
    against: Vec<PathBuf>,
    /// With --accept-merge: do not ask
    #[arg(short, long)]
    yes: bool,
    /// Put the new file in the place of one that is there
    #[arg(long)]
    force: bool,
    /// Let the passphrase in this file open it too
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    passphrase_file: Option<PathBuf>,
    /// Let a passphrase open it too, asked for without echo
    #[arg(long)]
    passphrase: bool,
    /// How a key is derived from it: argon2id (64 MiB, 3 passes) or pbkdf2-sha256 (600,000 rounds)
    #[arg(long, value_name = "KDF", default_value = "argon2id", hide_possible_values = true)]
    kdf: KdfName,
    /// Make a recovery key that opens it too, and write it to this new file; keep that file elsewhere
    #[arg(long, value_name = "FILE")]
    recovery_out: Option<PathBuf>,
}

/// How a key is derived from a passphrase.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum KdfName {
    /// Argon2id with 64 MiB and 3 passes
    Argon2id,
    /// PBKDF2-HMAC-SHA256 with 600,000 rounds
    #[value(name = "pbkdf2-sha256")]
    Pbkdf2Sha256,
}

impl KdfName {
    /// The derivation with a fresh salt.
    pub fn fresh(self, dice: &Dice) -> Kdf {
        match self {
            Self::Argon2id => Kdf::argon2id(&dice.bytes()),
            Self::Pbkdf2Sha256 => Kdf::pbkdf2_sha256(&dice.bytes()),
        }
    }
}

/// Seals the file.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    if args.accept_merge {
        return accept_merge::run(&args.input, &args.against, args.yes, global);
    }
    let output = global.output();
    let out = args.output.clone().unwrap_or_else(|| args.input.with_extension("encrypted.json"));
    check_paths(args, &out)?;
    let contents = read_plain(&args.input).map_err(|problems| {
        let text = format!("{} cannot be sealed", args.input.display());
        Refused::usage("CONFIG_INVALID", text, "mend it; nothing was written").with_parts(parts(&problems))
    })?;
    safe::judge(&args.input, &contents, &[])?;
    warn_of_relative_paths(args, &out, &contents, &output);

    let dice = Dice::system();
    let mut keys = keys(args, global, &output)?;
    let recovery = args.recovery_out.as_ref().map(|path| (path, generate(&dice)));
    if let Some((path, text)) = &recovery {
        let key =
            decode(text.expose()).map_err(|wrong| Refused::incomplete(wrong.code, wrong.why, wrong.fix))?;
        keys.push(FoundKey::recovery(RootKey::new(key), path.display().to_string()));
    }
    if keys.iter().all(|key| matches!(key.opener(), Opener::Recovery(_))) {
        return Err(no_server_key(&args.input, &contents));
    }
    let text = seal(args.kdf, &contents, &keys, &dice).map_err(|refusal| safe::refused(&out, &refusal))?;
    if let Some((path, key)) = &recovery {
        super::keygen::write_secret(path, key)?;
    }
    let written =
        write(args, &out, &text, &|back| keys.iter().try_for_each(|key| safe::proven(back, key, &contents)));
    if let (Err(_), Some((path, _))) = (&written, &recovery) {
        let _gone = std::fs::remove_file(path);
    }
    written?;
    report(args, &out, &text, &keys, &output)
}

/// No server could start with what only a recovery key opens. A key that the plain file names is none outside of it.
fn no_server_key(input: &Path, contents: &Map<String, Node>) -> Refused {
    let named = contents.get("security").and_then(|section| section.get("master_key_file")?.as_str());
    let Some(named) = named else { return safe::no_key_refused() };
    let key = input.with_file_name(named);
    Refused::new(
        Exit::Sealed(SealedExit::NoKey),
        "CONFIG_NO_KEY_SOURCE",
        format!(
            "nothing outside {} has a key, and the one that it names itself cannot open it",
            input.display()
        ),
        format!("set SPOTIFY_MCP_MASTER_KEY_FILE={}, here and for the server", key.display()),
    )
}

fn check_paths(args: &Args, out: &Path) -> Result<(), Refused> {
    if !out.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json")) {
        let text = format!("{} does not end in .json, and a sealed file is JSON", out.display());
        return Err(Refused::usage("CONFIG_FILE_TYPE", text, "name it for example server.encrypted.json"));
    }
    let same = out.canonicalize().is_ok_and(|out| args.input.canonicalize().is_ok_and(|input| input == out));
    if same || (!args.force && out.symlink_metadata().is_ok()) {
        return Err(super::keygen::already_there(out));
    }
    Ok(())
}

/// The server's own key, and a passphrase.
fn keys(args: &Args, global: &Global, output: &Output) -> Result<Vec<FoundKey>, Refused> {
    let mut keys: Vec<FoundKey> = safe::server_key(global)?.into_iter().collect();
    if let Some(path) = &args.passphrase_file {
        let passphrase = secret_input::from_file(path)?;
        keys.push(FoundKey::passphrase(passphrase, path.display().to_string()));
    } else if args.passphrase {
        let typed: SecretString = secret_input::asked_twice("New passphrase", output)?;
        keys.push(FoundKey::passphrase(typed, "the terminal".to_owned()));
    }
    Ok(keys)
}

fn seal(
    kdf: KdfName,
    contents: &Map<String, Node>,
    keys: &[FoundKey],
    dice: &Dice,
) -> Result<String, sealed::Refusal> {
    let kdf = kdf.fresh(dice);
    let openers: Vec<Opener<'_>> = keys
        .iter()
        .map(|key| match key.opener() {
            Opener::Passphrase(passphrase, _) => Opener::Passphrase(passphrase, Some(&kdf)),
            other => other,
        })
        .collect();
    sealed::seal(contents, &openers, Clock::system().now(), dice)
}

fn write(args: &Args, out: &Path, text: &str, proof: &sealed_file::Proof<'_>) -> Result<(), Refused> {
    let troubled = |trouble| safe::troubled(out, trouble);
    if !args.force || out.symlink_metadata().is_err() {
        return sealed_file::create(out, text, proof).map_err(troubled);
    }
    let lock = Lock::take(out).map_err(troubled)?;
    let before = sealed_file::read(out).map_err(troubled)?;
    // A plain file that is replaced leaves no copy of its secrets.
    let keep = sealed::is_sealed(&before);
    let change = Change { before: &before, after: text, keep };
    sealed_file::replace(&lock, out, change, proof).map_err(troubled)
}

/// Names of secret files are relative to the configuration that names them.
fn warn_of_relative_paths(args: &Args, out: &Path, contents: &Map<String, Node>, output: &Output) {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().ok()
    };
    if folder(&args.input) == folder(out) {
        return;
    }
    let relative = |node: &Node| node.as_str().is_some_and(|path| Path::new(path).is_relative());
    let named = contents.values().filter_map(Node::as_object).flatten();
    for (name, _) in named.filter(|(name, node)| name.ends_with("_file") && relative(node)) {
        output.warn(
            "CONFIG_RELATIVE_FILE",
            &format!(
                "{name} names a file relative to {}, and the sealed file lies elsewhere",
                args.input.display()
            ),
            "write an absolute path",
        );
    }
}

fn report(args: &Args, out: &Path, text: &str, keys: &[FoundKey], output: &Output) -> Result<Exit, Refused> {
    let sealed = Sealed::parse(text).map_err(|refusal| safe::refused(out, &refusal))?;
    let header = sealed.header();
    let places: Vec<&str> = keys.iter().map(|key| key.place.as_str()).collect();
    let words = format!(
        "Wrote {} (revision {})\n{}Keys from: {}\n\n{} is untouched and still holds its secrets in the clear: remove it once this works:\n  \
         spotify-mcp serve --config {}\n",
        out.display(),
        header.rev,
        safe::slots_in_words(header),
        places.join(", "),
        args.input.display(),
        out.display(),
    );
    let document = json!({
        "file": out,
        "lineage": header.lineage,
        "rev": header.rev,
        "digest": unseal::digest(text),
        "slots": safe::slots_document(header),
    });
    output.result(&words, &document);
    Ok(Exit::Done)
}
