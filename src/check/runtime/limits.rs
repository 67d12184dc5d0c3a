//! What Linux says about memory that could leave the process: `/proc/PID/limits`, `/proc/swaps`, where core dumps go.
//! Pure: text in, facts out.

use crate::check::finding::Seen;

use super::system::unseen;

/// Soft and hard limit on the size of a core dump, in bytes; `None`: unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreLimit {
    /// What holds.
    pub soft: Option<u64>,
    /// How far the process may raise it.
    pub hard: Option<u64>,
}

/// A place that memory is swapped out to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// A device or file.
    pub place: String,
}

impl Swap {
    /// Whether it is memory itself, compressed: nothing of it reaches a disk by itself.
    pub fn is_memory(&self) -> bool {
        self.place.starts_with("/dev/zram")
    }
}

/// Reads the limit on core dumps from `/proc/PID/limits`.
///
/// # Errors
/// Where it does not say one.
pub fn core(text: &str) -> Seen<CoreLimit> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let mut words = line.unwrap_or_default().split_whitespace();
    let mut next = || match words.next()? {
        "unlimited" => Some(None),
        bytes => bytes.parse().ok().map(Some),
    };
    match (next(), next()) {
        (Some(soft), Some(hard)) => Ok(CoreLimit { soft, hard }),
        _ => Err(unseen("the limits of the process", "they do not name the size of core dumps")),
    }
}

/// Reads `/proc/swaps`: a heading, then one place a line.
pub fn swaps(text: &str) -> Vec<Swap> {
    let places = text.lines().skip(1).take(64).filter_map(|line| line.split_whitespace().next());
    places.map(|place| Swap { place: crate::domain::event::clean(place) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_on_core_dumps_is_found() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max core file size        0                    unlimited            bytes     \n";
        assert_eq!(core(text), Ok(CoreLimit { soft: Some(0), hard: None }));
        assert!(core("").is_err());
        assert!(core("Max core file size        x                    0            bytes").is_err());
        assert!(core("Max core file size        0").is_err());
    }

    #[test]
    fn swap_in_memory_is_told_from_swap_on_a_disk() {
        let text =
            "Filename Type Size Used Priority\n/dev/zram0 partition 8 0 100\n/swap\\040file file 8 0 -2\n";
        let found = swaps(text);
        assert_eq!(found.iter().map(Swap::is_memory).collect::<Vec<_>>(), [true, false]);
        assert!(swaps("Filename\tType\n").is_empty() && swaps("").is_empty());
    }
}
