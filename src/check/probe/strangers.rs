//! What a stranger tries: addresses to send codes to, clients that must not register, mistakes that must not be told of,
//! another host's name, another origin's forms, and floods.

use super::Book;
use super::client::{Client, Pair, REDIRECT, register};
use super::server::Apart;
use super::visitor::is_own_account;
use crate::check::network::live::FOREIGN;
use crate::check::{Seen, Unseen};

/// Tries all of it; floods last, because after them this address is not listened to.
pub(super) async fn try_all(apart: &Apart, book: &mut Book) {
    // Who came before the flood.
    let known = match Client::new(apart, "Probe of a known client").await {
        Ok(client) => client.connect(&mut apart.browser(), "ada").await,
        Err(why) => Err(why),
    };
    if let Err(why) = redirects(apart, book).await {
        book.without(&["SMC2008"], &why);
    }
    if let Err(why) = mistakes(apart, book).await {
        book.without(&["SMC2006"], &why);
    }
    if let Err(why) = rebinding(apart, book).await {
        book.without(&["SMC3012"], &why);
    }
    if let Err(why) = registrations(apart, book).await {
        book.without(&["SMC3008"], &why);
    }
    if let Err(why) = guesses(apart, book, known).await {
        book.without(&["SMC3011", "SMC4009"], &why);
    }
}

async fn redirects(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC2008";
    let client = Client::new(apart, "Probe of redirects").await?;
    let mut browser = apart.browser();
    let good = browser.open(&client.path(&client.verifier(), &[])).await?;
    book.note(OF, "the registered address is taken", good.reply.status == 200, good.reply.status.to_string());
    for near in [
        "http://127.0.0.1:1/callback/x",
        "http://127.0.0.1:1/callback?x=1",
        "http://127.0.0.1:1/callbac",
        "http://127.0.0.1:1@foreign.invalid/callback",
        "http://127.0.0.1.foreign.invalid/callback",
        "https://foreign.invalid/callback",
        "javascript:alert(1)",
    ] {
        let page = browser.open(&client.path(&client.verifier(), &[("redirect_uri", near)])).await?;
        let refused = page.left_for.is_none() && page.reply.status == 400;
        let said = format!("{near}: answered {}", page.reply.status);
        book.note(OF, "an address like it is refused without a redirect", refused, said);
    }
    Ok(())
}

/// Words that tell of the program's insides.
const INSIDES: [&str; 5] = ["panicked", ".rs:", "sqlx", "stack backtrace", "RUST_BACKTRACE"];

async fn mistakes(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC2006";
    let url = |path: &str| format!("{}{path}", apart.origin);
    let token = Client::new(apart, "Probe of mistakes").await?.connect(&mut apart.browser(), "ada").await?;
    let bearer = format!("Bearer {}", token.access);
    let own = [("authorization", bearer.as_str()), ("accept", "application/json, text/event-stream")];
    let deep = "[".repeat(10_000);
    let replies = [
        ("an open brace to /mcp", apart.wire.post_json(&url("/mcp"), &own, "{").await?),
        ("ten thousand brackets to /mcp", apart.wire.post_json(&url("/mcp"), &own, &deep).await?),
        ("a list to /register", apart.wire.post_json(&url("/register"), &[], &deep).await?),
        ("JSON to /token", apart.wire.post_json(&url("/token"), &[], "{}").await?),
        ("a zero byte to /authorize", apart.wire.get(&url("/authorize?client_id=%00%ff"), &[]).await?),
        ("no UTF-8 in a path", apart.wire.get(&url("/%ff%fe/..%2f"), &[]).await?),
        ("a callback out of nowhere", apart.wire.get(&url("/auth/callback?code=x&state=%00"), &[]).await?),
    ];
    for (what, reply) in replies {
        let told = INSIDES.iter().find(|word| reply.body.contains(**word));
        let quiet = (400..500).contains(&reply.status) && told.is_none();
        let said = format!(
            "answered {}{}",
            reply.status,
            told.map(|word| format!(" with {word}")).unwrap_or_default()
        );
        book.note(OF, what, quiet, said);
    }
    Ok(())
}

