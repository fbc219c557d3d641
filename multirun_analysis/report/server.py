"""Server: a live page for the browsers of this machine, and for whoever has its address.

It listens at the loopback address only, answers nothing without the token in the address, and can only be read.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from multirun_analysis.report.live import Live
from taunode.errors import BadInput

HOST = "127.0.0.1"
PERIOD = 2.0  # seconds between two looks at the directories
HTML, JSON = "text/html; charset=utf-8", "application/json"


class Server(ThreadingHTTPServer):
    """Answers with what `live` says; `address` is where."""

    daemon_threads = True

    def __init__(self, live: Live, port: int = 0) -> None:
        self.live, self.token = live, secrets.token_urlsafe(24)
        super().__init__((HOST, port), Handler)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version, sys_version = "multirun-analysis", ""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        token, slash, what = asked.path.removeprefix("/").partition("/")
        hosts = [f"{name}:{self.server.server_port}" for name in (HOST, "localhost")]  # no other name may lead here
        if hmac.compare_digest(token.encode(), self.server.token.encode()) and self.headers.get("Host") in hosts:
            said = {name: values[0] for name, values in parse_qs(asked.query).items()}
            self._send(*_answer(self.server.live, what if slash else None, said))
        else:
            self._send(HTTPStatus.FORBIDDEN)

    def _send(self, status: HTTPStatus, content: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(status)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        headers |= {"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin"}
        if status != HTTPStatus.NO_CONTENT:
            headers |= {"Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a terminal that shows every question of every page shows nothing."""


def _answer(live: Live, what: str | None, said: Mapping[str, str]) -> tuple[HTTPStatus, bytes, str]:
    """The page, what changed in it since a version, or a run."""
    if what == "":
        return HTTPStatus.OK, live.html(), HTML
    if what == "changes":
        since = said.get("since", "")
        found = live.changes(int(since)) if since.isascii() and since.isdigit() else None
        if found is None:
            return HTTPStatus.RESET_CONTENT, b"", JSON
        return HTTPStatus.OK if found else HTTPStatus.NO_CONTENT, found, JSON
    if what == "run" and (told := live.detail(said.get("name", ""))) is not None:
        return HTTPStatus.OK, told, JSON
    return HTTPStatus.NOT_FOUND, b"", JSON


def serve(live: Live, port: int, announce: Callable[[str], None]) -> None:
    """Serves until it is interrupted; what is read of the directories is as old as `PERIOD`, or as reading takes.

    Raises:
        BadInput: the port is taken.
    """
    try:
        server = Server(live, port)
    except OSError as error:
        raise BadInput(f"--port {port}: {error.strerror}") from None
    for work in (server.serve_forever, partial(_often, live.look, 3), partial(_often, live.draw, 9)):
        threading.Thread(target=work, daemon=True).start()
    announce(server.address)
    _often(live.glance, 0)


def _often(work: Callable[[], object], rest: float) -> None:
    """Every two seconds; what takes long is left alone for `rest` times as long as it took."""
    while True:
        began = time.monotonic()
        work()
        time.sleep(max(PERIOD, rest * (time.monotonic() - began)))
