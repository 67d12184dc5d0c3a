//! A browser as far as our pages need one: cookies by name, redirects between our server and Spotify, forms with
//! their hidden fields. What leaves for a third place is where the journey ends.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::{Client, RequestBuilder, StatusCode};
use url::Url;

use super::server::plain_http;

/// One person's browser.
pub struct Browser {
    http: Client,
    jar: Mutex<BTreeMap<String, String>>,
    /// Where our server is.
    pub server: String,
    spotify: String,
}

/// What a browser shows.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
    /// Where the browser was sent at last, if that is neither our server nor Spotify.
    pub left_for: Option<Url>,
}

/// A form with its hidden fields.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Browser {
    pub fn new(server: &str, spotify: &str) -> Self {
        let (server, spotify) = (server.to_owned(), spotify.to_owned());
        Self { http: plain_http(), jar: Mutex::default(), server, spotify }
    }

    /// The cookie whose name begins so.
    pub fn cookie(&self, start: &str) -> Option<String> {
        self.jar.lock().unwrap().iter().find(|(name, _)| name.starts_with(start)).map(|(_, v)| v.clone())
    }

    /// Every cookie.
    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.jar.lock().unwrap().clone()
    }

    /// Puts cookies into the jar, as malware or a shared computer might.
    pub fn take_cookies(&self, of: &Browser) {
        self.jar.lock().unwrap().extend(of.cookies());
    }

    /// Forgets the cookies whose names begin so.
    pub fn forget(&self, start: &str) {
        self.jar.lock().unwrap().retain(|name, _| !name.starts_with(start));
    }

    /// Opens an address and follows redirects. A path means our server.
    pub async fn open(&self, url: &str) -> Page {
        self.try_open(url).await.unwrap()
    }

    /// The same where the server may die meanwhile.
    pub async fn try_open(&self, url: &str) -> reqwest::Result<Page> {
        let url = self.absolute(url);
        self.follow(url.clone(), self.http.get(url)).await
    }

    /// Opens an address and stays there.
    pub async fn peek(&self, url: &str) -> Page {
        let url = self.absolute(url);
        self.send(url.clone(), self.http.get(url)).await.unwrap()
    }

    /// Submits the page's form for this action, as if the person had filled in `fields`.
    pub async fn submit(&self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        self.try_submit(page, action, fields).await.unwrap()
    }

    /// The same where the server may die meanwhile.
    pub async fn try_submit(
        &self,
        page: &Page,
        action: &str,
        fields: &[(&str, &str)],
    ) -> reqwest::Result<Page> {
        let form = page.form(action);
        let all: Vec<_> = form.pairs().chain(fields.iter().copied()).collect();
        let url = page.url.join(&form.action).unwrap();
        let origin = page.url.origin().ascii_serialization();
        self.follow(url.clone(), self.http.post(url).header("origin", origin).form(&all)).await
    }

    /// Submits the same and stays at the answer.
    pub async fn submit_only(&self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        let form = page.form(action);
        let all: Vec<_> = form.pairs().chain(fields.iter().copied()).collect();
        let url = page.url.join(&form.action).unwrap();
        self.send(url.clone(), self.http.post(url).form(&all)).await.unwrap()
    }

    /// Posts to our server whatever the test makes up; nothing is followed.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let url = self.absolute(path);
        self.send(url.clone(), self.http.post(url).form(fields)).await.unwrap()
    }

    /// On Spotify's login page: this person agrees.
    pub async fn agree_as(&self, page: &Page, person: &str) -> Page {
        self.submit(page, "/authorize", &[("other", person), ("decision", "approve")]).await
    }

    /// Logs in here without any client, ending at `/account`.
    pub async fn log_in(&self, person: &str) -> Page {
        let page = self.open("/auth/login").await;
        let page = if self.is_spotify(&page.url) { self.agree_as(&page, person).await } else { page };
        assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/account"), "{}", page.text);
        page
    }

    /// Where Spotify is.
    pub fn spotify(&self) -> &str {
        &self.spotify
    }

    /// Whether this page is Spotify's.
    pub fn is_spotify(&self, url: &Url) -> bool {
        url.as_str().starts_with(&self.spotify)
    }

    fn absolute(&self, url: &str) -> Url {
        Url::parse(&self.server).unwrap().join(url).unwrap()
    }

    async fn follow(&self, url: Url, request: RequestBuilder) -> reqwest::Result<Page> {
        let mut page = self.send(url, request).await?;
        for _ in 0..10 {
            let Some(to) = page.redirect() else { return Ok(page) };
            if !to.as_str().starts_with(&format!("{}/", self.server)) && !self.is_spotify(&to) {
                page.left_for = Some(to);
                return Ok(page);
            }
            page = self.send(to.clone(), self.http.get(to)).await?;
        }
        panic!("a circle of redirects at {}", page.url)
    }

    async fn send(&self, url: Url, request: RequestBuilder) -> reqwest::Result<Page> {
        let cookies: Vec<_> = self.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
        let request = if cookies.is_empty() { request } else { request.header("cookie", cookies.join("; ")) };
        let reply = request.send().await?;
        for set in reply.headers().get_all("set-cookie") {
            self.keep(set.to_str().unwrap());
        }
        let (status, headers) = (reply.status(), reply.headers().clone());
        Ok(Page { url, status, headers, text: reply.text().await?, left_for: None })
    }

    fn keep(&self, set: &str) {
        let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
        let mut jar = self.jar.lock().unwrap();
        // A cookie with __Host- or Secure would not be kept from plain http; neither do we.
        if set.contains("; Max-Age=0") {
            jar.remove(name);
        } else if !set.contains("; Secure") {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

impl Page {
    /// Where the answer sends the browser.
    pub fn redirect(&self) -> Option<Url> {
        let location = self.headers.get("location").filter(|_| self.status.is_redirection())?;
        Some(self.url.join(location.to_str().unwrap()).unwrap())
    }

    /// The parameters with which the browser left.
    pub fn brought(&self) -> BTreeMap<String, String> {
        let url = self.left_for.as_ref().unwrap_or_else(|| panic!("the browser is still here: {self:?}"));
        url.query_pairs().into_owned().collect()
    }

    /// The stable code of a problem page.
    pub fn code(&self) -> &str {
        let start = "<dt>Code</dt><dd><code>";
        let rest = self.text.split_once(start).unwrap_or_else(|| panic!("no problem page: {self:?}")).1;
        rest.split('<').next().unwrap()
    }

    /// The forms with this action.
    pub fn forms(&self, action: &str) -> Vec<Form> {
        let forms = self.text.split("<form ").skip(1).map(|rest| rest.split("</form>").next().unwrap());
        let parsed = forms.map(|text| Form {
            action: attribute(text.split('>').next().unwrap(), "action").unwrap(),
            fields: text.split("<input ").skip(1).filter_map(hidden).collect(),
        });
        parsed.filter(|form| form.action.ends_with(action)).collect()
    }

    /// The one form with this action.
    pub fn form(&self, action: &str) -> Form {
        let forms = self.forms(action);
        assert!(!forms.is_empty(), "no form for {action}: {self:?}");
        forms.into_iter().next().unwrap()
    }
}

impl Form {
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn get(&self, name: &str) -> &str {
        self.pairs().find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }
}

fn hidden(input: &str) -> Option<(String, String)> {
    let tag = input.split('>').next()?;
    (attribute(tag, "type")? == "hidden").then_some((attribute(tag, "name")?, attribute(tag, "value")?))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split_once(&format!("{name}=\""))?.1.split('"').next()?;
    let plain =
        [("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&lt;", "<")];
    let text = plain.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to));
    Some(text.replace("&gt;", ">").replace("&#38;", "&").replace("&amp;", "&"))
}
