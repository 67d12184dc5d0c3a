//! The prompts: ready-made requests that a person can pick in their client.
//!
//! A prompt only words a request. It calls nothing and knows nobody.

use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};

use serde_json::Value;

use crate::spotify::text::clean;

const BUILD_PLAYLIST: &str = "build_playlist";
const CLEAN_PLAYLIST: &str = "clean_playlist";
/// Longest argument, in characters.
const LONGEST: usize = 500;

/// The tools that a prompt speaks of: without them it asks for what cannot be done.
fn needs(prompt: &str) -> &'static [&'static str] {
    match prompt {
        BUILD_PLAYLIST => &["match_tracks", "create_playlist"],
        _ => &["get_user_playlists", "get_playlist_tracks", "deduplicate_playlist", "undo_change"],
    }
}

/// Every prompt whose tools are offered, sorted by name.
pub(super) fn all(is_offered: impl Fn(&str) -> bool) -> Vec<Prompt> {
    let arguments = vec![
        PromptArgument::new("theme")
            .with_description("What the playlist is for: a mood, an occasion, artists, a decade")
            .with_required(true),
        PromptArgument::new("length").with_description("How many tracks, 1 to 100; 20 unless said otherwise"),
    ];
    let about = "Find tracks for a theme and put them into a new playlist";
    let build = Prompt::new(BUILD_PLAYLIST, Some(about), Some(arguments)).with_title("Build a playlist");
    let which = PromptArgument::new("playlist")
        .with_description("The playlist: its name, id or link")
        .with_required(true);
    let about =
        "Find duplicates and tracks that are no longer available in a playlist, and remove what you agree to";
    let clean = Prompt::new(CLEAN_PLAYLIST, Some(about), Some(vec![which])).with_title("Clean a playlist");
    let can = |prompt: &Prompt| needs(&prompt.name).iter().all(|tool| is_offered(tool));
    vec![build, clean].into_iter().filter(can).collect()
}

/// The wording of one prompt.
///
/// # Errors
/// -32602 for a name that is unknown or not offered, a missing theme or playlist, or a length that is not 1 to 100.
pub(crate) fn get(
    name: &str,
    arguments: Option<&JsonObject>,
    is_offered: impl Fn(&str) -> bool,
) -> Result<GetPromptResult, ErrorData> {
    let can = needs(name).iter().all(|tool| is_offered(tool));
    let text = match name {
        BUILD_PLAYLIST if can => build_playlist(arguments)?,
        CLEAN_PLAYLIST if can => clean_playlist(arguments)?,
        _ => return Err(ErrorData::invalid_params(format!("unknown prompt '{}'", clean(name, 100)), None)),
    };
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]))
}

/// An argument that is there; blank counts as absent.
fn argument<'a>(arguments: Option<&'a JsonObject>, name: &str) -> Option<&'a str> {
    let text = arguments?.get(name)?.as_str()?.trim();
    (!text.is_empty()).then_some(text)
}

/// The same cleaned, where it is needed.
fn needed(arguments: Option<&JsonObject>, name: &str) -> Result<String, ErrorData> {
    let text = argument(arguments, name).map(|text| clean(text, LONGEST)).filter(|text| !text.is_empty());
    text.ok_or_else(|| ErrorData::invalid_params(format!("the argument '{name}' is needed"), None))
}

/// A number, as text (as the protocol has it) or as a number (as some clients send it).
fn length(arguments: Option<&JsonObject>) -> Result<u64, ErrorData> {
    let said = match arguments.and_then(|arguments| arguments.get("length")) {
        None | Some(Value::Null) => return Ok(20),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(20),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(other) => other.as_u64(),
    };
    said.filter(|length| (1..=100).contains(length))
        .ok_or_else(|| ErrorData::invalid_params("'length' must be a number from 1 to 100", None))
}

fn build_playlist(arguments: Option<&JsonObject>) -> Result<String, ErrorData> {
    let theme = needed(arguments, "theme")?;
    let length = length(arguments)?;
    let tracks = if length == 1 { "track" } else { "tracks" };
    Ok(format!(
        "Build a Spotify playlist of {length} {tracks} for this theme: {theme}\n\n\
         1. Think of fitting tracks, and find them with match_tracks, up to 50 titles with their artists in one call; take \
         only tracks that were found, and others in place of those that were not.\n\
         2. Show me the list and a name for the playlist, and wait until I agree.\n\
         3. Make it with create_playlist, private, with the track_uris in a good order.\n\
         4. Tell me its link, and which tracks you could not find."
    ))
}

