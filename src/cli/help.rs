//! How `--help` and the manual are laid out, and what a wrong command line is told to read.
//!
//! Never: what a command does, or a word about it.

use std::net::SocketAddr;

use clap::Command;

/// Heading of the flags that stand before or after any command.
pub(super) const OF_EVERY_COMMAND: &str = "Options of every command";

/// Lets the words after the options fill whatever width there is: a paragraph that is wrapped in the source is one line.
pub(super) fn laid_out(command: Command) -> Command {
    let words = command.get_after_help().map(ToString::to_string);
    let command = match words {
        Some(words) => command.after_help(filled(&words)),
        None => command,
    };
    command.mut_subcommands(laid_out)
}

fn filled(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    let mut before = None;
    for line in words.lines() {
        match before {
            Some(before) if is_one_paragraph(before, line) => text.push(' '),
            Some(_) => text.push('\n'),
            None => {}
        }
        text.push_str(line);
        before = Some(line);
    }
    text
}

/// Examples and tables are indented, and what announces them ends with a colon.
fn is_one_paragraph(before: &str, line: &str) -> bool {
    let is_prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
    is_prose(before) && is_prose(line) && !before.ends_with(':')
}

/// The command that these words were meant for, as far as they name one.
pub(super) fn meant(definition: &Command, words: impl Iterator<Item = String>) -> String {
    let mut name = definition.get_name().to_owned();
    let mut command = definition;
    for word in words {
        if let Some(found) = command.find_subcommand(&word) {
            name = format!("{name} {}", found.get_name());
            command = found;
        }
    }
    name
}

/// An address and a port, for `--listen`.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_unspecific| "write an IP address and a port, for example 127.0.0.1:8000 or [::1]:8000")
}

#[cfg(test)]
mod tests {
    use super::super::definition;
    use super::*;

    fn each(command: &Command, look: &mut impl FnMut(&Command)) {
        look(command);
        command.get_subcommands().for_each(|below| each(below, look));
    }

    #[test]
    fn prose_is_not_broken_by_hand_and_examples_fit_a_terminal_of_80_columns() {
        each(&definition(), &mut |command| {
            let words = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = words.lines().collect();
            for pair in lines.windows(2) {
                assert!(!is_one_paragraph(pair[0], pair[1]), "{}: {pair:?}", command.get_name());
            }
            for line in lines.iter().filter(|line| line.starts_with(' ')) {
                assert!(line.len() <= 80, "{}: {line}", command.get_name());
            }
        });
    }

    #[test]
    fn options_of_every_command_stand_apart() {
        each(&definition(), &mut |command| {
            let mut command = command.clone();
            let help = command.render_help().to_string();
            let own = help.split(OF_EVERY_COMMAND).next().unwrap_or_default();
            assert!(!own.contains("--log-level <LEVEL>") && !own.contains("--no-color "), "{help}");
        });
    }

    #[test]
    fn a_wrong_command_line_is_led_to_the_help_of_its_command() {
        let of = |words: &[&str]| meant(&definition(), words.iter().map(|word| (*word).to_owned()));
        assert_eq!(of(&["config", "slot", "add", "--nonsense"]), "spotify-mcp config slot add");
        assert_eq!(of(&["--format", "json", "serve", "--sandbx"]), "spotify-mcp serve");
        assert_eq!(of(&["sevre"]), "spotify-mcp");
    }
}
