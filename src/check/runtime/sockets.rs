//! On which addresses a process listens: `/proc/PID/net/tcp` and `tcp6`, and which of those sockets are its own
//! (proc_pid_net(5)). Pure but for the list of its open files.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::check::finding::{Seen, Unseen};

use super::system::{MOST_ENTRIES, Root, unseen};

/// The state of a socket that listens.
const LISTENING: &str = "0A";

/// A socket that takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// Whose.
    pub user: u32,
    /// By which the process's open files name it.
    pub inode: u64,
}

/// Where a process listens, as far as that can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// In order: its own, or all of its user's.
    pub listeners: Vec<Listener>,
    /// Why not its own but all of its user's: its open files cannot be seen.
    pub not_its_own: Option<Unseen>,
}

/// The listeners of a process; where its open files cannot be seen, those of its user.
///
/// # Errors
/// Where the system does not show its sockets.
pub fn gather(root: &Root, process: &str, user: u32) -> Seen<Listening> {
    let mut all = listeners(&root.text(&format!("/proc/{process}/net/tcp"))?);
    let six = format!("/proc/{process}/net/tcp6");
    match root.text_if_there(&six)? {
        Some(six) => all.extend(listeners(&six)),
        // Not there where IPv6 is switched off; of a copy nobody knows.
        None if root.is_system() => {}
        None => return Err(unseen(&six, "it is not there (of a system without IPv6, copy an empty file)")),
    }
    let not_its_own = match root.links(&format!("/proc/{process}/fd")) {
        Ok(files) => {
            let own = inodes(&files);
            all.retain(|listener| own.contains(&listener.inode));
            None
        }
        Err(unseen) => {
            all.retain(|listener| listener.user == user);
            Some(unseen)
        }
    };
    all.sort_unstable();
    Ok(Listening { listeners: all, not_its_own })
}

/// The sockets among open files, each a `socket:[inode]`.
fn inodes(files: &[String]) -> BTreeSet<u64> {
    let numbers =
        files.iter().filter_map(|file| file.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
    numbers.collect()
}

/// Those that listen; a line that is not as it should be is left out.
fn listeners(text: &str) -> Vec<Listener> {
    text.lines().skip(1).take(MOST_ENTRIES).filter_map(listener).collect()
}

/// `sl local remote state tx:rx tr:when retransmits uid timeout inode ...`.
fn listener(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().take(10).collect();
    let [_, local, _, LISTENING, _, _, _, user, _, inode] = fields[..] else { return None };
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener {
        address: SocketAddr::new(address(ip)?, port),
        user: user.parse().ok()?,
        inode: inode.parse().ok()?,
    })
}

/// Words of 32 bits, each as this machine would read its bytes.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::runtime::fixtures::{Tree, tcp_line};

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn tree(name: &str) -> Tree {
        let tree = Tree::new(name);
        let line = |address: &str, state, user, inode| tcp_line(address.parse().unwrap(), state, user, inode);
        let four = [
            line("127.0.0.1:8000", "0A", 5, 11),
            line("0.0.0.0:22", "0A", 0, 12),
            line("127.0.0.1:9000", "01", 5, 13),
            line("10.0.0.1:9090", "0A", 5, 14),
        ];
        tree.file("proc/7/net/tcp", &format!("{HEAD}{}", four.concat()));
        tree.file("proc/7/net/tcp6", &format!("{HEAD}{}", line("[::]:8443", "0A", 5, 15)));
        tree
    }

    #[test]
    fn by_its_open_files_exactly_its_own_are_found() {
        let tree = tree("sockets-own");
        for (fd, target) in
            [("0", "/dev/null"), ("5", "socket:[11]"), ("6", "socket:[13]"), ("7", "socket:[15]")]
        {
            tree.link(&format!("proc/7/fd/{fd}"), target);
        }
        let found = gather(&tree.root(), "7", 5).unwrap();
        assert_eq!(found.not_its_own, None);
        let addresses: Vec<_> = found.listeners.iter().map(|listener| listener.address.to_string()).collect();
        assert_eq!(addresses, ["127.0.0.1:8000", "[::]:8443"]);
    }

    #[test]
    fn without_them_all_of_its_users_sockets_are_and_it_says_so() {
        let tree = tree("sockets-user");
        let found = gather(&tree.root(), "7", 5).unwrap();
        let addresses: Vec<_> = found.listeners.iter().map(|listener| listener.address.to_string()).collect();
        assert_eq!(addresses, ["10.0.0.1:9090", "127.0.0.1:8000", "[::]:8443"]);
        assert!(found.not_its_own.unwrap().why.contains("/proc/7/fd"));
        assert!(gather(&tree.root(), "8", 5).is_err());
    }

    #[test]
    fn a_copy_without_a_list_of_ipv6_does_not_say_where_a_process_listens() {
        let tree = tree("sockets-four");
        std::fs::remove_file(tree.root().path("/proc/7/net/tcp6")).unwrap();
        assert!(gather(&tree.root(), "7", 5).unwrap_err().why.contains("tcp6"));
    }

    #[test]
    fn a_machine_of_this_byte_order_wrote_the_addresses() {
        let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
        assert_eq!(address(&format!("{loopback:08X}")), Some(Ipv4Addr::LOCALHOST.into()));
        let last = u32::from_ne_bytes([0, 0, 0, 1]);
        assert_eq!(address(&format!("{:024}{last:08X}", 0)), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!((address("0"), address("\u{e4}0000000")), (None, None));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,300}", ip in "[0-9A-F\u{e4}]{0,33}") {
            let _ = listeners(&text);
            let _ = listener(&format!(" 0: {ip}:1F40 00000000:0000 0A 0:0 0:0 0 0 0 1"));
        }
    }
}
