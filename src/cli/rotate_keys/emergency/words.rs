//! What an emergency says for people: what is good and ends, and that nothing was done.

use serde_json::json;

use crate::ambient::Timestamp;
use crate::cli::rotate_keys::evidence::Shown;
use crate::store::Living;

/// What is good, in one line.
pub(in crate::cli) fn in_words(living: &Living) -> String {
    format!(
        "{} grants, {} access tokens, {} browser sessions, {} MCP sessions, {} codes and logins, {} API keys, \
         {} approvals",
        living.grants,
        living.access_tokens,
        living.browser_sessions,
        living.mcp_sessions,
        living.pending,
        living.api_keys,
        living.approvals
    )
}

/// The evidence of an emergency that was over before: whoever reads it must not take it for one of now.
pub(super) fn again(mut shown: Shown, over: Timestamp) -> Shown {
    let first = format!(
        "NOTHING WAS DONE NOW: this is the evidence of the emergency that was over at {}.\n",
        over.rfc3339()
    );
    shown.words.insert_str(0, &first);
    shown.document["done_now"] = json!(false);
    shown
}
