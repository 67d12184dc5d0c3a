"""A person's computer for a client that is a program: a home of its own, and a browser that says yes by itself.

The program finds the browser as `xdg-open` on its PATH and as $BROWSER (browser.py opens what it is told to).
"""

import os
import pathlib
import stat
import subprocess
import sys
import tempfile

from browser import Browser

BROWSER = pathlib.Path(__file__).with_name("browser.py")
PATIENCE = 60


class Desk:
    """Used in a `with` block; its home goes away at the end."""

    def __init__(self, person):
        self.person = person

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="interop-desk.")
        self.home = pathlib.Path(self._folder.name)
        self._opened, self._narrow = self.home / "opened", self.home / "narrow"
        script = self.home / "bin" / "xdg-open"
        script.parent.mkdir()
        # At once and in the background: programs listen only after they opened a browser.
        script.write_text(f'#!/bin/sh\n"{sys.executable}" "{BROWSER}" open "$1" >>"{self.home}/browser.log" 2>&1 &\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.environment = {
            "PATH": f"{script.parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "BROWSER": str(script),
            "PERSON": self.person,
            "OPENED": str(self._opened),
            "NARROW": str(self._narrow),
            "SDKS": os.environ.get("SDKS", ""),
            "NO_PROXY": "*",
        }
        return self

    def __exit__(self, *failure):
        self._folder.cleanup()

    @property
    def logins(self):
        """How often the browser was opened."""
        return len(self.clients)

    @property
    def clients(self):
        """As which client the program wanted to be let in, each time."""
        return self._opened.read_text().splitlines() if self._opened.exists() else []

    def narrow_next_login(self):
        """The next login allows reading alone."""
        self._narrow.touch()

    def run(self, *command, **environment):
        """Runs a program to its end; what it printed, where it succeeded."""
        done = subprocess.run(
            command, env=self.environment | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PATIENCE, cwd=self.home,
        )
        if done.returncode != 0:
            raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}{self.browser_log()}")
        return done.stdout

    def browser_log(self):
        log = self.home / "browser.log"
        return f"\nthe browser: {log.read_text()[-1000:]}" if log.exists() else ""


def end_access(origin, person, client_name):
    """The person ends the access of a client at their account page."""
    ended = Browser(person).end_access(origin, client_name)
    assert ended > 0, f"the account page lists no client that is called {client_name}"


def node(package_file):
    """The command that runs a file of a Node package."""
    return [os.environ["NODE"], f"{os.environ['SDKS']}/node_modules/{package_file}"]


def document(name):
    """The URL of a client's metadata document, where they are served (documents.py)."""
    documents = os.environ.get("DOCUMENTS")
    return f"{documents}/{name}.json" if documents else None


def ok(what):
    print(f"ok {what}", flush=True)
