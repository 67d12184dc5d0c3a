//! A limit as so many in each window of time, and the pure counting behind it (product.md 7, "Limits").
//!
//! Windows are aligned to Unix time, so that every node means the same one: what is promised is `most` in each
//! window, hence at most twice that around a border. Never reads a clock, never knows who is counted.

use crate::ambient::Timestamp;

/// Which part of what is left a node reserves at once: small, so that what an idle node keeps is not missed.
const SHARE: u32 = 16;

/// So many in each window; zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub most: u32,
    /// The window, in seconds; never zero.
    pub window: u32,
}

impl Quota {
    /// So many in a minute.
    pub const fn per_minute(most: u32) -> Self {
        Self { most, window: 60 }
    }

    /// So many in an hour.
    pub const fn per_hour(most: u32) -> Self {
        Self { most, window: 3600 }
    }

    /// Whether there is no limit.
    pub const fn is_off(self) -> bool {
        self.most == 0
    }

    /// When the window of this instant began, in Unix seconds.
    pub const fn window_at(self, now: Timestamp) -> i64 {
        let now = now.secs();
        now - now.rem_euclid(self.window as i64)
    }
}

/// How one who is counted stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub quota: Quota,
    /// How many more fit into this window, as far as this node knows.
    pub left: u32,
    /// When the next window begins, in seconds; at least one.
    pub resets_in: u32,
}

/// What becomes of one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is counted.
    Counted(Standing),
    /// It would be too many.
    Spent {
        /// How long to wait, among others.
        standing: Standing,
        /// Whether it is the first that was too many in this window.
        first: bool,
    },
    /// What this node had reserved is used up: it must reserve more, then call [`Allowance::reserved`].
    Reserve(Reservation),
}

/// What to reserve where all nodes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// When the window began, in Unix seconds.
    pub window: i64,
    /// How many; at least one, at most what may be left.
    pub want: u32,
    /// How many may still be left, as far as this node knows.
    pub left: u32,
}

/// What was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// How many this node got; zero where nothing was left.
    pub granted: u32,
    /// How many are reserved by all nodes now, these included.
    pub used: u32,
}

/// One node's count for one who is counted. Starts out empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// When the window began, in Unix seconds.
    window: i64,
    /// Reserved by this node and not used yet.
    held: u32,
    /// Reserved by all nodes, as far as this one knows.
    used: u32,
    /// A reservation is on its way.
    reserving: bool,
    /// Somebody was refused in this window.
    refused: bool,
}

impl Allowance {
    /// Counts one in, where that can be known without asking.
    pub fn take(&mut self, quota: Quota, now: Timestamp) -> Taken {
        self.turn(quota, now);
        if self.held > 0 {
            self.held -= 1;
            return Taken::Counted(self.standing(quota, now));
        }
        let left = quota.most.saturating_sub(self.used);
        if left == 0 {
            return self.refuse(quota, now);
        }
        // Whoever comes while a share is being reserved reserves for itself alone.
        let want = if self.reserving { 1 } else { (left / SHARE).max(1) };
        self.reserving = true;
        Taken::Reserve(Reservation { window: self.window, want, left })
    }

    /// Takes over what was reserved, and counts the one in that it was reserved for.
    pub fn reserved(
        &mut self,
        quota: Quota,
        asked: Reservation,
        reserved: Reserved,
        now: Timestamp,
    ) -> Taken {
        if asked.window != self.window {
            // The window ended meanwhile: it was counted in that one, and what is left over is lost.
            return match reserved.granted {
                0 => self.take(quota, now),
                _ => Taken::Counted(self.standing(quota, now)),
            };
        }
        self.reserving = false;
        self.used = self.used.max(reserved.used);
        match reserved.granted {
            0 => {
                self.used = quota.most;
                self.refuse(quota, now)
            }
            granted => {
                self.held = self.held.saturating_add(granted - 1);
                Taken::Counted(self.standing(quota, now))
            }
        }
    }

    /// Gives one back that was counted in and then not used.
    pub fn give_back(&mut self, quota: Quota, now: Timestamp) {
        // In another window it is lost, which is the safe side.
        if quota.window_at(now) == self.window && self.used > self.held {
            self.held += 1;
        }
    }

    /// How it stands, without counting.
    pub fn look(&mut self, quota: Quota, now: Timestamp) -> Standing {
        self.turn(quota, now);
        self.standing(quota, now)
    }

    /// Whether it says nothing any more: its window is over.
    pub fn is_over(&self, quota: Quota, now: Timestamp) -> bool {
        quota.window_at(now) > self.window
    }

