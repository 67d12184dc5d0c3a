//! The wire: mcp.md 1.2 to 1.10, row by row where it is ours to answer.

use http::StatusCode;
use serde_json::{Value, json};

use super::rig::{Reply, Rig, VERSION, modern, plain};

const STAMP: &str = "io.modelcontextprotocol/serverInfo";

fn assert_private(result: &Value) {
    assert_eq!(result["cacheScope"], "private", "{result}");
    assert!(result["ttlMs"].is_u64(), "{result}");
    assert_eq!(result["resultType"], "complete", "{result}");
    assert_eq!(result["_meta"][STAMP]["name"], "spotify-mcp", "{result}");
}

mod modern_era {
    use super::*;

    #[tokio::test]
    async fn discovery_says_what_is_there_and_who_we_are() {
        let result = Rig::quiet().await.modern("server/discover", json!({})).await.result();
        assert_eq!(result["supportedVersions"], json!(["2025-06-18", "2025-11-25", VERSION]));
        let capabilities = result["capabilities"].as_object().unwrap();
        let mut declared: Vec<_> = capabilities.keys().map(String::as_str).collect();
        declared.sort_unstable();
        assert_eq!(declared, ["prompts", "resources", "tools"]);
        assert_private(&result);
    }

    #[tokio::test]
    async fn every_list_is_private_stamped_and_in_one_order() {
        let rig = Rig::quiet().await;
        for (method, field) in [
            ("tools/list", "tools"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
            ("prompts/list", "prompts"),
        ] {
            let result = rig.modern(method, json!({})).await.result();
            assert_private(&result);
            let again = rig.modern(method, json!({})).await.result();
            assert_eq!(result[field], again[field]);
            assert_eq!(rig.modern(method, json!({"cursor": "x"})).await.error_code(), -32602);
        }
    }

    #[tokio::test]
    async fn headers_that_contradict_the_body_are_refused() {
        let rig = Rig::quiet().await;
        let call = || modern("tools/call", json!({"name": "get_status", "arguments": {}}));
        let spoilt = |name: &'static str, value: Option<&str>| {
            let mut request = call();
            request.headers_mut().remove(name);
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            request
        };
        let mut twice = call();
        twice.headers_mut().append("mcp-protocol-version", "2025-11-25".parse().unwrap());
        for request in [
            spoilt("mcp-method", None),
            spoilt("mcp-method", Some("tools/list")),
            spoilt("mcp-name", None),
            spoilt("mcp-name", Some("Get_Status")),
            spoilt("mcp-protocol-version", Some("2025-11-25")),
            twice,
        ] {
            let reply = rig.send(request).await.unwrap();
            assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, -32020));
        }
        let encoded = spoilt("mcp-name", Some("=?base64?Z2V0X3N0YXR1cw==?="));
        assert_eq!(rig.send(encoded).await.unwrap().status, StatusCode::OK);
    }

    #[tokio::test]
    async fn the_version_must_be_known_and_the_meta_complete() {
        let rig = Rig::quiet().await;
        let with = |version: &str, meta: Value| {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
            let mut request = plain(&body.to_string());
            request.headers_mut().insert("mcp-protocol-version", version.parse().unwrap());
            request.headers_mut().insert("mcp-method", "tools/list".parse().unwrap());
            request
        };
        let version = "io.modelcontextprotocol/protocolVersion";
        let capabilities = "io.modelcontextprotocol/clientCapabilities";
        let future =
            rig.send(with("2099-01-01", json!({version: "2099-01-01", capabilities: {}}))).await.unwrap();
        assert_eq!((future.status, future.error_code()), (StatusCode::BAD_REQUEST, -32022));
        let data = &future.json()["error"]["data"];
        assert_eq!(data["requested"], "2099-01-01");
        assert!(data["supported"].as_array().unwrap().contains(&json!(VERSION)));
        let bare = rig.send(with(VERSION, json!({version: VERSION}))).await.unwrap();
        assert_eq!((bare.status, bare.error_code()), (StatusCode::BAD_REQUEST, -32602));
    }

    #[tokio::test]
    async fn methods_that_are_unknown_or_gone_are_404() {
        let rig = Rig::quiet().await;
        for method in [
            "music/play",
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "subscriptions/listen",
        ] {
            let params = json!({"uri": "spotify://status", "level": "info", "notifications": {}});
            let reply = rig.modern(method, params).await;
            assert_eq!((reply.status, reply.error_code()), (StatusCode::NOT_FOUND, -32601), "{method}");
        }
    }

    #[tokio::test]
    async fn sessions_are_ignored_and_never_minted() {
        let rig = Rig::quiet().await;
        let mut request = modern("tools/list", json!({}));
        request.headers_mut().insert("mcp-session-id", "left-over".parse().unwrap());
        request.headers_mut().insert("last-event-id", "7".parse().unwrap());
        let reply = rig.send(request).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.headers.get("mcp-session-id").is_none());
        assert_eq!(reply.headers["content-type"], "application/json");
    }

    #[tokio::test]
    async fn unknown_tools_resources_and_prompts_are_invalid_parameters_in_band() {
        let rig = Rig::quiet().await;
        for (method, params) in [
            ("tools/call", json!({"name": "format_disk", "arguments": {}})),
            ("tools/call", json!({"name": "get_status", "arguments": []})),
            ("resources/read", json!({"uri": "spotify://secrets"})),
            ("prompts/get", json!({"name": "nothing"})),
        ] {
            let reply = rig.modern(method, params).await;
            assert_eq!((reply.status, reply.error_code()), (StatusCode::OK, -32602), "{method}");
        }
        let missing = rig.modern("resources/read", json!({"uri": "spotify://secrets"})).await.json();
        assert_eq!(missing["error"]["data"]["uri"], "spotify://secrets");
    }
}

