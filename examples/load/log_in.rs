//! Logging people in at the server under load, over HTTP, as a client and a browser do it: registration, consent,
//! Spotify's page, the callback, the token endpoint. Nothing is skipped.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Client, Response, StatusCode, header, redirect};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::people::name;
use super::{Outcome, Person, report};

/// Nothing listens there: the answer is read from the redirect.
const REDIRECT: &str = "http://127.0.0.1:9/callback";
const VERIFIER: &str = "the-verifier-of-a-load-test-need-not-be-secret-0123";
/// Logins at once.
const AT_ONCE: usize = 16;

pub(super) async fn all(server: &str, users: usize) -> Outcome<Vec<Person>> {
    let began = Instant::now();
    let client = register(server).await?;
    let people = stream::iter((0..users).map(|number| one(server, &client, name(number))))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    report::setup("logged in", users, began.elapsed());
    Ok(people)
}

async fn register(server: &str) -> Outcome<String> {
    let metadata = json!({
        "client_name": "Load",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    let answer = browser()?.post(format!("{server}/register")).json(&metadata).send().await?;
    let registered: Value = expect(answer, StatusCode::CREATED).await?.json().await?;
    Ok(registered["client_id"].as_str().ok_or("no client_id")?.to_owned())
}

fn browser() -> Outcome<Client> {
    Ok(Client::builder().no_proxy().cookie_store(true).redirect(redirect::Policy::none()).build()?)
}

async fn one(server: &str, client: &str, id: String) -> Outcome<Person> {
    let browser = browser()?;
    let at_spotify = consent(&browser, server, client, &id).await?;
    let callback = approve(&browser, &at_spotify, &id).await?;
    let back = location(browser.get(callback).send().await?).await?;
    if parameter(&back, "state").as_deref() != Some(&id) {
        return Err(format!("another state came back: {back}").into());
    }
    let code = parameter(&back, "code").ok_or_else(|| format!("no code: {back}"))?;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let answer = browser.post(format!("{server}/token")).form(&form).send().await?;
    let tokens: Value = expect(answer, StatusCode::OK).await?.json().await?;
    let token = tokens["access_token"].as_str().ok_or("no access_token")?.to_owned();
    Ok(Person { id, token, upstream: None })
}

/// Our own page; where it leads.
async fn consent(browser: &Client, server: &str, client: &str, state: &str) -> Outcome<Url> {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let resource = format!("{server}/mcp");
    let query = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("resource", &resource),
    ];
    let url = format!("{server}/authorize");
    let page = browser.get(&url).query(&query).send().await?;
    let page = expect(page, StatusCode::OK).await?.text().await?;
    let form =
        [("csrf", hidden(&page, "csrf")?), ("ticket", hidden(&page, "ticket")?), ("decision", "approve")];
    location(browser.post(url).header(header::ORIGIN, server).form(&form).send().await?).await
}

/// The simulator's page; where it leads.
async fn approve(browser: &Client, at_spotify: &Url, id: &str) -> Outcome<Url> {
    let form = [("request", at_spotify.query().unwrap_or_default()), ("person", id), ("decision", "approve")];
    let mut page = at_spotify.clone();
    page.set_query(None);
    location(browser.post(page).form(&form).send().await?).await
}

/// The value of a hidden field. Our pages escape what is not a plain character, and these values have none.
fn hidden<'a>(page: &'a str, name: &str) -> Outcome<&'a str> {
    let begin = format!("name=\"{name}\" value=\"");
    let value = page.split_once(&begin).and_then(|(_, rest)| rest.split_once('"'));
    Ok(value.ok_or_else(|| format!("the page has no field {name}"))?.0)
}

async fn location(answer: Response) -> Outcome<Url> {
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    if let Some(location) = location.filter(|_| answer.status().is_redirection()) {
        return Ok(answer.url().join(location)?);
    }
    Err(said(answer).await.into())
}

async fn expect(answer: Response, status: StatusCode) -> Outcome<Response> {
    if answer.status() == status { Ok(answer) } else { Err(said(answer).await.into()) }
}

async fn said(answer: Response) -> String {
    let (status, path) = (answer.status(), answer.url().path().to_owned());
    let body = answer.text().await.unwrap_or_default();
    format!("{path} answered {status}: {}", body.chars().take(500).collect::<String>())
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
