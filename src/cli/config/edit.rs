//! `spotify-mcp config edit`: a sealed file in the person's editor, its contents in memory alone. What comes back is
//! judged, shown as a redacted difference, confirmed, and replaces the file whole or not at all.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node, json};
use zeroize::Zeroizing;

use super::changes::{self, changes, shown};
use super::confirm::{ask, check_answerable, is_terminal, not_confirmed};
use super::editor::{Editor, Ended};
use super::ledger::Deed;
use super::room::{self, NoRoom, Room};
use super::safe::{self, FoundKey, Held, KeyArgs};
use super::set::save;
use crate::ambient::{Clock, Dice};
use crate::cli::Global;
use crate::cli::output::{Exit, Output, Refused, SealedExit, io_cause};
use crate::cli::watch::{Told, Watch};
use crate::config::file::parse_json;
use crate::config::sealed_file::{self, Lock};
use crate::config::unseal;
use crate::domain::event::EventCode;

/// What `config edit` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The editor is VISUAL or EDITOR, else vi. The contents lie in a folder of yours alone in memory that cannot be swapped out, and
are removed when the editor ends, also by a signal. vim, neovim, nano, emacs, micro and helix are told to write no swap, undo,
backup or history file; any other editor is warned about. Plugins are your own affair.

Nobody else can change the file meanwhile with these commands (status 18); what changes it without asking is noticed, and
your version is then kept, sealed, beside it as FILE.edited.

Exit status: 15 no valid configuration, 18 locked or changed meanwhile, 19 unchanged.

Examples:
  spotify-mcp config edit server.encrypted.json
  EDITOR='code --wait' spotify-mcp config edit server.encrypted.json --yes")]
pub struct Args {
    /// The sealed file
    file: PathBuf,
    /// Save without asking
    #[arg(short, long)]
    yes: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Where no memory is safe from being written to a disk: edit all the same
    #[arg(long)]
    allow_disk: bool,
    #[command(flatten)]
    opens: KeyArgs,
}

/// Edits the file.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let path = &args.file;
    safe::present(path)?;
    check_answerable(args.yes || args.dry_run)?;
    let key = args.opens.find(global)?;
    let lock = Lock::take(path).map_err(|trouble| safe::troubled(path, trouble))?;
    let mut held = args.opens.hold_with(path, &key, global)?;
    held.overtake();
    let desk = Desk { args, output: global.output(), held: &held };
    let mut watch = Watch::start()?;
    let Some(contents) = desk.edited(&mut watch)? else {
        let exit = Exit::Sealed(SealedExit::Unchanged);
        let text = format!("{} is what it was", path.display());
        return Err(Refused::new(exit, "CONFIG_UNCHANGED", text, "nothing was changed"));
    };
    desk.save(&lock, &key, &contents)
}

struct Desk<'a> {
    args: &'a Args,
    output: Output,
    held: &'a Held,
}

