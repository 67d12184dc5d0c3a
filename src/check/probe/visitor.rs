//! A browser as far as a server's pages need one: cookies by name, redirects between the server apart and its Spotify, forms
//! with their hidden fields. What leaves for a third place is where the journey ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use url::Url;

use crate::check::network::tls::{Server, Trust};
use crate::check::network::web::{Place, Reply, body};
use crate::check::{Seen, Unseen};

/// Redirects that are followed.
const FARTHEST: usize = 10;

/// How plain HTTP on loopback is asked.
#[derive(Clone)]
pub(super) struct Wire {
    trust: Trust,
}

impl Wire {
    pub fn new() -> Self {
        Self { trust: Trust::web_and(&[]) }
    }

    /// `GET`.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Seen<Reply> {
        self.ask("GET", url, headers, "").await
    }

    /// `POST` of a form.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Seen<Reply> {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask("POST", url, &[("content-type", "application/x-www-form-urlencoded")], &text).await
    }

    /// `POST` of JSON.
    pub async fn post_json(&self, url: &str, headers: &[(&str, &str)], text: &str) -> Seen<Reply> {
        self.ask("POST", url, &[&[("content-type", "application/json")], headers].concat(), text).await
    }

    /// Asks. A header that is said replaces the one that goes along by itself.
    pub async fn ask(&self, method: &str, url: &str, headers: &[(&str, &str)], text: &str) -> Seen<Reply> {
        let url = Url::parse(url).map_err(|error| Unseen::because(format!("no address: {error}")))?;
        let authority = url.authority().to_owned();
        let address: SocketAddr =
            authority.parse().map_err(|_| Unseen::because("only addresses on loopback are asked"))?;
        let server = Server { address, host: address.ip().to_string() };
        let place = Place { server, secured: false, authority, trust: self.trust.clone() };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = match headers.iter().any(|(name, _)| *name == "host") {
            true => http::Request::builder().method(method).uri(path),
            false => place.about(method, &path),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body(text));
        let request = request.map_err(|error| Unseen::because(format!("no such request: {error}")))?;
        place.ask(request).await
    }
}

/// Whether a page of `/account` is somebody's own, and not the one that says that nobody is logged in.
pub(super) fn is_own_account(reply: &Reply) -> bool {
    reply.status == 200 && form(&reply.body, "/auth/logout").is_some()
}

/// One person's browser.
pub(super) struct Visitor {
    wire: Wire,
    server: String,
    spotify: String,
    jar: BTreeMap<String, String>,
}

/// What it shows.
#[derive(Debug)]
pub(super) struct Page {
    pub url: Url,
    pub reply: Reply,
    /// Where it was sent at last, if that is neither the server nor Spotify.
    pub left_for: Option<Url>,
}

impl Visitor {
    pub fn new(wire: &Wire, server: &str, spotify: &str) -> Self {
        Self {
            wire: wire.clone(),
            server: server.to_owned(),
            spotify: spotify.to_owned(),
            jar: BTreeMap::new(),
        }
    }

    /// Opens a path of the server, and follows redirects.
    pub async fn open(&mut self, path: &str) -> Seen<Page> {
        let url = self.absolute(path)?;
        let reply = self.send("GET", &url, &[], "").await?;
        self.follow(url, reply).await
    }

    /// Submits the page's form for this action with these further fields.
    pub async fn submit(&mut self, page: &Page, action: &str, more: &[(&str, &str)]) -> Seen<Page> {
        let (to, hidden) = form(&page.reply.body, action)
            .ok_or_else(|| Unseen::because(format!("{} has no form for {action}", page.url.path())))?;
        let url = page.url.join(&to).map_err(|_| Unseen::because("a form leads to no address"))?;
        let fields =
            hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(more.iter().copied());
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let origin = page.url.origin().ascii_serialization();
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", origin.as_str())];
        let reply = self.send("POST", &url, &headers, &text).await?;
        self.follow(url, reply).await
    }

