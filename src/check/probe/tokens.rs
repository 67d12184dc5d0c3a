//! Codes and tokens: how long they live, that they are used once, and that what was revoked or stolen is dead.

use super::Book;
use super::client::{Client, Pair, document};
use super::server::Apart;
use crate::check::Seen;
use crate::check::network::web::Reply;

/// Characters of base64url that hold 128 bits.
const LONG_ENOUGH: usize = 22;

/// More often no answer is repeated.
const MOST_REPEATED: usize = 20;

/// Tries all of it.
pub(super) async fn try_all(apart: &Apart, book: &mut Book) {
    if let Err(why) = issued(apart, book).await {
        book.without(&["SMC3001", "SMC3003"], &why);
    }
    if let Err(why) = revoked(apart, book).await {
        book.without(&["SMC3005"], &why);
    }
    if let Err(why) = codes(apart, book).await {
        book.without(&["SMC3006"], &why);
    }
    if let Err(why) = reused(apart, book).await {
        book.without(&["SMC3007"], &why);
    }
}

fn answered(reply: &Reply) -> String {
    let error = document(reply)["error"].as_str().map(|word| format!(" {word}")).unwrap_or_default();
    format!("answered {}{error}", reply.status)
}

/// OAuth's own refusal of a code or refresh token (RFC 6749 section 5.2).
fn is_invalid_grant(reply: &Reply) -> bool {
    reply.status == 400 && document(reply)["error"] == "invalid_grant"
}

async fn issued(apart: &Apart, book: &mut Book) -> Seen<()> {
    let client = Client::new(apart, "Probe of tokens").await?;
    let (mut ada, mut ben) = (apart.browser(), apart.browser());
    let (one, other) = (client.connect(&mut ada, "ada").await?, client.connect(&mut ben, "ben").await?);
    let wanted = apart.limits.access_token;
    let said = format!("the server says {} s, the configuration {wanted}", one.life);
    let holds = (1..=wanted).contains(&one.life);
    book.note("SMC3001", "an access token lives no longer than is configured", holds, said);
    let tokens = [&one.access, &one.refresh, &other.access, &other.refresh];
    let chance = by_chance(&one.access, &other.access).min(by_chance(&one.refresh, &other.refresh));
    let said = format!("{chance} characters of chance");
    book.note("SMC3003", "tokens hold 128 bits or more", chance >= LONG_ENOUGH, said);
    let files = ["spotify-mcp.db", "spotify-mcp.db-wal"];
    let stored: Vec<Vec<u8>> =
        files.iter().map(|name| std::fs::read(apart.data().join(name)).unwrap_or_default()).collect();
    let bytes: usize = stored.iter().map(Vec::len).sum();
    book.note("SMC3003", "there is a database to look at", bytes > 1_000, format!("{bytes} bytes"));
    let found = tokens.iter().any(|token| stored.iter().any(|text| contains(text, token.as_bytes())));
    book.note("SMC3003", "it holds no token", !found, "a token stands in the database as it is");
    Ok(())
}

/// How many characters of two tokens follow what they have in common.
fn by_chance(one: &str, other: &str) -> usize {
    let common = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    one.len().min(other.len()).saturating_sub(common)
}

/// Whether these bytes are among those.
pub(super) fn contains(text: &[u8], word: &[u8]) -> bool {
    !word.is_empty() && text.windows(word.len()).any(|part| part == word)
}

async fn revoked(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC3005";
    let client = Client::new(apart, "Probe of revocation").await?;
    let pair = client.connect(&mut apart.browser(), "ada").await?;
    let before = apart.opens(&pair.access).await?;
    book.note(OF, "a good token is let in", before == 200, format!("answered {before}"));
    let given_back = client.revoke(&pair.refresh).await?;
    book.note(OF, "a token can be given back", given_back.status == 200, answered(&given_back));
    let after = apart.opens(&pair.access).await?;
    book.note(OF, "its access token is dead at once", after == 401, format!("answered {after}"));
    let again = client.refresh(&pair.refresh).await?;
    book.note(OF, "it brings no new ones", is_invalid_grant(&again), answered(&again));
    Ok(())
}

async fn codes(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC3006";
    let client = Client::new(apart, "Probe of codes").await?;
    let mut browser = apart.browser();
    let verifier = client.verifier();
    for (what, others) in [
        (
            "PKCE by the word itself is refused",
            [("code_challenge_method", "plain"), ("code_challenge", &verifier)],
        ),
        ("no PKCE is refused", [("code_challenge_method", ""), ("code_challenge", "")]),
    ] {
        let page = browser.open(&client.path(&verifier, &others)).await?;
        let brought = page.brought();
        let refused = page.reply.status == 400 || brought.contains_key("error");
        book.note(OF, what, refused && !brought.contains_key("code"), answered(&page.reply));
    }
    let (code, _) = client.code(&mut browser, "ada").await?;
    let wrong = client.redeem(&code, &client.verifier()).await?;
    book.note(OF, "a code does not work with another verifier", is_invalid_grant(&wrong), answered(&wrong));
    let (code, verifier) = client.code(&mut browser, "ada").await?;
    let once = client.redeem(&code, &verifier).await?;
    book.note(OF, "a code works", once.status == 200, answered(&once));
    let twice = client.redeem(&code, &verifier).await?;
    book.note(OF, "it works once", is_invalid_grant(&twice), answered(&twice));
    let first = apart.opens(&Pair::of(&once)?.access).await?;
    let said = format!("answered {first}");
    book.note(OF, "what it brought is dead once it came twice", first == 401, said);
    Ok(())
}

async fn reused(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC3007";
    let client = Client::new(apart, "Probe of refreshing").await?;
    let first = client.connect(&mut apart.browser(), "ada").await?;
    let second = Pair::of(&client.refresh(&first.refresh).await?)?;
    let changed = second.refresh != first.refresh;
    book.note(OF, "each use of a refresh token brings another", changed, "the same came again");
    let alive = apart.opens(&second.access).await?;
    book.note(OF, "the newest pair works", alive == 200, format!("answered {alive}"));
    // An answer that was lost is repeated for a while, to the same client: never is another pair made of it.
    let mut last = client.refresh(&first.refresh).await?;
    let mut others = 0;
    for _ in 0..MOST_REPEATED {
        others += usize::from(Pair::of(&last).is_ok_and(|pair| pair.refresh != second.refresh));
        if is_invalid_grant(&last) {
            break;
        }
        last = client.refresh(&first.refresh).await?;
    }
    book.note(OF, "a used one brings no further pair", others == 0, format!("{others} more pairs were made"));
    book.note(OF, "and is refused after a few times", is_invalid_grant(&last), answered(&last));
    Ok(())
}
