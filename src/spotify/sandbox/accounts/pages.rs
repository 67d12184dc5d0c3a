//! The sandbox's pages. They work without JavaScript, and say loudly that this is not Spotify.

use askama::Template;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

use super::authorize::Request;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::people::Person;
use crate::spotify::sandbox::world::shards::read;

/// Most people shown as cards; others are reached by their id.
const CARDS: usize = 6;

/// No script, no foreign content, no frame. `form-action` stays open: the answer to the form is a redirect to
/// the app, which browsers would block.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "sandbox_login.html")]
struct Login<'a> {
    app: &'a str,
    request: &'a str,
    cards: Vec<Card>,
    hidden: usize,
    scopes: Vec<(&'static str, &'static str)>,
    returning: bool,
}

struct Card {
    id: String,
    name: String,
    about: String,
    initial: char,
    hue: usize,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "sandbox_note.html")]
struct Note<'a> {
    title: &'a str,
    text: &'a str,
}

/// The page on which to choose a person and to approve.
pub fn login(world: &World, request: &Request, logged_in: Option<&Person>) -> Response {
    let people = read(&world.people);
    let total = people.iter().count();
    let first = logged_in.and_then(|person| people.get(&person.id));
    let others = people.iter().filter(|person| logged_in.is_none_or(|known| known.id != person.id));
    let cards: Vec<_> = first
        .into_iter()
        .chain(others)
        .take(CARDS)
        .enumerate()
        .map(|(at, person)| card(person, at))
        .collect();
    let rules = request.app.rules();
    let page = Login {
        app: &rules.name,
        request: &request.raw,
        hidden: total - cards.len(),
        cards,
        scopes: request.scopes.names().map(|name| (name, meaning(name))).collect(),
        returning: logged_in.is_some(),
    };
    html(StatusCode::OK, &page)
}

/// A page that says why it goes no further.
pub fn refusal(status: StatusCode, text: &str) -> Response {
    html(status, &Note { title: "This does not work", text })
}

/// `GET /`.
pub async fn front() -> Response {
    html(
        StatusCode::OK,
        &Note {
            title: "A simulated Spotify",
            text: "It stands in for the accounts service and the Web API. Start a login from the app that uses it.",
        },
    )
}

/// `GET /sandbox.css`.
pub async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../templates/sandbox.css"))
        .into_response()
}

fn card(person: &Person, at: usize) -> Card {
    let state = person.state();
    let name = state.traits.spell(&state.traits.display_name);
    Card {
        id: person.id.to_string(),
        initial: name.chars().next().unwrap_or('?'),
        name,
        about: state.traits.about.clone(),
        hue: at,
        chosen: at == 0,
    }
}

fn html(status: StatusCode, page: &impl Template) -> Response {
    let Ok(text) = page.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut reply = Response::new(Body::from(text));
    *reply.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}

fn meaning(scope: &str) -> &'static str {
    match scope {
        "playlist-read-private" => "See your private playlists",
        "playlist-read-collaborative" => "See playlists you edit with others",
        "playlist-modify-public" => "Create and change your public playlists",
        "playlist-modify-private" => "Create and change your private playlists",
        "user-library-read" => "See what you saved in your library",
        "user-library-modify" => "Change what is saved in your library",
        "user-follow-read" => "See whom you follow",
        "user-follow-modify" => "Change whom you follow",
        "user-top-read" => "See what you listen to most",
        "user-read-playback-state" => "See your devices and what they play",
        "user-read-currently-playing" => "See what you are listening to now",
        "user-read-recently-played" => "See what you listened to lately",
        "user-read-playback-position" => "See how far you are in podcasts",
        "user-modify-playback-state" => "Control playback on your devices",
        "user-read-email" => "See your e-mail address",
        "user-read-private" => "See your country and subscription",
        "ugc-image-upload" => "Upload playlist covers for you",
        "streaming" => "Play music in the app itself",
        _ => "Control the Spotify app remotely",
    }
}
