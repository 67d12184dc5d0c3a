//! Which Spotify app of the operator's a login goes through: the person's own, else the least filled one with room; and
//! whether an account that is linked already stays where it is.
//!
//! Never looks at who the person is.

/// How full an app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// How many accounts are linked through it.
    pub taken: u64,
    /// How many fit; `None`: as many as come.
    pub seats: Option<u64>,
}

impl Filled {
    /// Whether one more fits.
    pub fn has_room(self) -> bool {
        self.seats.is_none_or(|seats| self.taken < seats)
    }

    /// Whether less of it is taken, in proportion.
    fn is_less_than(self, other: Self) -> bool {
        // What has no limit is never filled.
        let part = |filled: Self| filled.seats.map_or((0, 1), |seats| (filled.taken, seats.max(1)));
        let ((one, of_one), (two, of_two)) = (part(self), part(other));
        u128::from(one) * u128::from(of_two) < u128::from(two) * u128::from(of_one)
    }
}

/// An app as a login may go through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How full it is.
    pub filled: Filled,
    /// This login went through it before.
    pub tried: bool,
    /// The person's account is linked through it.
    pub home: bool,
}

/// The next app of a login, each at most once: the person's own; else the least filled with room, the first of equals.
/// A full one only where whoever comes `may_sit` there already, which nobody knows before Spotify has said who it is.
pub fn next(candidates: &[Candidate], may_sit: bool) -> Option<usize> {
    let fresh = || candidates.iter().enumerate().filter(|(_, app)| !app.tried);
    let home = fresh().find(|(_, app)| app.home);
    let home = home.or_else(|| {
        let roomy = fresh().filter(|(_, app)| app.filled.has_room());
        roomy.reduce(|best, app| if app.1.filled.is_less_than(best.1.filled) { app } else { best })
    });
    home.or_else(|| fresh().next().filter(|_| may_sit)).map(|(at, _)| at)
}

/// The app in which the operator would make room for one more: the least filled that has some.
pub fn roomiest(candidates: &[Candidate]) -> Option<usize> {
    let apps: Vec<_> = candidates.iter().map(|app| Candidate { tried: false, home: false, ..*app }).collect();
    next(&apps, false)
}

/// Whether one more account of a person's fits into the operator's apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Further {
    /// It does.
    Fits,
    /// Only of others: the person has as many places of each app with room as one person takes.
    HasEnough,
    /// All are full.
    Full,
}

/// The same, of apps that are filled so, with so many places taken by accounts of the person's; `each` are most.
pub fn further(apps: &[(Filled, u64)], each: u64) -> Further {
    let roomy = || apps.iter().filter(|(filled, _)| filled.has_room());
    if roomy().any(|(filled, mine)| filled.seats.is_none() || *mine < each) {
        return Further::Fits;
    }
    if roomy().next().is_some() { Further::HasEnough } else { Further::Full }
}

/// An account that is linked already, as a login brings it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The login went through the app that it is linked through, or through one that the person has just typed.
    pub here: bool,
    /// The app that it is linked through may still be used.
    pub in_use: bool,
    /// Spotify knows that app no more by what its owner gave.
    pub refused: bool,
    /// This login went through that app before.
    pub tried: bool,
}

/// What becomes of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// What this app gave is kept.
    Here,
    /// The login goes on to the app that it is linked through.
    SentOn,
    /// It stays as it is, and the person is logged in.
    AsItIs,
}

/// Nobody is moved to another app by logging in, as long as theirs can be used and takes them.
pub const fn stay(account: Settled) -> Stay {
    match account {
        Settled { here: true, .. } | Settled { in_use: false, .. } | Settled { tried: true, .. } => {
            Stay::Here
        }
        Settled { refused: true, .. } => Stay::AsItIs,
        _ => Stay::SentOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(taken: u64, seats: Option<u64>) -> Candidate {
        Candidate { filled: Filled { taken, seats }, tried: false, home: false }
    }

    #[test]
    fn a_further_account_needs_an_app_of_which_the_person_has_less_than_one_may() {
        let of = |taken, seats, mine| (Filled { taken, seats }, mine);
        assert_eq!(further(&[of(2, Some(5), 1)], 2), Further::Fits);
        assert_eq!(further(&[of(2, Some(5), 2)], 2), Further::HasEnough);
        assert_eq!(further(&[of(2, Some(5), 2), of(5, Some(5), 0)], 2), Further::HasEnough);
        assert_eq!(further(&[of(2, Some(5), 2), of(4, Some(5), 0)], 2), Further::Fits);
        assert_eq!(further(&[of(9, None, 9)], 2), Further::Fits);
        assert_eq!((further(&[of(5, Some(5), 1)], 2), further(&[], 2)), (Further::Full, Further::Full));
    }

    #[test]
    fn a_newcomer_goes_where_least_is_taken() {
        assert_eq!(next(&[app(3, Some(5)), app(1, Some(5)), app(1, Some(5))], true), Some(1));
        assert_eq!(next(&[app(2, Some(4)), app(4, Some(25))], true), Some(1), "in proportion");
        assert_eq!(next(&[app(1, Some(5)), app(900, None)], true), Some(1), "no limit is never filled");
        assert_eq!(next(&[], true), None);
        assert_eq!(roomiest(&[app(5, Some(5)), Candidate { tried: true, ..app(4, Some(5)) }]), Some(1));
    }

    #[test]
    fn full_ones_are_for_those_who_may_sit_there() {
        let full = [app(5, Some(5)), app(0, Some(0))];
        assert_eq!((next(&full, true), next(&full, false)), (Some(0), None));
        assert_eq!(next(&[app(5, Some(5)), app(4, Some(5))], true), Some(1));
        let home = Candidate { home: true, ..app(5, Some(5)) };
        assert_eq!(next(&[app(0, Some(5)), home], false), Some(1));
        assert_eq!(roomiest(&[home]), None);
    }

    #[test]
    fn who_is_linked_stays_while_their_app_takes_them() {
        let elsewhere = Settled { here: false, in_use: true, refused: false, tried: false };
        assert_eq!(stay(elsewhere), Stay::SentOn);
        assert_eq!(stay(Settled { refused: true, ..elsewhere }), Stay::AsItIs);
        for moves in [
            Settled { here: true, ..elsewhere },
            Settled { in_use: false, ..elsewhere },
            Settled { tried: true, ..elsewhere },
        ] {
            assert_eq!(stay(moves), Stay::Here, "{moves:?}");
        }
    }

    #[test]
    fn each_is_tried_once() {
        let mut apps = [app(5, Some(5)), app(1, Some(5)), Candidate { home: true, ..app(4, Some(5)) }];
        let mut order = Vec::new();
        while let Some(at) = next(&apps, true) {
            apps[at].tried = true;
            order.push(at);
        }
        assert_eq!(order, [2, 1, 0]);
    }
}
