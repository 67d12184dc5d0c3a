//! The boundaries that a command passes, and where builds for tests die. A release build does nothing here.

#[cfg(debug_assertions)]
use std::cell::RefCell;

/// What was passed so far.
#[derive(Default)]
pub(super) struct Boundaries {
    #[cfg(debug_assertions)]
    passed: RefCell<Vec<&'static str>>,
}

impl Boundaries {
    /// Builds for tests die at the boundary that they are told, the n-th time that they come there: `DIE_AT=name:n`.
    #[cfg(debug_assertions)]
    pub(super) fn passed(&self, boundary: &'static str) {
        self.passed.borrow_mut().push(boundary);
        let Ok(die) = std::env::var("DIE_AT") else { return };
        let (name, nth) = die.split_once(':').unwrap_or((&die, "1"));
        let times = self.passed.borrow().iter().filter(|passed| **passed == name).count();
        if name == boundary && nth == times.to_string() {
            std::process::abort();
        }
    }

    /// Nothing.
    #[cfg(not(debug_assertions))]
    #[expect(clippy::unused_self, reason = "builds for tests count")]
    pub(super) const fn passed(&self, _boundary: &'static str) {}
}
