//! Folders that look like the root of a Linux system.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::system::Root;

/// A folder of a test's own; gone with it.
pub struct Tree(PathBuf);

impl Tree {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("spotify-mcp-system-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn root(&self) -> Root {
        Root::at(&self.0)
    }

    pub fn file(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A line of `/proc/net/tcp` or `tcp6` as a kernel of this byte order writes it.
pub fn tcp_line(address: SocketAddr, state: &str, user: u32, inode: u64) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap()));
    let ip: String = words.map(|word| format!("{word:08X}")).collect();
    let port = address.port();
    format!(
        "   0: {ip}:{port:04X} 00000000:0000 {state} 0:0 00:0 00000000 {user:5} 0 {inode} 1 0 100 0 0 10 0\n"
    )
}