mod legacy_era {
    use super::*;

    async fn initialize(rig: &Rig, version: &str) -> Reply {
        let params = json!({"protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "old", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        rig.send(plain(&body.to_string())).await.unwrap()
    }

    #[tokio::test]
    async fn the_handshake_agrees_on_a_version_without_a_session() {
        let rig = Rig::quiet().await;
        for (asked, agreed) in [
            ("2025-11-25", "2025-11-25"),
            ("2025-06-18", "2025-06-18"),
            (VERSION, "2025-11-25"),
            ("2099-01-01", "2025-11-25"),
        ] {
            let reply = initialize(&rig, asked).await;
            assert_eq!(reply.result()["protocolVersion"], agreed, "{asked}");
            assert_eq!(reply.result()["serverInfo"]["name"], "spotify-mcp");
            assert!(reply.headers.get("mcp-session-id").is_none());
        }
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let reply = rig.send(plain(&done.to_string())).await.unwrap();
        assert_eq!((reply.status, reply.text.as_str()), (StatusCode::ACCEPTED, ""));
    }

    #[tokio::test]
    async fn requests_need_no_metadata_and_answers_have_the_old_shape() {
        let rig = Rig::quiet().await;
        assert_eq!(rig.legacy("ping", json!({})).await.result(), json!({}));
        let list = rig.legacy("tools/list", json!({})).await.result();
        let all = spotify_mcp::policy::ToolPolicies::embedded().unwrap().names().count();
        assert_eq!(list["tools"].as_array().unwrap().len(), all);
        assert!(list.get("resultType").is_none());
        let status = rig.legacy("tools/call", json!({"name": "get_status"})).await.result();
        assert_eq!(status["isError"], false);
        let missing = rig.legacy("resources/read", json!({"uri": "spotify://none"})).await;
        assert_eq!((missing.status, missing.error_code()), (StatusCode::OK, -32002));
    }

    #[tokio::test]
    async fn without_a_version_header_it_is_2025_03_26_and_an_unknown_one_is_refused() {
        let rig = Rig::quiet().await;
        let body = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"}).to_string();
        assert_eq!(rig.send(plain(&body)).await.unwrap().json()["id"], "a");
        let mut request = plain(&body);
        request.headers_mut().insert("mcp-protocol-version", "1999-01-01".parse().unwrap());
        assert_eq!(rig.send(request).await.unwrap().status, StatusCode::BAD_REQUEST);
    }
}
