//! Disks without room under `backup restore` and `rotate-keys`: a code, a next step, and everything as it was. As root on
//! a small file system of its own that is mounted for the command alone; else under a limit on the size of files.

use std::path::Path;
use std::process::Output;

use serde_json::json;
use tokio::process::Command;

use super::{refusal_of, result};
use crate::support::server::{TestServer, master_key};

const BINARY: &str = env!("CARGO_BIN_EXE_spotify-mcp");

/// Runs a script with the server's environment, which may mount what it likes where that is possible.
async fn script(server: &TestServer, text: &str) -> Output {
    let mut shell = if may_mount().await { Command::new("unshare") } else { Command::new("bash") };
    if may_mount().await {
        shell.args(["-m", "bash"]);
    }
    shell.env_clear().envs(&server.environment).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    shell.args(["-c", text, BINARY]).output().await.unwrap()
}

async fn may_mount() -> bool {
    let try_it = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output().await;
    try_it.is_ok_and(|output| output.status.success())
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
    let mounts = may_mount().await;
    println!(
        "{}",
        if mounts { "on a small tmpfs" } else { "under a limit on the size of files: no right to mount" }
    );
    let (folder, saved, file) = (folder.display(), saved.display(), file.display());
    let (mut refused, mut restored) = (0, 0);
    // But for its first page, where SQLite notes how its log is kept, the database stays as it is to the byte.
    for room in [size / 4, size - 8, size, size + 8, size + 40, size * 3 / 2, size * 2, size * 4] {
        let limit = match mounts {
            true => format!("mount -t tmpfs -o size={}k none {folder}; cp {saved} {file}", size + room),
            false => format!("trap '' XFSZ; ulimit -f {room}"),
        };
        let text = format!(
            "{limit}; \"$0\" backup restore --yes {backup} --format json --quiet; status=$?
            if test $status != 0; then cmp -i 4096 {saved} {file} && test $(ls {folder} | wc -l) = 1 || exit 99; fi
            exit $status"
        );
        let output = script(&server, &text).await;
        if output.status.success() {
            restored += 1;
            std::fs::copy(saved.to_string(), file.to_string()).unwrap();
            continue;
        }
        refused += 1;
        let (status, error) = refusal_of(&output);
        assert_eq!((status, &error["code"]), (3, &json!("BACKUP_IO")), "{room} KiB of room: {error}");
        assert!(error["next"].as_str().unwrap().contains("room"), "{error}");
    }
    assert!(refused >= 2 && restored >= 1, "refused {refused}, restored {restored}");
}

#[tokio::test]
async fn a_rotation_without_room_for_the_new_key_changes_no_key() {
    let mut server = TestServer::new().await;
    server.listener("ada").await;
    let folder = server.data.join("keys");
    std::fs::create_dir(&folder).unwrap();
    // A page is left for the file, and none for what is in it.
    let prepare = match may_mount().await {
        true => format!(
            "mount -t tmpfs -o size=8k none {0}; head -c 8192 /dev/zero >{0}/filler",
            folder.display()
        ),
        false => "trap '' XFSZ; ulimit -f 0".to_owned(),
    };
    let key = folder.join("new.key");
    let text = format!(
        "{prepare}; \"$0\" rotate-keys --what master --new-master-key-file {0} --format json --quiet; status=$?
        test -e {0} && exit 99; exit $status",
        key.display()
    );
    let (status, error) = refusal_of(&script(&server, &text).await);
    assert!(matches!(status, 2 | 3), "{error}");
    assert!(!error.to_string().contains(&server.environment["SPOTIFY_MCP_MASTER_KEY"]));
    let keys = server.place.raw().await.texts("SELECT state FROM master_keys").await;
    assert_eq!(keys, ["active"]);

    // Beside the data the next key has a name of its own, and the present one stays.
    assert_eq!(server.stop().await.code(), Some(0));
    let present = server.data_dir().join("master.key");
    std::fs::write(&present, master_key("the tests' own")).unwrap();
    set_private(&present);
    server.environment.remove("SPOTIFY_MCP_MASTER_KEY");
    let data = server.data_dir().display().to_string();
    let copy = server.data.join("copy").display().to_string();
    let prepare = match may_mount().await {
        true => format!(
            "cp -r {data} {copy}; mount -t tmpfs -o size=512k none {data}; cp -r {copy}/. {data}; \
            head -c 9000000 /dev/zero >{data}/filler 2>/dev/null"
        ),
        false => "trap '' XFSZ; ulimit -f 0".to_owned(),
    };
    let text = format!(
        "{prepare}; \"$0\" rotate-keys --what master --format json --quiet; status=$?
        cmp -s {data}/master.key {copy}/master.key || test ! -e {copy} || exit 99
        test -s {data}/master.key.next && exit 98; exit $status"
    );
    let (status, error) = refusal_of(&script(&server, &text).await);
    assert!(matches!(status, 2 | 3), "{error}");
    server.start().await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
}

fn set_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
