//! Disks without room under `backup restore` and `rotate-keys`: a code, a next step, and everything as it was. Under a
//! limit on the size of files and, as root, on a small file system that is mounted for the command alone.

use std::path::Path;
use std::process::Output;

use serde_json::json;
use tokio::process::Command;

use super::{refusal_of, result};
use crate::support::server::TestServer;

const BINARY: &str = env!("CARGO_BIN_EXE_spotify-mcp");

/// How the room ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// On a small file system of its own.
    Mount,
    /// By a limit on the size of every file.
    Limit,
}

/// Both ways, where this user may mount.
async fn ways() -> Vec<Way> {
    let try_it = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output().await;
    if try_it.is_ok_and(|output| output.status.success()) {
        return vec![Way::Limit, Way::Mount];
    }
    eprintln!(
        "SKIPPED: no right to mount a small file system; the limit on the size of files is tried alone"
    );
    vec![Way::Limit]
}

/// Runs a script with the server's environment; what it mounts is gone after it.
async fn script(server: &TestServer, way: Way, text: &str) -> Output {
    let mut shell = Command::new(if way == Way::Mount { "unshare" } else { "bash" });
    if way == Way::Mount {
        shell.args(["-m", "bash"]);
    }
    shell.env_clear().envs(&server.environment).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    shell.args(["-c", text, BINARY]).output().await.unwrap()
}

#[tokio::test]
async fn a_restore_without_room_changes_nothing_wherever_the_room_ends() {
    let mut server = TestServer::new().await;
    server.listener("ada").await;
    let made = result(&server, &["backup", "create"]).await;
    let backup = made["file"].as_str().unwrap().to_owned();
    assert_eq!(server.stop().await.code(), Some(0));
    let file = server.place.file();
    let (folder, size) = (file.parent().unwrap(), std::fs::metadata(&file).unwrap().len() / 1024);
    let saved = server.data.join("saved.db");
    std::fs::copy(&file, &saved).unwrap();
    let (folder, saved, file) = (folder.display(), saved.display(), file.display());
    let rooms = [size / 4, size - 8, size, size + 8, size + 40, size * 3 / 2, size * 2, size * 4];
    let (mut refused, mut restored) = (0, 0);
    let ways = ways().await;
    // But for its first page, where SQLite notes how its log is kept, the database stays as it is to the byte.
    for (way, room) in ways.iter().flat_map(|way| rooms.map(|room| (*way, room))) {
        let limit = match way {
            Way::Mount => format!("mount -t tmpfs -o size={}k none {folder}; cp {saved} {file}", size + room),
            Way::Limit => format!("trap '' XFSZ; ulimit -f {room}"),
        };
        let text = format!(
            "{limit}; \"$0\" backup restore --yes {backup} --format json --quiet; status=$?
            if test $status != 0; then cmp -i 4096 {saved} {file} && test $(ls {folder} | wc -l) = 1 || exit 99; fi
            exit $status"
        );
        let output = script(&server, way, &text).await;
        if output.status.success() {
            restored += 1;
            std::fs::copy(saved.to_string(), file.to_string()).unwrap();
            continue;
        }
        refused += 1;
        let (status, error) = refusal_of(&output);
        assert_eq!((status, &error["code"]), (3, &json!("BACKUP_IO")), "{way:?}, {room} KiB: {error}");
        assert!(error["next"].as_str().unwrap().contains("room"), "{error}");
    }
    assert!(refused >= 2 * ways.len() && restored >= ways.len(), "refused {refused}, restored {restored}");
}

#[tokio::test]
async fn a_rotation_without_room_for_the_new_key_changes_no_key() {
    for way in ways().await {
        let mut server = TestServer::new().await;
        server.listener("ada").await;
        without_room_for_a_named_file(&server, way).await;
        without_room_beside_the_data(&mut server, way).await;
        server.start().await;
        server.listener("ada").await.call("get_current_track", json!({})).await.content();
    }
}

async fn without_room_for_a_named_file(server: &TestServer, way: Way) {
    let folder = server.data.join("keys");
    std::fs::create_dir(&folder).unwrap();
    // The file can be made, and nothing written into it.
    let prepare = match way {
        Way::Mount => {
            format!(
                "mount -t tmpfs -o size=8k none {0}; head -c 8192 /dev/zero >{0}/filler",
                folder.display()
            )
        }
        Way::Limit => "trap '' XFSZ; ulimit -f 0".to_owned(),
    };
    let key = folder.join("new.key");
    let text = format!(
        "{prepare}; \"$0\" rotate-keys --what master --new-master-key-file {0} --format json --quiet; status=$?
        test -e {0} && exit 99; exit $status",
        key.display()
    );
    let (status, error) = refusal_of(&script(server, way, &text).await);
    assert!(matches!(status, 2 | 3), "{way:?}: {error}");
    assert!(!error.to_string().contains(&server.environment["SPOTIFY_MCP_MASTER_KEY"]));
    assert_eq!(server.place.raw().await.texts("SELECT state FROM master_keys").await, ["active"], "{way:?}");
}

/// There the next key has a name of its own, and the present one stays.
async fn without_room_beside_the_data(server: &mut TestServer, way: Way) {
    assert_eq!(server.stop().await.code(), Some(0));
    let present = server.data_dir().join("master.key");
    let key = server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap();
    std::fs::write(&present, &key).unwrap();
    set_private(&present);
    let data = server.data_dir().display().to_string();
    let copy = server.data.join("copy").display().to_string();
    let prepare = match way {
        Way::Mount => format!(
            "mount -t tmpfs -o size=512k none {data}; cp -r {copy}/. {data}; \
            head -c 9000000 /dev/zero >{data}/filler 2>/dev/null"
        ),
        Way::Limit => "trap '' XFSZ; ulimit -f 0".to_owned(),
    };
    let text = format!(
        "cp -r {data} {copy}; {prepare}; \"$0\" rotate-keys --what master --format json --quiet; status=$?
        cmp -s {data}/master.key {copy}/master.key || exit 99
        test -s {data}/master.key.next && exit 98; exit $status"
    );
    let (status, error) = refusal_of(&script(server, way, &text).await);
    assert!(matches!(status, 2 | 3), "{way:?}: {error}");
    assert_eq!(std::fs::read_to_string(&present).unwrap(), key);
}

fn set_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
