//! `spotify-mcp config reload`: has the running server check and take over its changed configuration.

use serde_json::Value;

use crate::cli::Global;
use crate::cli::administer::{Place, configured_place_as_far_as_valid};
use crate::cli::control::{NoAnswer, Question, ask};
use crate::cli::output::{Exit, Output, Part, Refused, SealedExit};

/// What `config reload` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The server reads its own files and its own environment again, not this command's: this command only finds it by its
data directory. All or nothing: with one mistake nothing changes. Keys that need a restart are named and stay as they
were. SIGHUP does the same without an answer.

Examples:
  spotify-mcp config reload
  spotify-mcp config reload --config /etc/spotify-mcp/server.toml --format json")]
pub struct Args {
    /// The server of 'serve --sandbox' instead
    #[arg(long)]
    sandbox: bool,
}

/// Asks the server, and tells what became of it.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    // A changed configuration may be wrong: here it only says where the server is.
    let config = configured_place_as_far_as_valid(&Place { global, sandbox: args.sandbox })?;
    let data_dir = &config.storage.data_dir;
    let answer = ask(data_dir, Question::Reload).map_err(|no| match no {
        NoAnswer::NotRunning => Refused::incomplete(
            "SERVER_NOT_RUNNING",
            format!("no server runs on the data directory {}", data_dir.display()),
            "start it, or name its configuration: --config, --env-file, DATA_DIR",
        ),
        NoAnswer::Failed(failure) => Refused::unexpected(
            "SERVER_NO_ANSWER",
            &failure,
            "run it as the server's user; look at the server's log, which says what became of it",
        ),
    })?;
    if answer["ok"] != true {
        return Err(refused(&answer));
    }
    told(&answer, &global.output());
    Ok(Exit::Done)
}

fn told(answer: &Value, output: &Output) {
    for notice in members(answer, "notices") {
        let text = |name: &str| notice[name].as_str().unwrap_or_default().to_owned();
        output.warn(
            &text("code"),
            &format!("{} ({}): {}", text("key"), text("origin"), text("why")),
            &text("fix"),
        );
    }
    let words = |name: &str| -> Vec<String> {
        members(answer, name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (taken, restart) = (words("taken_over"), words("needs_restart"));
    let mut text = match taken.as_slice() {
        [] => {
            "The configuration is valid; nothing that a running server takes over has changed.\n".to_owned()
        }
        taken => format!("Taken over: {}.\n", taken.join(", ")),
    };
    if !restart.is_empty() {
        text += &format!("Needs a restart, and is as it was until then: {}.\n", restart.join(", "));
    }
    if let Some(other) = answer["master_key"]["source_has"].as_str() {
        let in_use = answer["master_key"]["in_use"].as_str().unwrap_or_default();
        text += &format!("The master key's source now has {other}; in use is {in_use}.\n");
    }
    output.result(&text, answer);
}

fn refused(answer: &Value) -> Refused {
    let text = |problem: &Value, name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let part = |problem: &Value| Part {
        code: text(problem, "code"),
        about: text(problem, "key"),
        origin: text(problem, "origin"),
        why: text(problem, "why"),
        fix: text(problem, "fix"),
    };
    let parts: Vec<Part> = members(answer, "problems").iter().map(part).collect();
    let (count, exit) = (parts.len(), exit(&parts));
    let plural = if count == 1 { "" } else { "s" };
    let text = format!("the server refuses the changed configuration, which has {count} problem{plural}");
    Refused::new(exit, "CONFIG_INVALID", text, "mend all of them and reload again; nothing was changed")
        .with_parts(parts)
}

/// What a sealed file has wrong has a status of its own.
fn exit(parts: &[Part]) -> Exit {
    let sealed = |part: &Part| match part.code.as_str() {
        "CONFIG_WRONG_KEY" => Some(SealedExit::WrongKey),
        "CONFIG_TAMPERED" => Some(SealedExit::Tampered),
        "CONFIG_ROLLED_BACK" => Some(SealedExit::RolledBack),
        "CONFIG_VERSION_UNKNOWN" => Some(SealedExit::Version),
        "CONFIG_KDF_OUT_OF_BOUNDS" => Some(SealedExit::Kdf),
        "CONFIG_SCHEMA" => Some(SealedExit::Schema),
        "CONFIG_NO_KEY_SOURCE" => Some(SealedExit::NoKey),
        _ => None,
    };
    parts.iter().find_map(sealed).map_or(Exit::Usage, Exit::Sealed)
}

fn members<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
