//! The single-user mode over a pair of streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use spotify_mcp::mcp::stdio::{LocalCaller, serve};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::rig::Rig;

#[tokio::test]
async fn one_local_user_is_told_to_log_in_and_then_served() {
    let rig = Rig::quiet().await;
    let linked = Arc::new(AtomicBool::new(false));
    let (caller, known) = (rig.caller.clone(), linked.clone());
    let local = LocalCaller::new(move || {
        let answer = match known.load(Ordering::SeqCst) {
            true => Ok(caller.clone()),
            false => Err("Open http://127.0.0.1:8000/auth/login to connect Spotify.".to_owned()),
        };
        Box::pin(std::future::ready(answer))
    });
    let (client, ours) = tokio::io::duplex(1 << 20);
    let (input, output) = tokio::io::split(ours);
    let server = rig.server.clone();
    let serving = tokio::spawn(async move { serve(&server, local, input, output).await });
    let (reader, mut writer) = tokio::io::split(client);
    let mut lines = BufReader::new(reader).lines();
    let mut ask = async |message: Value| {
        writer.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        match message.get("id") {
            Some(_) => serde_json::from_str::<Value>(&lines.next_line().await.unwrap().unwrap()).unwrap(),
            None => Value::Null,
        }
    };
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "old", "version": "1"}});
    let agreed = ask(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
    assert_eq!(agreed["result"]["protocolVersion"], "2025-11-25");
    ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_status"}});
    let told = ask(call.clone()).await;
    assert_eq!(told["result"]["structuredContent"]["error"]["code"], "RECONNECT_REQUIRED");
    assert!(told["result"]["content"][0]["text"].as_str().unwrap().contains("127.0.0.1:8000"));
    linked.store(true, Ordering::SeqCst);
    assert_eq!(ask(call).await["result"]["isError"], false);
    drop((writer, lines));
    serving.await.unwrap().unwrap();
}