    /// Begins the next window where it has come. A clock that went back by up to a window opens none: nobody gets
    /// more because of it. One that went back further was wrong before, and nobody waits until it was right.
    fn turn(&mut self, quota: Quota, now: Timestamp) {
        let window = quota.window_at(now);
        if window > self.window || self.window - window > i64::from(quota.window) {
            *self = Self { window, ..Self::default() };
        }
        // The limit was lowered meanwhile: what was reserved beyond it is not to be had any more.
        if self.used > quota.most {
            let taken = self.used.saturating_sub(self.held);
            self.held = self.held.min(quota.most.saturating_sub(taken));
            self.used = quota.most;
        }
    }

    fn refuse(&mut self, quota: Quota, now: Timestamp) -> Taken {
        let first = !std::mem::replace(&mut self.refused, true);
        Taken::Spent { standing: self.standing(quota, now), first }
    }

    fn standing(&self, quota: Quota, now: Timestamp) -> Standing {
        let resets_in = (self.window + i64::from(quota.window) - now.secs()).max(1);
        Standing {
            quota,
            left: self.held.saturating_add(quota.most.saturating_sub(self.used)),
            resets_in: u32::try_from(resets_in).unwrap_or(u32::MAX),
        }
    }
}

impl Reservation {
    /// What is reserved where this node is the only one, or has to act as if it were: all that is left.
    pub const fn alone(self, quota: Quota) -> Reserved {
        Reserved { granted: self.left, used: quota.most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUOTA: Quota = Quota::per_minute(40);

    /// What all nodes share, as the database keeps it.
    #[derive(Default)]
    struct Row(std::collections::BTreeMap<i64, u32>);

    impl Row {
        fn reserve(&mut self, quota: Quota, asked: Reservation) -> Reserved {
            let used = self.0.entry(asked.window).or_default();
            let granted = asked.want.min(quota.most - *used);
            *used += granted;
            Reserved { granted, used: *used }
        }
    }

    fn ask(node: &mut Allowance, row: &mut Row, quota: Quota, now: Timestamp) -> bool {
        match node.take(quota, now) {
            Taken::Reserve(asked) => {
                let reserved = row.reserve(quota, asked);
                matches!(node.reserved(quota, asked, reserved, now), Taken::Counted(_))
            }
            taken => matches!(taken, Taken::Counted(_)),
        }
    }

    #[test]
    fn a_limit_that_is_lowered_holds_at_once_and_one_that_is_raised_too() {
        let (mut node, now) = (Allowance::default(), Timestamp::from_secs(6_000));
        let counted = |node: &mut Allowance, most: u32| {
            (0..50).filter(|_| matches!(alone(node, Quota::per_minute(most), now), Taken::Counted(_))).count()
        };
        assert!(matches!(alone(&mut node, QUOTA, now), Taken::Counted(_)));
        assert_eq!(counted(&mut node, 5), 4);
        assert_eq!(counted(&mut node, 3), 0);
        assert_eq!(counted(&mut node, 10), 7, "three, as far as the lowest limit remembers");
    }

    fn alone(node: &mut Allowance, quota: Quota, now: Timestamp) -> Taken {
        match node.take(quota, now) {
            Taken::Reserve(asked) => node.reserved(quota, asked, asked.alone(quota), now),
            taken => taken,
        }
    }

    #[test]
    fn a_window_counts_down_refuses_and_begins_anew() {
        let mut one = Allowance::default();
        let at = |secs: i64| Timestamp::from_secs(6_000 + secs);
        for left in (0..40).rev() {
            let standing = Standing { quota: QUOTA, left, resets_in: 53 };
            assert_eq!(alone(&mut one, QUOTA, at(7)), Taken::Counted(standing));
        }
        let standing = Standing { quota: QUOTA, left: 0, resets_in: 1 };
        assert_eq!(alone(&mut one, QUOTA, at(59)), Taken::Spent { standing, first: true });
        assert_eq!(alone(&mut one, QUOTA, at(59)), Taken::Spent { standing, first: false });
        let standing = Standing { quota: QUOTA, left: 39, resets_in: 60 };
        assert_eq!(alone(&mut one, QUOTA, at(60)), Taken::Counted(standing));
        one.give_back(QUOTA, at(60));
        assert_eq!(one.look(QUOTA, at(61)), Standing { quota: QUOTA, left: 40, resets_in: 59 });
    }

    #[test]
    fn a_clock_that_goes_back_a_little_gives_nothing_and_one_that_was_far_ahead_blocks_nobody() {
        let mut one = Allowance::default();
        let at = |secs: i64| Timestamp::from_secs(6_000 + secs);
        while matches!(alone(&mut one, QUOTA, at(0)), Taken::Counted(_)) {}
        assert!(matches!(alone(&mut one, QUOTA, at(-30)), Taken::Spent { .. }));
        assert!(matches!(alone(&mut one, QUOTA, at(-86_400)), Taken::Counted(_)));
    }

    #[test]
    fn what_comes_back_after_its_window_counts_there() {
        let mut one = Allowance::default();
        let (before, after) = (Timestamp::from_secs(59), Timestamp::from_secs(60));
        let Taken::Reserve(asked) = one.take(QUOTA, before) else { panic!("nothing was reserved yet") };
        let Taken::Reserve(_) = one.take(QUOTA, after) else { panic!("the window is new") };
        let late = one.reserved(QUOTA, asked, Reserved { granted: 2, used: 2 }, after);
        assert!(matches!(late, Taken::Counted(Standing { left: 40, .. })));
        let none = one.reserved(QUOTA, asked, Reserved { granted: 0, used: 40 }, after);
        assert!(matches!(none, Taken::Reserve(Reservation { want: 1, window: 60, .. })));
    }

    proptest! {
        /// Alone, on a clock that only goes on: exactly what fits is counted, in every window.
        #[test]
        fn no_window_holds_more_than_the_quota(most in 1_u32..50, steps in prop::collection::vec(0_i64..20_000, 1..400)) {
            let quota = Quota::per_minute(most);
            let (mut one, mut now) = (Allowance::default(), Timestamp::from_secs(1_000_000));
            let mut seen = std::collections::BTreeMap::<i64, (u32, u32)>::new();
            for step in steps {
                now = Timestamp::from_millis(now.millis() + step / 10);
                let (asked, counted) = seen.entry(quota.window_at(now)).or_default();
                *asked += 1;
                *counted += u32::from(matches!(alone(&mut one, quota, now), Taken::Counted(_)));
            }
            for (asked, counted) in seen.into_values() {
                prop_assert_eq!(counted, asked.min(most));
            }
        }

        /// Clocks that jump back by less than a window never give more than one quota for each window that the
        /// furthest of them reached.
        #[test]
        fn jumps_back_give_nothing(most in 1_u32..20, jumps in prop::collection::vec(-59_i64..40, 1..300)) {
            let quota = Quota::per_minute(most);
            let (mut one, mut now, mut furthest) = (Allowance::default(), 1_000_000_i64, 0_i64);
            let mut counted = std::collections::BTreeMap::<i64, u32>::new();
            for jump in jumps {
                now = (now + jump).max(furthest - 59);
                furthest = furthest.max(now);
                if matches!(alone(&mut one, quota, Timestamp::from_secs(now)), Taken::Counted(_)) {
                    *counted.entry(quota.window_at(Timestamp::from_secs(furthest))).or_default() += 1;
                }
            }
            prop_assert!(counted.into_values().all(|counted| counted <= most));
        }

        /// Several nodes, in any order, with clocks that differ: never more than the quota, and all of it where every
        /// node goes on asking.
        #[test]
        fn nodes_share_one_quota(most in 1_u32..700, order in prop::collection::vec((0_usize..4, 0_i64..3), 1..900)) {
            let quota = Quota::per_minute(most);
            let (mut nodes, mut row) = ([Allowance::default(); 4], Row::default());
            let mut counted = 0;
            for (node, skew) in order {
                counted += u32::from(ask(&mut nodes[node], &mut row, quota, Timestamp::from_secs(6_010 + skew)));
            }
            prop_assert!(counted <= most);
            for node in &mut nodes {
                while ask(node, &mut row, quota, Timestamp::from_secs(6_010)) { counted += 1; }
            }
            prop_assert_eq!(counted, most);
        }

        /// A node that falls silent keeps no more than a sixteenth.
        #[test]
        fn an_idle_node_keeps_little(most in 32_u32..5_000) {
            let quota = Quota::per_minute(most);
            let (mut idle, mut busy, mut row) = (Allowance::default(), Allowance::default(), Row::default());
            let now = Timestamp::from_secs(6_000);
            let mut counted = u32::from(ask(&mut idle, &mut row, quota, now));
            while ask(&mut busy, &mut row, quota, now) { counted += 1; }
            prop_assert!(counted <= most && counted >= most - most / SHARE);
        }
    }
}
