//! The prompts: ready-made requests that a person can pick in their client.
//!
//! A prompt only words a request. It calls nothing and knows nobody.

use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

use crate::spotify::text::clean;

const BUILD_PLAYLIST: &str = "build_playlist";
/// Longest argument, in characters.
const LONGEST: usize = 500;

/// Every prompt, sorted by name.
pub(super) fn all() -> Vec<Prompt> {
    let arguments = vec![
        PromptArgument::new("theme")
            .with_description("What the playlist is for: a mood, an occasion, artists, a decade")
            .with_required(true),
        PromptArgument::new("length").with_description("How many tracks, 1 to 100; 20 unless said otherwise"),
    ];
    let about = "Find tracks for a theme and put them into a new playlist";
    vec![Prompt::new(BUILD_PLAYLIST, Some(about), Some(arguments)).with_title("Build a playlist")]
}

/// The wording of one prompt.
///
/// # Errors
/// -32602 for an unknown name, a missing theme or a length that is not 1 to 100.
pub(crate) fn get(name: &str, arguments: Option<&JsonObject>) -> Result<GetPromptResult, ErrorData> {
    if name != BUILD_PLAYLIST {
        return Err(ErrorData::invalid_params(format!("unknown prompt '{}'", clean(name, 100)), None));
    }
    let argument =
        |name: &str| arguments.and_then(|all| all.get(name)).and_then(Value::as_str).map(str::trim);
    let theme = argument("theme").map(|theme| clean(theme, LONGEST)).filter(|theme| !theme.is_empty());
    let theme = theme.ok_or_else(|| ErrorData::invalid_params("the argument 'theme' is needed", None))?;
    let length = match argument("length").filter(|length| !length.is_empty()) {
        None => 20,
        Some(length) => length
            .parse::<u8>()
            .ok()
            .filter(|length| (1..=100).contains(length))
            .ok_or_else(|| ErrorData::invalid_params("'length' must be a number from 1 to 100", None))?,
    };
    let text = format!(
        "Build a Spotify playlist of {length} tracks for this theme: {theme}\n\n\
         1. Think of fitting tracks and find each with search_tracks; take only tracks that were found.\n\
         2. Show me the list and a name for the playlist, and wait until I agree.\n\
         3. Make it with create_playlist, private, with the track_uris in a good order.\n\
         4. Tell me its link, and which tracks you could not find."
    );
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wording(arguments: Value) -> Result<String, ErrorData> {
        let result = get(BUILD_PLAYLIST, arguments.as_object())?;
        Ok(serde_json::to_string(&result.messages).unwrap())
    }

    #[test]
    fn the_wording_holds_the_theme_and_the_length() {
        let text = wording(json!({"theme": "rainy\u{202e} Sunday", "length": "12"})).unwrap();
        assert!(text.contains("12 tracks") && text.contains("rainy Sunday"));
        assert!(wording(json!({"theme": "x"})).unwrap().contains("20 tracks"));
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        for arguments in [json!({}), json!({"theme": " "}), json!({"theme": "x", "length": "101"})] {
            assert!(wording(arguments).is_err());
        }
        assert!(get("clean_playlist", None).is_err());
    }
}