fn clean_playlist(arguments: Option<&JsonObject>) -> Result<String, ErrorData> {
    let playlist = needed(arguments, "playlist")?;
    Ok(format!(
        "Clean this Spotify playlist of mine: {playlist}\n\n\
         1. If that is a name, find the playlist with get_user_playlists (query, owned_only); if several fit, ask me.\n\
         2. Look for duplicates with deduplicate_playlist, which first only plans, and with get_playlist_tracks for \
         tracks that are no longer available.\n\
         3. Show me what would go and what Spotify would lose with it (the dates of adding), and wait until I agree.\n\
         4. Apply exactly the plan that I agreed to.\n\
         5. Tell me what was removed, and that undo_change with the change_id takes it back, but for local files and \
         tracks that are no longer available."
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tools::ALL as TOOLS;
    use super::*;
    use serde_json::json;

    fn wording(arguments: Value) -> Result<String, ErrorData> {
        worded(BUILD_PLAYLIST, &arguments)
    }

    fn worded(name: &str, arguments: &Value) -> Result<String, ErrorData> {
        let result = get(name, arguments.as_object(), |_| true)?;
        Ok(serde_json::to_string(&result.messages).unwrap())
    }

    #[test]
    fn a_playlist_is_cleaned_by_its_name_which_is_cleaned_too() {
        let text = worded(CLEAN_PLAYLIST, &json!({"playlist": "Road\u{202e} trip"})).unwrap();
        assert!(text.contains("of mine: Road trip") && text.contains("deduplicate_playlist"));
        assert!(worded(CLEAN_PLAYLIST, &json!({"playlist": "\n"})).is_err());
    }

    #[test]
    fn a_prompt_speaks_only_of_tools_that_there_are() {
        let all = [json!({"theme": "x"}), json!({"playlist": "x"})];
        for (prompt, arguments) in all_names().into_iter().zip(&all) {
            let text = worded(&prompt, arguments).unwrap();
            for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
                let is_tool = word.contains('_') && !NO_TOOLS.contains(&word);
                assert!(!is_tool || TOOLS.iter().any(|tool| tool.name == word), "{prompt}: {word}");
                assert!(!is_tool || needs(&prompt).contains(&word), "{prompt}: {word}");
            }
        }
    }

    /// Names of arguments.
    const NO_TOOLS: [&str; 3] = ["track_uris", "owned_only", "change_id"];

    fn all_names() -> Vec<String> {
        all(|_| true).into_iter().map(|prompt| prompt.name).collect()
    }

    #[test]
    fn the_wording_holds_the_theme_and_the_length() {
        let text = wording(json!({"theme": "rainy\u{202e} Sunday", "length": "12"})).unwrap();
        assert!(text.contains("12 tracks") && text.contains("rainy Sunday"));
        assert!(wording(json!({"theme": "x"})).unwrap().contains("20 tracks"));
        let many = wording(json!({"theme": "x", "length": 60})).unwrap();
        assert!(many.contains("60 tracks") && many.contains("match_tracks"), "{many}");
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        for arguments in [
            json!({}),
            json!({"theme": " "}),
            json!({"theme": "x", "length": "101"}),
            json!({"theme": "x", "length": [7]}),
        ] {
            assert!(wording(arguments).is_err());
        }
        assert!(get("clean_playlist", None, |_| true).is_err() && get("nothing", None, |_| true).is_err());
    }

    #[test]
    fn a_prompt_whose_tools_are_not_offered_is_none() {
        let without = |missing: &'static str| move |tool: &str| tool != missing;
        let names = |missing| all(without(missing)).into_iter().map(|prompt| prompt.name).collect::<Vec<_>>();
        assert_eq!(names("match_tracks"), [CLEAN_PLAYLIST]);
        assert_eq!(names("undo_change"), [BUILD_PLAYLIST]);
        let arguments = json!({"theme": "x"});
        assert!(get(BUILD_PLAYLIST, arguments.as_object(), without("create_playlist")).is_err());
    }
}
