//! Who works with a command: the system's user and machine, as far as they say so themselves. A claim, no proof: whoever
//! may run commands here may say what they like. Never: a word of a person's that is not cleaned.

use crate::domain::event::clean;

/// Who it is, in words: `uid 1000 (ada) on vm`.
pub(super) fn whoever() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let uid = rustix::process::getuid().as_raw();
    let named = if user.is_empty() { String::new() } else { format!(" ({user})") };
    clean(&format!("uid {uid}{named} on {}", host.trim()))
}
