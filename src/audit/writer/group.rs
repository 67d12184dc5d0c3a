//! One group of lines that are written together, and which rows of the outbox were written before.

use std::collections::{HashSet, VecDeque};

use super::super::Ack;
use super::super::draft::Draft;
use super::super::queue::Work;
use super::super::record::Chain;
use crate::domain::ids::EventId;

/// How many row ids are remembered, to recognise rows that come again.
const REMEMBERED: usize = 65_536;

/// Lines under construction, and who is to be told about them.
pub(super) struct Group {
    pub(super) lines: Vec<u8>,
    pub(super) chain: Chain,
    pub(super) notes: Vec<Draft>,
    pub(super) rows: Vec<EventId>,
    pub(super) acks: Vec<(usize, Ack)>,
}

impl Group {
    /// Turns the backlog and the new items into lines, in the order in which they came.
    pub(super) fn compose(chain: Chain, seen: &Seen, backlog: Vec<Draft>, items: Vec<Work>) -> Self {
        let mut group = Self {
            lines: Vec::with_capacity(1024 * (items.len() + backlog.len())),
            chain,
            notes: Vec::new(),
            rows: Vec::new(),
            acks: Vec::new(),
        };
        for note in backlog {
            group.note(note);
        }
        for item in items {
            match item {
                Work::Note(note) => group.note(note),
                Work::Record(record, ack) => {
                    group.line(&record);
                    group.acks.push((1, ack));
                }
                Work::Rows(rows, ack) => {
                    group.acks.push((rows.len(), ack));
                    for (uid, row) in rows.into_iter().filter(|(uid, _)| !seen.contains(uid)) {
                        group.row(uid, &row);
                    }
                }
                // The change is made before a group is composed.
                Work::Key(_, ack) => group.acks.push((1, ack)),
                // Done, and answered, before.
                Work::Shorten(..) => {}
            }
        }
        group
    }

    fn note(&mut self, note: Draft) {
        self.line(&note);
        self.notes.push(note);
    }

    fn row(&mut self, uid: EventId, row: &Draft) {
        if !self.rows.contains(&uid) {
            self.line(row);
            self.rows.push(uid);
        }
    }

    fn line(&mut self, draft: &Draft) {
        self.chain.append(draft, &mut self.lines);
    }
}

/// The ids of recent records, first in first out.
pub(super) struct Seen {
    ids: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Seen {
    pub(super) fn new(recent: Vec<EventId>) -> Self {
        let mut seen = Self { ids: HashSet::new(), order: VecDeque::new() };
        seen.extend(recent);
        seen
    }

    pub(super) fn contains(&self, id: &EventId) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn extend(&mut self, ids: Vec<EventId>) {
        for id in ids {
            if self.ids.insert(id.clone()) {
                self.order.push_back(id);
            }
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }
}
