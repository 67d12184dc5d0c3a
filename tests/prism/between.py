"""Two relays around Prism, so that each of its objections is known by its route and words:

    the server -> Front -> Prism -> Back -> the simulator

Back keeps what the simulator really answered; where everything that Prism says against an answer is excepted, Front
hands that on. Only Python's standard library.
"""

import http.client
import http.server
import json
import re
import threading
import urllib.parse

MARK = "x-exchange"
# Spotify's ids, and what the simulator calls people.
ID = re.compile(r"/([0-9A-Za-z]{22}|ada|ben|chiara)(?=/|$)")


class Referee:
    """Both relays and what was objected to. `excepted` maps (method and path, words) to the reason."""

    def __init__(self, front, back, excepted):
        (front_port, prism), (back_port, upstream) = front, back
        self.excepted, self.objections, self.asked = excepted, {}, set()
        self._answers, self._lock, self._count = {}, threading.Lock(), 0
        self._serve(front_port, lambda handler: self._front(handler, prism))
        self._serve(back_port, lambda handler: self._back(handler, upstream))

    def unexpected(self):
        """What Prism objected to and nobody excepted, as lines."""
        return sorted(f"{route}: {words}" for route, words in self.objections.keys() - self.excepted.keys())

    def unneeded(self):
        """What is excepted and did not occur."""
        return sorted(f"{route}: {words}" for route, words in self.excepted.keys() - self.objections.keys())

    def _front(self, handler, prism):
        with self._lock:
            self._count += 1
            mark = str(self._count)
        route = f"{handler.command} {ID.sub('/{id}', urllib.parse.urlsplit(handler.path).path)}"
        with self._lock:
            self.asked.add(route)
        status, headers, body = _ask(handler, prism, {MARK: mark})
        objections = _objections(status, headers, body)
        with self._lock:
            for words in objections:
                self.objections.setdefault((route, words), handler.path)
            real = self._answers.pop(mark, None)
        if objections and real and all((route, words) in self.excepted for words in objections):
            status, headers, body = real
        _answer(handler, status, headers, body)

    def _back(self, handler, upstream):
        mark = handler.headers.get(MARK)
        answer = _ask(handler, upstream, {})
        with self._lock:
            self._answers[mark] = answer
        _answer(handler, *answer)

    @staticmethod
    def _serve(port, relay):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return lambda: relay(self)
                raise AttributeError(name)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()


def _objections(status, headers, body):
    said = dict((name.lower(), value) for name, value in headers).get("sl-violations")
    if status in (422, 500) and b'"validation"' in body:
        found = json.loads(body)["validation"]
    elif said and not said.startswith("Too many"):
        found = json.loads(said)
    elif status >= 500 and b"stoplight.io/prism" in body:
        found = [{"location": [], "message": json.loads(body).get("detail", "")}]
    else:
        found = [{"location": [], "message": said}] if said else []
    # Which place in a list says nothing about what is wrong.
    return {re.sub(r"(?<=\.)\d+(?=\.|\s|$)", "*", one["message"]) for one in found}


def _ask(handler, base, more):
    parts = urllib.parse.urlsplit(base)
    length = handler.headers.get("content-length")
    body = handler.rfile.read(int(length)) if length is not None else None
    hop = ("host", "connection", "accept-encoding", MARK)
    headers = {name: value for name, value in handler.headers.items() if name.lower() not in hop}
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(handler.command, parts.path + handler.path, body, {**headers, **more})
        reply = connection.getresponse()
        return reply.status, reply.getheaders(), reply.read()
    finally:
        connection.close()


def _answer(handler, status, headers, body):
    handler.send_response_only(status)
    for name, value in headers:
        if name.lower() not in ("connection", "content-length", "transfer-encoding"):
            handler.send_header(name, value)
    if status != 204:
        handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