impl Desk<'_> {
    /// What the person made of it, valid and confirmed; `None`: it is what it was.
    fn edited(&self, watch: &mut Watch) -> Result<Option<Map<String, Node>>, Refused> {
        let room = Room::make(self.args.allow_disk, &Dice::system()).map_err(|why| no_room(&why))?;
        let opened = &self.held.open.opened;
        let text = Zeroizing::new(format!("{:#}\n", Node::Object(opened.plain.clone())));
        let file = room.write("configuration.json", &text).map_err(|error| no_room(&NoRoom::Io(error)))?;
        let editor = Editor::chosen();
        if !editor.is_known {
            let why = format!(
                "{} may keep copies of the secrets elsewhere: this command does not know it",
                editor.name()
            );
            self.output.warn("EDITOR_UNKNOWN", &why, "set EDITOR to vim, nvim, nano, emacs, micro or hx");
        }
        loop {
            editor.edit(&file, room.path(), watch).map_err(|ended| not_edited(&editor, ended))?;
            let refused = match self.judged(&file) {
                Ok(contents) if contents == opened.plain => return Ok(None),
                Ok(contents) => match self.confirmed(&contents, watch) {
                    Ok(true) => return Ok(Some(contents)),
                    Ok(false) => continue,
                    Err(refused) => return Err(refused),
                },
                Err(refused) => refused,
            };
            if !is_terminal() {
                return Err(refused);
            }
            self.output.refused(&refused);
            if self.asked("Edit again? [Y/n]", watch)? == Some('n') {
                return Err(refused);
            }
        }
    }

    fn judged(&self, file: &Path) -> Result<Map<String, Node>, Refused> {
        let shown = &self.args.file;
        let unread = |error: std::io::Error| {
            let text = format!("what was edited cannot be read: {}", io_cause(&error));
            Refused::incomplete("EDITOR_FAILED", text, "save in the place where the editor opened it")
        };
        let text = room::read(file).map_err(unread)?;
        let tree = parse_json(&text).map_err(|(line, why)| {
            let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
            let text = format!("what was edited is no configuration: {why}{line}");
            Refused::new(
                Exit::Sealed(SealedExit::Schema),
                "CONFIG_SYNTAX",
                text,
                "mend it; nothing was changed",
            )
        })?;
        if tree.root.contains_key(crate::config::sealed::MARK) {
            let text = "the header of a sealed file is not edited by hand";
            return Err(Refused::new(
                Exit::Sealed(SealedExit::Schema),
                "CONFIG_SCHEMA",
                text,
                "take $sealed out",
            ));
        }
        safe::judge(shown, &tree.root, &[])?;
        Ok(tree.root)
    }

    /// Shows what would change; `false`: the person wants to edit again.
    fn confirmed(&self, contents: &Map<String, Node>, watch: &mut Watch) -> Result<bool, Refused> {
        self.output.note(&self.differences(contents).0);
        if self.args.yes || self.args.dry_run {
            return Ok(true);
        }
        match self.asked("Save this? [y]es, [e]dit again, [N]o", watch)? {
            Some('e') => Ok(false),
            Some('y') => Ok(true),
            _ => Err(not_confirmed()),
        }
    }

    fn asked(&self, question: &'static str, watch: &mut Watch) -> Result<Option<char>, Refused> {
        let output = self.output;
        let answer = watch.during_blocking(move || ask(question, &output)).map_err(|told| ended_by(&told))?;
        Ok(answer.flatten())
    }

    /// For people, for programs, and the keys alone.
    fn differences(&self, contents: &Map<String, Node>) -> (String, Vec<Node>, String) {
        let opened = &self.held.open.opened;
        let (before, after) = (shown(&opened.plain, opened), shown(contents, opened));
        let changes = changes(&before, &after);
        (changes::in_words(&changes), changes::document(&changes), changes::keys(&changes))
    }

    fn save(&self, lock: &Lock, key: &FoundKey, contents: &Map<String, Node>) -> Result<Exit, Refused> {
        let (path, open) = (&self.args.file, &self.held.open);
        let (_, document, keys) = self.differences(contents);
        if self.args.dry_run {
            let words = format!("{} would be changed\n", path.display());
            self.output.result(&words, &json!({ "file": path, "dry_run": true, "changes": document }));
            return Ok(Exit::Done);
        }
        let text = open.opened.reseal(contents, Clock::system().now(), &Dice::system());
        if let Err(refused) = save(lock, path, open, &text, (key, contents)) {
            self.keep_beside(&text);
            return Err(refused);
        }
        let (rev, digest) = (open.opened.header.rev.saturating_add(1), unseal::digest(&text));
        let (code, verb) = (EventCode::ConfigChanged, "config edit");
        self.held
            .ledger
            .record(&open.opened.header, &Deed { code, verb, rev, digest: &digest, about: &keys });
        let words = format!("Saved {} (revision {rev})\n", path.display());
        let document = json!({ "file": path, "rev": rev, "digest": digest, "changes": document });
        self.output.result(&words, &document);
        Ok(Exit::Done)
    }

    /// Nothing that was typed is lost: sealed, it may lie on a disk.
    fn keep_beside(&self, text: &str) {
        let mut name = self.args.file.as_os_str().to_owned();
        name.push(".edited");
        let beside = PathBuf::from(name);
        match sealed_file::create(&beside, text, &|_| Ok(())) {
            Ok(()) => self.output.note(&format!("what was edited is kept, sealed, in {}", beside.display())),
            Err(_) => {
                let why =
                    format!("what was edited cannot be kept as {} either, and is lost", beside.display());
                self.output.warn("EDIT_NOT_KEPT", &why, "make room, or move that file away, and edit again");
            }
        }
    }
}

fn not_edited(editor: &Editor, ended: Ended) -> Refused {
    let (text, next) = match ended {
        Ended::NotStarted(error) => {
            let text = format!("{} cannot be started: {}", editor.name(), io_cause(&error));
            (text, "set EDITOR to one that is there")
        }
        Ended::Refused(status) => {
            (format!("{} ended with {status}; nothing was changed", editor.name()), "edit again")
        }
        Ended::Told(told) => return ended_by(&told),
    };
    Refused::incomplete("EDITOR_FAILED", text, next)
}

fn ended_by(told: &Told) -> Refused {
    let text = format!("ended by {}; nothing was changed, and nothing is left of the edit", told.0);
    Refused::incomplete("EDITOR_FAILED", text, "edit again")
}

fn no_room(why: &NoRoom) -> Refused {
    match why {
        NoRoom::NotInMemory(why) => Refused::incomplete(
            "EDIT_ON_DISK",
            format!("there is no place in memory alone to edit in: {why}"),
            "turn swap off, mount tmpfs with noswap, use 'config set', or add --allow-disk",
        ),
        NoRoom::Io(error) => Refused::incomplete(
            "EDIT_ON_DISK",
            format!("the place to edit in cannot be made: {}", io_cause(error)),
            "see that XDG_RUNTIME_DIR or /dev/shm can be written to",
        ),
    }
}
