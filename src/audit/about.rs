//! What the trail says of itself in a record: that a segment begins or ends, that another key signs, what went.
//!
//! docs/audit.md describes these members; whoever verifies a trail lives by them. Never: anything of a person.

use super::text::Text;

/// What such a record says beside what every record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Nothing: it tells of the server.
    Nothing,
    /// The first line of a segment.
    Opening(Opening),
    /// The last line of a segment.
    Closing {
        /// Lines in the segment, this one included.
        count: u64,
        /// The segment.
        number: u32,
        /// Records so far, this one included.
        tree_size: u64,
    },
    /// Another key signs from here on.
    KeyChange(KeyChange),
    /// Old segments go.
    Removal {
        /// The first of them.
        first: u32,
        /// The last of them.
        last: u32,
        /// Records up to the end of the last one.
        tree_size: u64,
    },
}

/// How a segment follows what was before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// The tree over all records before, as [`super::merkle::Frontier::encode`] writes it.
    pub(super) frontier: String,
    /// The key in force, in its text form.
    pub(super) key: String,
    /// The segment.
    pub(super) number: u32,
    /// SHA-256 of the line before, in hexadecimal.
    pub(super) previous: String,
    /// Records before this one.
    pub(super) tree_size: u64,
}

/// How trust passes from one key to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyChange {
    /// The key that signs from here on, in its text form.
    pub(super) new: String,
    /// The key before it.
    pub(super) old: String,
    /// The new key's word for the old one and the old one's for the new one, in base64; nothing where nobody has them.
    pub(super) words: Option<(String, String)>,
}

impl About {
    /// The member `key_change`, where there is one.
    pub(super) fn write_key_change(&self, unmapped: &mut Text) {
        let Self::KeyChange(change) = self else { return };
        unmapped.object("key_change", |text| {
            text.text("new", &change.new);
            text.text("old", &change.old);
            if let Some((predecessor, succession)) = &change.words {
                text.text("predecessor", predecessor);
                text.text("succession", succession);
            }
        });
    }

    /// The member `segment`, where there is one.
    pub(super) fn write_segment(&self, unmapped: &mut Text) {
        match self {
            Self::Nothing | Self::KeyChange(_) => {}
            Self::Opening(opening) => unmapped.object("segment", |text| {
                text.text("frontier", &opening.frontier);
                text.list("keys", [opening.key.as_str()]);
                text.number("number", opening.number);
                text.text("previous", &opening.previous);
                text.number("tree_size", opening.tree_size.cast_signed());
            }),
            Self::Closing { count, number, tree_size } => unmapped.object("segment", |text| {
                text.number("count", count.cast_signed());
                text.number("number", *number);
                text.number("tree_size", tree_size.cast_signed());
            }),
            Self::Removal { first, last, tree_size } => unmapped.object("segment", |text| {
                text.number("first", *first);
                text.number("last", *last);
                text.number("tree_size", tree_size.cast_signed());
            }),
        }
    }
}
