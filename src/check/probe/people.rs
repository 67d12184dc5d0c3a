//! Two pretended people: how many sessions one may have, that neither gets at what is the other's, and that a narrow grant
//! stays narrow; and what tools they are shown.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Book;
use super::client::{Client, Pair, document};
use super::server::Apart;
use super::visitor::is_own_account;
use crate::check::Seen;
use crate::policy::ToolPolicies;

/// Tries all of it.
pub(super) async fn try_all(apart: &Apart, book: &mut Book) {
    if let Err(why) = sessions(apart, book).await {
        book.without(&["SMC3002"], &why);
    }
    if let Err(why) = apart_from_each_other(apart, book).await {
        book.without(&["SMC3009", "SMC7008"], &why);
    }
    if let Err(why) = privileges(apart, book).await {
        book.without(&["SMC3010"], &why);
    }
}

/// One more login than a person may have sessions.
async fn sessions(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC3002";
    let most = apart.limits.sessions;
    if most == 0 {
        book.note(OF, "a person's sessions are bounded", false, "the configuration knows no bound");
        return Ok(());
    }
    let mut browsers = Vec::new();
    for _ in 0..=most {
        let mut browser = apart.browser();
        browser.log_in("chiara").await?;
        browsers.push(browser);
    }
    let mut alive = Vec::new();
    for browser in &browsers {
        let page = format!("{}/account", apart.origin);
        let reply = apart.wire.get(&page, &[("cookie", &browser.cookies())]).await?;
        alive.push(is_own_account(&reply));
    }
    let count = alive.iter().filter(|alive| **alive).count();
    let said = format!("{count} of {} sessions are alive, {most} are allowed", most + 1);
    let newest = alive.last() == Some(&true);
    book.note(OF, "one session goes when there is one too many", count == most as usize, said.clone());
    book.note(OF, "and it is not the newest", newest, said);
    Ok(())
}

async fn apart_from_each_other(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC3009";
    let (of_ada, of_ben) =
        (Client::new(apart, "Probe of Ada's").await?, Client::new(apart, "Probe of Ben's").await?);
    let (mut ada, mut ben) = (apart.browser(), apart.browser());
    let (hers, his) = (of_ada.connect(&mut ada, "ada").await?, of_ben.connect(&mut ben, "ben").await?);
    for (pair, own, others) in [(&hers, "adaZ", "benZ"), (&his, "benZ", "adaZ")] {
        let params = json!({ "name": "get_user_playlists", "arguments": {} });
        let text = apart.call(&pair.access, "tools/call", params).await?.body;
        book.note(OF, "a person sees what is theirs", text.contains(own), "nothing of their own came");
        book.note(OF, "and nothing of another's", !text.contains(others), "another's playlists came");
    }
    let pages = [(ada.open("/account").await?, true), (ben.open("/account").await?, false)];
    for (page, is_hers) in pages {
        let shows = page.reply.body.contains("Probe of Ada") && page.reply.status == 200;
        book.note(
            OF,
            "an account shows its own clients alone",
            shows == is_hers,
            "another's client is shown",
        );
    }
    let crossed = of_ben.refresh(&hers.refresh).await?;
    let refused = crossed.status == 400 && document(&crossed)["error"] == "invalid_grant";
    let said = format!("answered {}", crossed.status);
    book.note(OF, "a client cannot use what another was given", refused, said);
    tools(apart, book, (&hers, &his)).await
}

/// SMC7008: every tool that is shown has a policy, and everybody is shown the same.
async fn tools(apart: &Apart, book: &mut Book, (hers, his): (&Pair, &Pair)) -> Seen<()> {
    const OF: &str = "SMC7008";
    let list = async |pair: &Pair| -> Seen<Value> {
        let reply = apart.call(&pair.access, "tools/list", json!({})).await?;
        Ok(document(&reply)["result"]["tools"].clone())
    };
    let (one, other, again) = (list(hers).await?, list(his).await?, list(hers).await?);
    let named = |tools: &Value| -> BTreeSet<String> {
        let names = tools.as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str());
        names.map(str::to_owned).collect()
    };
    let known: BTreeSet<String> = ToolPolicies::embedded()
        .map(|policies| policies.names().map(str::to_owned).collect())
        .unwrap_or_default();
    let digest: String =
        Sha256::digest(one.to_string()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let shown = named(&one);
    let said = format!("{} tools are shown, {} have a policy", shown.len(), known.len());
    book.note(
        OF,
        "every tool that is shown has a policy",
        !shown.is_empty() && shown.is_subset(&known),
        said,
    );
    let said = format!("definitions differ from {digest}");
    book.note(OF, "everybody is shown the same definitions", one == other, said.clone());
    book.note(OF, "and the same again", one == again, said);
    Ok(())
}

async fn privileges(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC3010";
    let client = Client::new(apart, "Probe of a narrow grant").await?;
    let mut browser = apart.browser();
    let verifier = client.verifier();
    let page = client.send_away(&client.path(&verifier, &[("scope", "read")]), &mut browser, "ben").await?;
    let code = page.brought().remove("code").unwrap_or_default();
    let pair = Pair::of(&client.redeem(&code, &verifier).await?)?;
    let call = async |name: &str, arguments: Value| {
        apart.call(&pair.access, "tools/call", json!({ "name": name, "arguments": arguments })).await
    };
    let read = call("get_user_playlists", json!({})).await?;
    book.note(OF, "a grant to read reads", read.body.contains("benZ"), format!("answered {}", read.status));
    let write = call("create_playlist", json!({ "name": "probe" })).await?;
    let said = format!("answered {}", write.status);
    book.note(OF, "a grant to read does not write", write.status == 403, said);
    for path in ["/admin", "/control", "/metrics", "/debug", "/users"] {
        let bearer = format!("Bearer {}", pair.access);
        let headers = [("authorization", bearer.as_str()), ("cookie", &browser.cookies())];
        let reply = apart.wire.get(&format!("{}{path}", apart.origin), &headers).await?;
        let closed = matches!(reply.status, 401 | 403 | 404);
        book.note(OF, "nothing of an administrator's is served", closed, format!("{path}: {}", reply.status));
    }
    let socket = apart.data().join("control.sock");
    let open = |path: &std::path::Path| path.metadata().map(|seen| seen.permissions().mode() & 0o077).ok();
    let reach = open(&socket).zip(open(&apart.data()));
    let closed = reach.is_some_and(|(socket, folder)| socket == 0 || folder == 0);
    book.note(OF, "the operator's socket is its owner's alone", closed, "others reach control.sock");
    Ok(())
}
