//! What is presented in the place of a good token: nothing, a token for another server, one whose time is over.

use super::Book;
use super::client::{Client, Pair, document};
use super::server::Apart;
use crate::check::Seen;
use crate::check::network::web::Reply;

const OF: &str = "SMC3004";

/// Tokens that are presented once more when their time is over.
pub(super) struct Kept {
    client: String,
    pair: Pair,
}

/// Tries what can be tried while tokens are good, against another server of this program.
pub(super) async fn try_now(apart: &Apart, other: Seen<Apart>, book: &mut Book) -> Seen<Kept> {
    nothing(apart, book).await?;
    resources(apart, book).await?;
    let other = other?;
    let foreign = Client::new(&other, "Probe of another server").await?;
    let pair = foreign.connect(&mut other.browser(), "ada").await?;
    let there = other.opens(&pair.access).await?;
    book.note(OF, "a token is let in where it was made", there == 200, format!("answered {there}"));
    let here = apart.opens(&pair.access).await?;
    book.note(OF, "and at no other server", here == 401, format!("answered {here}"));
    let own = Client::new(apart, "Probe of time").await?;
    let pair = own.connect(&mut apart.browser(), "ada").await?;
    Ok(Kept { client: own.id, pair })
}

async fn nothing(apart: &Apart, book: &mut Book) -> Seen<()> {
    let url = format!("{}/mcp", apart.origin);
    let bare = apart.wire.post_json(&url, &[], "{}").await?;
    let leads = bare.header("www-authenticate").is_some_and(|way| way.contains("resource_metadata="));
    let said = format!("answered {}", bare.status);
    book.note(OF, "without a token the way to one is told", bare.status == 401 && leads, said);
    Ok(())
}

/// A token for another server is not to be had here.
async fn resources(apart: &Apart, book: &mut Book) -> Seen<()> {
    const ELSEWHERE: (&str, &str) = ("resource", "https://foreign.invalid/mcp");
    let is_refused = |reply: &Reply| document(reply)["error"] == "invalid_target";
    let client = Client::new(apart, "Probe of audiences").await?;
    let mut browser = apart.browser();
    let page = browser.open(&client.path(&client.verifier(), &[ELSEWHERE])).await?;
    let brought = page.brought();
    let refused = brought.get("error").is_some_and(|error| error == "invalid_target");
    let said = format!("answered {}", page.reply.status);
    book.note(OF, "no code is made for another server", refused && !brought.contains_key("code"), said);
    let (code, verifier) = client.code(&mut browser, "ada").await?;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", super::client::REDIRECT),
        ("code_verifier", verifier.as_str()),
        ELSEWHERE,
    ];
    let reply = client.token(&form).await?;
    let said = format!("answered {}", reply.status);
    book.note(OF, "no code brings a token for another server", is_refused(&reply), said);
    Ok(())
}

/// Tries what is left when the time of those tokens is over: in a second life of the server.
pub(super) async fn try_later(apart: &mut Apart, kept: Seen<Kept>, book: &mut Book) {
    let tried = match kept {
        Ok(kept) => later(apart, &kept, book).await,
        Err(why) => Err(why),
    };
    if let Err(why) = tried {
        book.without(&[OF], &why);
    }
}

async fn later(apart: &mut Apart, kept: &Kept, book: &mut Book) -> Seen<()> {
    let before = apart.opens(&kept.pair.access).await?;
    book.note(OF, "a token is let in while it is good", before == 200, format!("answered {before}"));
    apart.start_later().await?;
    let after = apart.opens(&kept.pair.access).await?;
    book.note(OF, "and is not when its time is over", after == 401, format!("answered {after}"));
    // Its server knows it still: nothing but its time is against it.
    let client = Client { apart: &*apart, id: kept.client.clone() };
    let next = Pair::of(&client.refresh(&kept.pair.refresh).await?)?;
    let next = apart.opens(&next.access).await?;
    book.note(OF, "the next of its family is let in", next == 200, format!("answered {next}"));
    Ok(())
}
