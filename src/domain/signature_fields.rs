//! Structured fields (RFC 9651) read for signatures: a name that comes twice is an error, where the RFC lets the last
//! one win. Two readers of one header must not see two different signatures.

use std::fmt;

use sfv::visitor::{DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor};
use sfv::{BareItem, InnerList, Item, KeyRef, ListEntry};

/// Most members of a dictionary.
const MOST: usize = 16;

/// A dictionary's members, each once, in order.
#[derive(Default)]
pub(super) struct Members(Vec<(String, ListEntry)>);

/// A name came twice, or there are too many.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name comes twice or there are too many")
    }
}

impl std::error::Error for Refused {}

impl<'de> DictionaryVisitor<'de> for Members {
    type Out = Vec<(String, ListEntry)>;
    type Error = Refused;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Refused> {
        if self.0.len() == MOST || self.0.iter().any(|(known, _)| known == key.as_str()) {
            return Err(Refused);
        }
        self.0.push((key.as_str().to_owned(), Item::new(false).into()));
        self.0.last_mut().map(|(_, entry)| Slot(entry)).ok_or(Refused)
    }

    fn finish(self) -> Result<Self::Out, Refused> {
        Ok(self.0)
    }
}

/// Where the member that is being read goes.
struct Slot<'a>(&'a mut ListEntry);

impl<'de> EntryVisitor<'de> for Slot<'_> {
    type Error = Refused;

    fn item(self) -> Result<impl ItemVisitor<'de>, Refused> {
        match self.0 {
            ListEntry::Item(item) => Ok(item),
            ListEntry::InnerList(_) => Err(Refused),
        }
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Refused> {
        *self.0 = InnerList::default().into();
        match self.0 {
            ListEntry::InnerList(list) => Ok(list),
            ListEntry::Item(_) => Err(Refused),
        }
    }
}

/// The bytes of a member that is a byte sequence.
pub(super) fn byte_sequence(entry: &ListEntry) -> Option<&[u8]> {
    match entry {
        ListEntry::Item(Item { bare_item: BareItem::ByteSequence(bytes), .. }) => Some(bytes),
        _ => None,
    }
}
