//! `--format`: text or json for every command, more for `security-check` alone.

use clap::builder::{PossibleValuesParser, TypedValueParser as _, ValueParser};

use super::output::{Format, Refused};
use crate::check::report::Form;

/// Takes every form by its name.
pub(super) fn parser() -> ValueParser {
    let named = |name: String| Form::named(&name).ok_or("no such format");
    ValueParser::new(PossibleValuesParser::new(Form::ALL.map(Form::name)).try_map(named))
}

/// How a command's words are written, by what was said; `reports`: the command writes more forms, and several.
pub(super) fn format(said: &[Form], reports: bool) -> Result<Format, Refused> {
    match said {
        [] | [Form::Text] => Ok(Format::Text),
        [Form::Json] => Ok(Format::Json),
        _ if reports => Ok(Format::Text),
        [other] => Err(refused(format!("this command writes text or json, not {}", other.name()))),
        _ => Err(refused("--format can be given once here".to_owned())),
    }
}

fn refused(text: String) -> Refused {
    Refused::usage(
        "USAGE",
        text,
        "'spotify-mcp security-check' alone writes sarif, junit, oscal, poam and markdown, and several",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_commands_write_text_or_json_and_one_of_them() {
        assert_eq!(format(&[Form::Json], false).unwrap(), Format::Json);
        assert_eq!(format(&[], false).unwrap(), Format::Text);
        assert!(format(&[Form::Sarif], false).unwrap_err().message().contains("not sarif"));
        assert!(format(&[Form::Json, Form::Text], false).is_err());
        assert_eq!(format(&[Form::Json, Form::Sarif], true).unwrap(), Format::Text);
        assert_eq!(format(&[Form::Json], true).unwrap(), Format::Json);
    }
}
