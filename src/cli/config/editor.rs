//! The person's editor: told to keep no copy of what it edits, given no key, ended when this command is.
//!
//! What an editor's plugins do with a text is beyond this command, as is one that is not known here.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::confirm::is_terminal;
use crate::cli::watch::{Told, Watch};

/// Variables that hold keys: no business of an editor.
const KEYS: [&str; 4] = [
    "SPOTIFY_MCP_MASTER_KEY",
    "SPOTIFY_MCP__SECURITY__MASTER_KEY",
    "SPOTIFY_MCP__SECURITY__PASSPHRASE",
    "CREDENTIALS_DIRECTORY",
];

/// How vim writes: no swap file, backup, undo file, memory of marks and registers, or list of files.
const VIM: &str =
    "silent! set noswapfile nobackup nowritebackup noundofile viminfo= shada= history=0 clipboard=";
const EMACS: &str = "(setq make-backup-files nil auto-save-default nil auto-save-list-file-prefix nil \
    create-lockfiles nil backup-inhibited t undo-tree-auto-save-history nil savehist-mode nil recentf-mode nil \
    save-place-mode nil)";

/// An editor and what it is told.
#[derive(Debug, PartialEq, Eq)]
pub struct Editor {
    program: String,
    arguments: Vec<String>,
    /// Whether this command knows how to keep it from writing copies.
    pub is_known: bool,
}

/// Why editing did not end as it should.
#[derive(Debug)]
pub enum Ended {
    /// It cannot be started.
    NotStarted(std::io::Error),
    /// It said by its status that nothing is to be saved.
    Refused(ExitStatus),
    /// This command was told to end.
    Told(Told),
}

impl Editor {
    /// The one of `VISUAL` or `EDITOR`, else vi: a program and its arguments, without a shell.
    pub fn chosen() -> Self {
        let said = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok());
        let said = said.filter(|said| !said.trim().is_empty());
        Self::parse(said.as_deref().unwrap_or("vi"), &|program| resolve(program))
    }

    fn parse(said: &str, resolve: &dyn Fn(&str) -> Option<PathBuf>) -> Self {
        let mut words = said.split_whitespace().map(str::to_owned);
        let program = words.next().unwrap_or_else(|| "vi".to_owned());
        let mut arguments: Vec<String> = words.collect();
        // vi is mostly a link to something that knows more.
        let real = resolve(&program).unwrap_or_else(|| PathBuf::from(&program));
        let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let more = quiet(&name);
        let is_known = more.is_some();
        arguments.extend(more.unwrap_or_default().iter().map(|word| (*word).to_owned()));
        Self { program, arguments, is_known }
    }

    /// Its name, for a message.
    pub fn name(&self) -> &str {
        &self.program
    }

    /// Lets the person edit; `room` is where it may write what it must.
    pub fn edit(&self, file: &Path, room: &Path, watch: &mut Watch) -> Result<(), Ended> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(file).current_dir(room).env("TMPDIR", room);
        for name in KEYS {
            command.env_remove(name);
        }
        let mut child = watch.inside(|| command.kill_on_drop(true).spawn()).map_err(Ended::NotStarted)?;
        // At a terminal an interrupt goes to the editor as well, which may use it for itself.
        let ended = watch.during(!is_terminal(), child.wait());
        match ended {
            Ok(status) => match status.map_err(Ended::NotStarted)? {
                status if status.success() => Ok(()),
                status => Err(Ended::Refused(status)),
            },
            Err(told) => {
                let _again = watch.during(false, end(&mut child));
                Err(Ended::Told(told))
            }
        }
    }
}

/// What keeps an editor of this name from writing anywhere but into the file.
fn quiet(name: &str) -> Option<&'static [&'static str]> {
    let name = name.trim_end_matches(".exe");
    match name.split('.').next().unwrap_or_default() {
        "vim" | "nvim" | "gvim" | "mvim" | "vimx" => Some(&["-n", "-i", "NONE", "--cmd", VIM, "-c", VIM]),
        // Restricted: no backup, no history, no other file.
        "nano" | "rnano" => Some(&["-R"]),
        _ if name.starts_with("emacs") && !name.starts_with("emacsclient") => Some(&["--eval", EMACS]),
        "micro" => Some(&["-backup", "false", "-savehistory", "false", "-saveundo", "false"]),
        "hx" | "helix" => Some(&[]),
        _ => None,
    }
}

fn resolve(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Path::new(program).canonicalize().ok();
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find_map(|file| file.canonicalize().ok())
}

/// Ends the editor: in order if it does so within two seconds.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _gone = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(Duration::from_secs(2), child.wait()).await.is_err() {
        let _gone = child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_editors_are_told_to_keep_no_copies() {
        let editor = |said: &str, real: &'static str| Editor::parse(said, &|_| Some(PathBuf::from(real)));
        for real in ["/usr/bin/vim.basic", "/usr/bin/vim", "/opt/nvim", "/usr/bin/vim.tiny"] {
            let vi = editor("vi", real);
            assert!(vi.is_known && vi.arguments.iter().any(|word| word.contains("noswapfile")), "{vi:?}");
            assert!(
                vi.arguments.iter().any(|word| word.contains("noundofile"))
                    && vi.arguments.contains(&"NONE".into())
            );
        }
        assert_eq!(editor("nano -l", "/usr/bin/nano").arguments, ["-l", "-R"]);
        assert!(editor("emacs -nw", "/usr/bin/emacs-gtk").arguments[2].contains("make-backup-files nil"));
        let code = editor("code --wait", "/usr/bin/code");
        assert_eq!((code.is_known, code.arguments), (false, vec!["--wait".to_owned()]));
        assert!(!editor("emacsclient", "/usr/bin/emacsclient.emacs").is_known);
        assert!(!editor("vi", "/usr/bin/busybox").is_known);
    }
}