    /// Logs in without any client.
    pub async fn log_in(&mut self, person: &str) -> Seen<Page> {
        let page = self.open("/auth/login").await?;
        let page = self.agreed(page, person).await?;
        if is_own_account(&page.reply) {
            return Ok(page);
        }
        let (path, status) = (page.url.path(), page.reply.status);
        Err(Unseen::because(format!("a login ended at {path} with {status}")))
    }

    /// The page after Spotify's login, where it asks for one.
    pub async fn agreed(&mut self, page: Page, person: &str) -> Seen<Page> {
        if page.left_for.is_some() || !page.url.as_str().starts_with(&self.spotify) {
            return Ok(page);
        }
        self.submit(&page, "/authorize", &[("other", person), ("decision", "approve")]).await
    }

    /// Every cookie of the server's, as a header has them.
    pub fn cookies(&self) -> String {
        self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn follow(&mut self, mut url: Url, mut reply: Reply) -> Seen<Page> {
        for _ in 0..FARTHEST {
            let to = reply.header("location").filter(|_| (300..400).contains(&reply.status));
            let Some(to) = to.and_then(|to| url.join(&to).ok()) else {
                return Ok(Page { url, reply, left_for: None });
            };
            let here = to.as_str().starts_with(&format!("{}/", self.server));
            if !here && !to.as_str().starts_with(&format!("{}/", self.spotify)) {
                return Ok(Page { url, reply, left_for: Some(to) });
            }
            reply = self.send("GET", &to, &[], "").await?;
            url = to;
        }
        Err(Unseen::because("the server sends a browser round in a circle"))
    }

    async fn send(&mut self, method: &str, url: &Url, more: &[(&str, &str)], text: &str) -> Seen<Reply> {
        let cookies = self.cookies();
        let agent = [("user-agent", "security-check"), ("cookie", cookies.as_str())];
        let agent = if cookies.is_empty() { &agent[..1] } else { &agent[..] };
        let reply = self.wire.ask(method, url.as_str(), &[agent, more].concat(), text).await?;
        for set in reply.headers.get_all("set-cookie") {
            self.keep(set.to_str().unwrap_or_default());
        }
        Ok(reply)
    }

    fn keep(&mut self, set: &str) {
        let Some((name, value)) = set.split(';').next().and_then(|pair| pair.split_once('=')) else { return };
        if set.contains("; Max-Age=0") {
            self.jar.remove(name);
        } else {
            self.jar.insert(name.to_owned(), value.to_owned());
        }
    }

    fn absolute(&self, path: &str) -> Seen<Url> {
        let server = Url::parse(&self.server).and_then(|server| server.join(path));
        server.map_err(|error| Unseen::because(format!("no address: {error}")))
    }
}

impl Page {
    /// The parameters with which the browser left.
    pub fn brought(&self) -> BTreeMap<String, String> {
        self.left_for.iter().flat_map(|url| url.query_pairs().into_owned()).collect()
    }
}

/// The action and the hidden fields of the first form whose action ends so.
fn form(text: &str, action: &str) -> Option<(String, Vec<(String, String)>)> {
    let forms = text.split("<form ").skip(1).filter_map(|rest| rest.split("</form>").next());
    forms
        .filter_map(|form| Some((attribute(form.split('>').next()?, "action")?, form)))
        .find(|(to, _)| to.ends_with(action))
        .map(|(to, form)| (to, form.split("<input ").skip(1).filter_map(hidden).collect()))
}

fn hidden(input: &str) -> Option<(String, String)> {
    let tag = input.split('>').next()?;
    (attribute(tag, "type")? == "hidden").then_some((attribute(tag, "name")?, attribute(tag, "value")?))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split_once(&format!("{name}=\""))?.1.split('"').next()?;
    let plain = [
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    Some(plain.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)))
}
