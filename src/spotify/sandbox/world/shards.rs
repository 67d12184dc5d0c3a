//! A bounded map in many small locks, so that no request waits for another's.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const SHARDS: usize = 64;

/// A map of at most `cap` entries (counted per shard).
pub struct Shards<K, V> {
    shards: Vec<RwLock<HashMap<K, V>>>,
    hasher: RandomState,
    cap: usize,
}

impl<K: Hash + Eq, V> Shards<K, V> {
    /// An empty map for about `cap` entries.
    pub fn new(cap: usize) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, hasher: RandomState::new(), cap: cap.div_ceil(SHARDS) }
    }

    /// Looks at one entry.
    pub fn read<R>(&self, key: &K, look: impl FnOnce(&V) -> R) -> Option<R> {
        read(self.shard(key)).get(key).map(look)
    }

    /// Changes one entry under its lock.
    pub fn update<R>(&self, key: &K, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        write(self.shard(key)).get_mut(key).map(change)
    }

    /// Adds an entry. Where its shard is full, entries that `spare` does not want go first, and after that any.
    pub fn insert(&self, key: K, value: V, spare: impl Fn(&V) -> bool) {
        let mut shard = write(self.shard(&key));
        if shard.len() >= self.cap {
            shard.retain(|_, value| spare(value));
        }
        if shard.len() >= self.cap {
            shard.clear();
        }
        shard.insert(key, value);
    }

    /// Looks at every entry, one shard at a time.
    pub fn each(&self, mut look: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            read(shard).iter().for_each(|(key, value)| look(key, value));
        }
    }

    fn shard(&self, key: &K) -> &RwLock<HashMap<K, V>> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        &self.shards[at]
    }
}

/// Locks for reading. A panic elsewhere cannot leave our plain data half changed in a way that matters here.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing, as [`read`].
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a mutex, as [`read`].
pub fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_bounded_and_gives_up_the_dispensable_first() {
        let map = Shards::new(SHARDS * 4);
        for n in 0..10_000_u32 {
            map.insert(n, n, |n| n.is_multiple_of(2));
        }
        let mut count = 0;
        map.each(|_, _| count += 1);
        assert!(count <= SHARDS * 4);
        assert_eq!(map.read(&9_999, |n| *n), Some(9_999));
    }
}