async fn rebinding(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC3012";
    let mut browser = apart.browser();
    let account = browser.log_in("ben").await?;
    book.note(OF, "its own name is answered", account.reply.status == 200, "it is not");
    let cookies = browser.cookies();
    let page = format!("{}/account", apart.origin);
    let other = apart.wire.get(&page, &[("host", "foreign.invalid"), ("cookie", &cookies)]).await?;
    let refused = matches!(other.status, 400 | 403 | 404 | 421);
    book.note(OF, "another host's name is not", refused, format!("answered {}", other.status));
    let out = format!("{}/auth/logout", apart.origin);
    let headers = [
        ("origin", FOREIGN),
        ("cookie", cookies.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let forged = apart.wire.ask("POST", &out, &headers, "").await?;
    let refused = matches!(forged.status, 400 | 403);
    book.note(OF, "another origin's form is refused", refused, format!("answered {}", forged.status));
    let still = apart.wire.get(&page, &[("cookie", &cookies)]).await?;
    book.note(OF, "and changed nothing", is_own_account(&still), format!("answered {}", still.status));
    Ok(())
}

async fn registrations(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC3008";
    let good = register(apart, "Probe of registration", REDIRECT).await?;
    book.note(OF, "a sound client may register", good.status == 201, format!("answered {}", good.status));
    for uri in [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "http://foreign.invalid/callback",
        "https://user@foreign.invalid/callback",
        "https://foreign.invalid/callback#part",
        "https://*.foreign.invalid/callback",
    ] {
        let reply = register(apart, "Probe of bad addresses", uri).await?;
        let said = format!("{uri}: answered {}", reply.status);
        book.note(OF, "a client with a dangerous address may not", reply.status == 400, said);
    }
    let most = apart.limits.registrations;
    if most == 0 {
        book.note(OF, "registrations are bounded", false, "the configuration knows no bound");
        return Ok(());
    }
    let mut sent = 0;
    while sent <= most && register(apart, &format!("Probe {sent}"), REDIRECT).await?.status != 429 {
        sent += 1;
    }
    book.note(
        OF,
        "a flood of registrations is answered 429",
        sent <= most,
        format!("{sent} more were taken"),
    );
    Ok(())
}

/// What a proxy would say of somebody else.
const CLAIMED: [(&str, &str); 4] = [
    ("x-forwarded-for", "203.0.113.9"),
    ("x-real-ip", "203.0.113.10"),
    ("forwarded", "for=203.0.113.11"),
    ("cf-connecting-ip", "203.0.113.12"),
];

async fn guesses(apart: &Apart, book: &mut Book, known: Seen<Pair>) -> Seen<()> {
    const OF: &str = "SMC3011";
    let known = known?;
    let most = apart.limits.failed;
    if most == 0 {
        book.note(OF, "guesses are bounded", false, "the configuration knows no bound");
        let why = "guesses have no bound in the configuration, so nobody sees whom one counts for";
        book.without(&["SMC4009"], &Unseen::because(why));
        return Ok(());
    }
    let mut sent = 0;
    while sent <= most && apart.opens(&format!("guess-{sent}")).await? != 429 {
        sent += 1;
    }
    book.note(
        OF,
        "a flood of wrong tokens is answered 429",
        sent <= most,
        format!("{sent} were answered otherwise"),
    );
    let form = [("grant_type", "authorization_code"), ("client_id", "guess"), ("code", "guess")];
    let code = apart.wire.post_form(&format!("{}/token", apart.origin), &form).await?;
    book.note(OF, "and so is the next wrong code", code.status == 429, format!("answered {}", code.status));
    for (name, value) in CLAIMED {
        let headers = [("authorization", "Bearer guess-of-another"), (name, value)];
        let claimed = apart.wire.post_json(&format!("{}/mcp", apart.origin), &headers, "{}").await?;
        let said = format!("{name}: answered {}", claimed.status);
        book.note("SMC4009", "who claims another address is counted as before", claimed.status == 429, said);
    }
    let good = apart.opens(&known.access).await?;
    book.note(OF, "a good token is let in nevertheless", good == 200, format!("answered {good}"));
    Ok(())
}
