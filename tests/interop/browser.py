"""A scripted browser without JavaScript: keeps cookies, follows redirects, presses the buttons a person would press.

Knows the two pages of a login, the server's consent page and the sandbox's login page, and gives up on any other.
Only Python's standard library, so that it runs wherever Python does:

    browser.py approve AUTHORIZATION_URL PERSON REDIRECT_URI    prints the URL with which the client is called back
    browser.py visit AUTHORIZATION_URL PERSON REDIRECT_URI      and opens that URL, where the client listens
    browser.py ready ORIGIN                                     succeeds when the server is ready
    browser.py register ORIGIN REDIRECT_URI                     registers a client, prints its id
    browser.py token ORIGIN PERSON                              registers a client, logs in, prints an access token
"""

import base64
import hashlib
import html.parser
import http.cookiejar
import json
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request

HOPS = 15
MOST_BYTES = 1 << 20


class Gave(Exception):
    """The login did not go as a login goes."""


class Browser:
    """One person's browser. Its cookies stay, so a second login may be quieter than the first."""

    def __init__(self, person):
        self.person = person
        self.pages = []
        """Which pages were shown, in order: `consent` or `sandbox`."""
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        # No proxy from the environment: everything is on this machine.
        self._opener = urllib.request.build_opener(jar, urllib.request.ProxyHandler({}), _NoRedirect())

    def approve(self, url, redirect_uri):
        """Opens `url` and says yes until the client is called back. Returns the URL of that call."""
        form = None
        for _ in range(HOPS):
            status, headers, body = self._fetch(url, form)
            form = None
            if status in (302, 303, 307):
                if status == 307:
                    raise Gave(f"{_bare(url)} answered 307, which would repeat a form")
                url = urllib.parse.urljoin(url, headers["location"])
                if url.split("?")[0] == redirect_uri:
                    return url
            elif status == 200:
                url, form = self._answer(url, _Page.read(body))
            else:
                raise Gave(f"{_bare(url)} answered {status}: {_Page.read(body).words()}")
        raise Gave(f"still not called back after {HOPS} pages")

    def _answer(self, url, page):
        names = {name for name, _ in page.hidden}
        if {"ticket", "csrf"} <= names:
            self.pages.append("consent")
            pressed = [("decision", "approve")]
        elif "request" in names and any(name == "person" for name, _ in page.inputs):
            self.pages.append("sandbox")
            if ("person", self.person) not in page.inputs:
                raise Gave(f"the sandbox does not offer {self.person}")
            pressed = [("person", self.person), ("decision", "approve")]
        else:
            raise Gave(f"{_bare(url)} is neither the consent page nor the sandbox's login: {page.words()}")
        if page.method != "post" or ("decision", "approve") not in page.buttons:
            raise Gave(f"{_bare(url)} has no form with a button to approve")
        return urllib.parse.urljoin(url, page.action), page.hidden + pressed

    def _fetch(self, url, form):
        request = urllib.request.Request(url, headers={"accept": "text/html", "user-agent": "scripted-browser"})
        if form is not None:
            request.data = urllib.parse.urlencode(form).encode()
            request.add_header("origin", "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url)))
        try:
            reply = self._opener.open(request, timeout=20)
        except urllib.error.HTTPError as refusal:
            reply = refusal
        with reply:
            return reply.status, reply.headers, reply.read(MOST_BYTES).decode()


def register(origin, redirect_uri):
    """The id of a new client."""
    client = {"client_name": "Interop", "redirect_uris": [redirect_uri]}
    return _post(f"{origin}/register", client, json.dumps)["client_id"]


def token(origin, person):
    """An access token for `person`, got the long way: registration, consent, login, exchange."""
    redirect_uri = "http://127.0.0.1:9/callback"
    client_id = register(origin, redirect_uri)
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    state = secrets.token_urlsafe(16)
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": state,
        "resource": f"{origin}/mcp",
    }
    called = Browser(person).approve(f"{origin}/authorize?{urllib.parse.urlencode(asked)}", redirect_uri)
    answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(called).query))
    if answer.get("state") != state or answer.get("iss") != origin or "code" not in answer:
        raise Gave(f"the client was called with {sorted(answer)}")
    exchange = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
        "resource": f"{origin}/mcp",
    }
    return _post(f"{origin}/token", exchange, urllib.parse.urlencode)["access_token"]


def _get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as reply:
        return reply.status


def _post(url, fields, encode):
    kind = "application/json" if encode is json.dumps else "application/x-www-form-urlencoded"
    request = urllib.request.Request(url, encode(fields).encode(), {"content-type": kind})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as reply:
        return json.load(reply)


def _bare(url):
    """A URL without its query, which holds what must not be printed."""
    return url.split("?")[0]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class _Page(html.parser.HTMLParser):
    """The first form of a page, and the text of the whole."""

    def __init__(self):
        super().__init__()
        self.action, self.method, self.hidden, self.inputs, self.buttons = "", "", [], [], []
        self._text, self._forms = [], 0

    @classmethod
    def read(cls, body):
        page = cls()
        page.feed(body)
        return page

    def words(self):
        return " ".join(" ".join(self._text).split())[:300]

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self._forms += 1
            if self._forms == 1:
                self.action, self.method = attrs.get("action") or "", (attrs.get("method") or "get").lower()
        elif self._forms != 1 or not attrs.get("name"):
            return
        elif tag == "input":
            named = (attrs["name"], attrs.get("value") or "")
            (self.hidden if attrs.get("type") == "hidden" else self.inputs).append(named)
        elif tag == "button":
            self.buttons.append((attrs["name"], attrs.get("value") or ""))

    def handle_data(self, data):
        self._text.append(data)


def main(command, *arguments):
    if command == "token":
        return token(*arguments)
    if command == "register":
        return register(*arguments)
    if command == "ready":
        return _get(f"{arguments[0]}/readyz")
    url, person, redirect_uri = arguments
    called = Browser(person).approve(url, redirect_uri)
    if command == "visit":
        _get(called)
    return called


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]))
    except (Gave, OSError) as failure:
        sys.exit(f"browser: {failure}")
