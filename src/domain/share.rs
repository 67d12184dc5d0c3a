//! Fair shares of what nobody can buy more of: the calls that Spotify allows a developer account in a day, for all its
//! listeners together (spotify.md 1.6). Pure.

/// Whether one more call is fair for a person who had `mine` in the last day, beside others who had these, of a quota
/// of `size`. What is an equal share of all who came is always theirs; beyond it, only what nobody else has a share in.
/// Spotify does not say how large a quota is: where it is not known, everything is fair.
pub fn is_fair(mine: u64, others: &[u64], size: Option<u64>) -> bool {
    let Some(size) = size else { return true };
    let share = size / (others.len() as u64 + 1);
    let kept: u64 = others.iter().map(|had| share.saturating_sub(*had)).sum();
    let all = mine + others.iter().sum::<u64>();
    all < size && (mine < share || all + kept < size)
}

/// Whether one more call is fair where as much was had as was known to fit, and Spotify has not said no: nobody is a whole
/// share ahead of another who had theirs, so that whoever obeyed is not the one who gets nothing of the rest.
pub fn is_fair_beyond(mine: u64, others: &[u64], share: u64) -> bool {
    let share = share.max(1);
    others.iter().filter(|had| **had >= share).all(|had| mine < had.saturating_add(share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_alone_may_have_everything_and_of_two_the_greedy_one_leaves_the_others_half() {
        assert!(is_fair(99, &[], Some(100)));
        assert!(!is_fair(100, &[], Some(100)));
        assert!(is_fair(49, &[1], Some(100)));
        assert!(!is_fair(50, &[1], Some(100)), "49 are kept for the other one");
        assert!(is_fair(1, &[50], Some(100)));
        assert!(is_fair(1_000_000, &[1_000_000], None));
        assert!(!is_fair(0, &[0, 0], Some(0)));
    }

    #[test]
    fn what_is_found_beyond_the_size_goes_to_whoever_is_less_than_a_share_ahead() {
        assert!(is_fair_beyond(19, &[10], 10) && !is_fair_beyond(20, &[10], 10));
        assert!(is_fair_beyond(10, &[20], 10), "who stopped goes on");
        assert!(is_fair_beyond(900, &[9, 0], 10), "nothing waits for who did not need theirs");
        assert!(is_fair_beyond(0, &[0], 0) && !is_fair_beyond(2, &[1], 0));
    }

    proptest! {
        #[test]
        fn whoever_asks_gets_an_equal_share_in_whatever_order(
            size in 0u64..400,
            order in prop::collection::vec(0usize..6, 600..900),
        ) {
            let mut had = [0u64; 6];
            for person in order.into_iter().chain((0..6).cycle().take(6 * 400)) {
                let others: Vec<_> = (0..6).filter(|at| *at != person).map(|at| had[at]).collect();
                if is_fair(had[person], &others, Some(size)) {
                    had[person] += 1;
                }
            }
            let all = had.iter().sum::<u64>();
            prop_assert!(all <= size && had.iter().all(|had| *had >= size / 6), "{:?} of {}", had, size);
            prop_assert!(all == size, "nothing is left over: {:?} of {}", had, size);
        }
    }
}
