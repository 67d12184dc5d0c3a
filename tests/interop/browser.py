"""A scripted browser without JavaScript: keeps cookies, follows redirects, presses the buttons a person would press.

Knows the two pages of a login, the server's consent page and the sandbox's login page, and gives up on any other.
Only Python's standard library, so that it runs wherever Python does:

    browser.py approve AUTHORIZATION_URL PERSON REDIRECT_URI    prints the URL with which the client is called back
    browser.py visit AUTHORIZATION_URL PERSON REDIRECT_URI      and opens that URL, where the client listens
    browser.py open AUTHORIZATION_URL                           the same for $PERSON, as programs call a browser
    browser.py end ORIGIN PERSON CLIENT_NAME                    ends the access of all clients of that name at /account
    browser.py ready ORIGIN                                     succeeds when the server is ready
    browser.py narrow AUTHORIZATION_URL                         prints the URL that asks for reading alone
    browser.py revoke ORIGIN CLIENT_ID TOKEN                    gives a token back
    browser.py register ORIGIN REDIRECT_URI                     registers a client, prints its id
    browser.py token ORIGIN PERSON                              registers a client, logs in, prints an access token
"""

import base64
import hashlib
import html.parser
import http.cookiejar
import json
import os
import pathlib
import secrets
import sys
import time
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

    def end_access(self, origin, client_name):
        """Ends the access of every client of that name at the account page. Returns how many there were."""
        account = self.approve(f"{origin}/auth/login", f"{origin}/account")
        ended = 0
        while form := next((form for form in self._account(account) if form.says(client_name)), None):
            status, _, body = self._fetch(urllib.parse.urljoin(account, form.action), form.hidden)
            if status not in (200, 302, 303):
                raise Gave(f"the account page answered {status}: {_Page.read(body).words()}")
            ended += 1
        return ended

    def _account(self, url):
        status, _, body = self._fetch(url, None)
        if status != 200:
            raise Gave(f"{_bare(url)} answered {status}")
        return [form for form in _Page.read(body).forms if form.action.endswith("/clients/revoke")]

    def _answer(self, url, page):
        form = page.forms[0] if page.forms else _Form("", "get")
        names = {name for name, _ in form.hidden}
        if {"ticket", "csrf"} <= names:
            self.pages.append("consent")
            pressed = [("decision", "approve")]
        elif "request" in names and any(name == "person" for name, _ in form.inputs):
            self.pages.append("sandbox")
            if ("person", self.person) not in form.inputs:
                raise Gave(f"the sandbox does not offer {self.person}")
            pressed = [("person", self.person), ("decision", "approve")]
        else:
            raise Gave(f"{_bare(url)} is neither the consent page nor the sandbox's login: {page.words()}")
        if form.method != "post" or ("decision", "approve") not in form.buttons:
            raise Gave(f"{_bare(url)} has no form with a button to approve")
        return urllib.parse.urljoin(url, form.action), form.hidden + pressed

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


def open_for_program(url):
    """What a program's browser does: says yes, and calls the program back once it listens. `$OPENED` names a file
    that gets the client's id each time. Where the file `$NARROW` exists, the person allows reading alone, this once."""
    with open(os.environ["OPENED"], "a") as opened:
        opened.write(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["client_id"] + "\n")
    narrow = pathlib.Path(os.environ["NARROW"])
    if narrow.exists():
        narrow.unlink()
        url = narrowed(url)
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    called = Browser(os.environ["PERSON"]).approve(url, asked["redirect_uri"])
    for _ in range(50):
        try:
            return _get(called)
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.2)
    raise Gave("nobody listens at the redirect URI")


def narrowed(url):
    """An authorization URL that asks for reading alone."""
    parts = urllib.parse.urlsplit(url)
    asked = [(key, "read" if key == "scope" else value) for key, value in urllib.parse.parse_qsl(parts.query)]
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(asked)))


def revoke(origin, client_id, token):
    """Gives a token back, as a client does that is being removed."""
    fields = {"client_id": client_id, "token": token}
    request = urllib.request.Request(f"{origin}/revoke", urllib.parse.urlencode(fields).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as reply:
        return reply.status


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


class _Form:
    """A form: where it goes, its fields, and what its buttons say to those who cannot see them."""

    def __init__(self, action, method):
        self.action, self.method = action, method
        self.hidden, self.inputs, self.buttons, self.labels = [], [], [], []

    def says(self, words):
        return any(words in label for label in self.labels)


class _Page(html.parser.HTMLParser):
    """The forms of a page, and its text."""

    def __init__(self):
        super().__init__()
        self.forms, self._text = [], []

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
            self.forms.append(_Form(attrs.get("action") or "", (attrs.get("method") or "get").lower()))
        elif not self.forms:
            return
        elif tag == "input" and attrs.get("name"):
            named = (attrs["name"], attrs.get("value") or "")
            (self.forms[-1].hidden if attrs.get("type") == "hidden" else self.forms[-1].inputs).append(named)
        elif tag == "button":
            self.forms[-1].labels.append(attrs.get("aria-label") or "")
            if attrs.get("name"):
                self.forms[-1].buttons.append((attrs["name"], attrs.get("value") or ""))

    def handle_data(self, data):
        self._text.append(data)


def main(command, *arguments):
    if command == "token":
        return token(*arguments)
    if command == "register":
        return register(*arguments)
    if command == "ready":
        return _get(f"{arguments[0]}/readyz")
    if command == "open":
        return open_for_program(*arguments)
    if command == "end":
        origin, person, client_name = arguments
        return Browser(person).end_access(origin, client_name)
    if command == "narrow":
        return narrowed(*arguments)
    if command == "revoke":
        return revoke(*arguments)
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
