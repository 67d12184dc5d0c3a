//! `docs/incidents.md`: every command in it is run, from the first to the last, against a running server.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::support::database::at_both;
use crate::support::server::Setup;

/// A command of the document, and the status that it ends with.
struct Step {
    line: String,
    status: i32,
}

fn steps() -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/incidents.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let step = |line: &str| {
        let (line, status) = line.split_once("# status ").unwrap_or((line, "0"));
        Step { line: line.trim().to_owned(), status: status.trim().parse().unwrap() }
    };
    blocks.flat_map(|block| block.lines().map(step).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn every_command_of_the_document_ends_as_it_says() {
    let all = steps();
    assert!(all.len() > 15, "the document has another form than this test reads");
    at_both(async |place| {
        let mut server = Setup::on(place).prepare().await;
        let key = server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap();
        let file = server.data.join("the.key");
        fs::write(&file, key).unwrap();
        server.environment.insert("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), file.display().to_string());
        server.start().await;
        let _ada = server.listener("ada").await;

        let here = server.data.join("desk");
        fs::create_dir(&here).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_spotify-mcp"), here.join("spotify-mcp")).unwrap();
        let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap());
        for Step { line, status } in &all {
            let mut shell = tokio::process::Command::new("sh");
            shell.arg("-c").arg(line).current_dir(&here).stdin(Stdio::null());
            shell.env_clear().envs(&server.environment).env("PATH", &path);
            let done = shell.output().await.unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(*status), "{line}\n{said}");
        }
    })
    .await;
}
