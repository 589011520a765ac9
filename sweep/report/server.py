"""The page of a study while it runs, from a server on this machine that only reads.

The server listens on 127.0.0.1. Every address begins with a random token, and the host that a
browser names must be this one, so that no other page can ask for it. A page waits for server-sent
events, which come when the log grows, on a disk, on NFS and on an object store alike. It then
loads its data again, and keeps what is selected.

    /TOKEN/            the studies
    /TOKEN/page/NAME   the page of a study
    /TOKEN/data/NAME   its data
    /TOKEN/news/NAME   server-sent events
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from sweep.core.errors import SweepError
from sweep.log.study_folder import log_of
from sweep.report.page import packed, page
from sweep.report.study import read
from sweep.report.top import text
from sweep.storage.lease import DEAD_SECONDS, holder_of, noted
from sweep.storage.location import Location
from sweep.tables.results import Results

POLL_SECONDS = 1.0
QUIET_SECONDS = 10.0
"""How often a page is told that the server is there, and how the driver is."""
FEWEST_SECONDS = 2.0
"""Shortest time between two new versions of a page."""

Studies = Callable[[], Mapping[str, Location]]
"""Returns name -> folder of the studies that may be seen."""


@dataclass(kw_only=True)
class Server:
    """A server of studies; `serve` answers until it is interrupted.

    Args:
        studies: which studies may be seen.
        port: on 127.0.0.1; 0 is any free one.
    """

    studies: Studies
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def __post_init__(self) -> None:
        self._pages = _Pages()
        self.ended = threading.Event()
        handler = type("Handler", (_Handler,), {"served": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    @property
    def address(self) -> str:
        """Of the list of studies."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def page_of(self, name: str) -> str:
        """Return the address of a study's page."""
        return f"{self.address}page/{quote(name, safe='')}"

    def serve(self) -> None:
        """Answer until `close` is called in another thread, or this one is interrupted."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self.ended.set()  # pages that wait for news are let go
            self._server.server_close()

    def close(self) -> None:
        """End `serve`."""
        self._server.shutdown()

    def answer(self, kind: str, name: str) -> str:
        """Return a page, or its data; KeyError if there is no such study."""
        folder = self.studies()[name]
        if kind == "data":
            return self._pages.data(folder)
        return self._pages.page(folder, live=f"/{self.token}/news/{quote(name, safe='')}")

    def listing(self) -> str:
        """Return the page that lists the studies; it loads itself again every ten seconds."""
        rows = "".join(
            f"<tr><td><a href='{text(self.page_of(name), 4000)}'>{text(name)}</a></td>"
            f"<td>{text(_status(folder))}</td><td>{text(driver_of(folder))}</td></tr>"
            for name, folder in sorted(self.studies().items())
        )
        return (
            "<!doctype html><html lang=en><head><meta charset=utf-8><title>Studies · sweep</title>"
            "<meta http-equiv=refresh content=10><meta name=referrer content=no-referrer>"
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
            "<meta name=color-scheme content='light dark'></head><body><h1>Studies</h1>"
            "<table border=1 cellpadding=6><thead><tr><th>study</th><th>status</th><th>driver</th>"
            f"</tr></thead><tbody>{rows or '<tr><td colspan=3>none yet</td></tr>'}</tbody></table>"
            "</body></html>\n"
        )


def driver_of(folder: Location) -> str:
    """Return how the driver of a study is, in a few words."""
    holder, silent = noted(folder)
    if holder is None or silent is None:
        return "no driver"
    if silent > DEAD_SECONDS:
        return f"stale: the driver is silent for {silent:.0f} s"
    return "running" if holder_of(folder) is not None else "no driver"


def _status(folder: Location) -> str:
    try:
        return str(next(iter(Results(folder).studies["status"].to_pylist()), "created"))
    except SweepError as error:
        return str(error)


class _Pages:
    """The newest page and data of each study, made once for each length of its log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], tuple[int, str]] = {}

    def page(self, folder: Location, *, live: str) -> str:
        return self._of("page", folder, lambda data: page([data], live=live))

    def data(self, folder: Location) -> str:
        return self._of("data", folder, lambda data: packed([data]))

    def _of(self, kind: str, folder: Location, make: Callable[[Any], str]) -> str:
        with self._lock:  # two browsers do not make the same page at once
            end = log_of(folder).end()
            key = (kind, str(folder))
            if key not in self._made or self._made[key][0] != end:
                self._made[key] = (end, make(read(Results(folder))))
            return self._made[key][1]


class _Handler(BaseHTTPRequestHandler):
    served: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sweep", ""

    def do_GET(self) -> None:
        host = self.headers.get("Host", "")
        if host not in (f"127.0.0.1:{self.served.port}", f"localhost:{self.served.port}"):
            self._fail(HTTPStatus.FORBIDDEN, "This server answers only for 127.0.0.1.")
            return
        token, _, rest = self.path.partition("?")[0].lstrip("/").partition("/")
        kind, _, name = rest.partition("/")
        if not secrets.compare_digest(token.encode(), self.served.token.encode()):
            self._fail(HTTPStatus.NOT_FOUND, "Use the address that `sweep view` printed.")
            return
        try:
            if not kind:
                self._send(self.served.listing(), "text/html")
            elif kind in ("page", "data"):
                content = self.served.answer(kind, unquote(name))
                self._send(content, "text/html" if kind == "page" else "text/plain")
            elif kind == "news":
                self._news(self.served.studies()[unquote(name)])
            else:
                raise KeyError(kind)
        except KeyError:
            self._fail(HTTPStatus.NOT_FOUND, "There is no such study.")
        except SweepError as error:
            self._fail(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the page was closed

    def _news(self, folder: Location) -> None:
        """Send an event when the log has grown, and how the driver is from time to time."""
        self.send_response(HTTPStatus.OK)
        self._headers("text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        log, known, told_at, driver_at = log_of(folder), -1, 0.0, 0.0
        while not self.served.ended.is_set():
            now, end = time.monotonic(), log.end()
            if end != known and now - told_at >= FEWEST_SECONDS:
                self._event("log", str(end))
                known, told_at = end, now
            if now - driver_at >= QUIET_SECONDS:
                self._event("driver", driver_of(folder))
                driver_at = now
            self.served.ended.wait(POLL_SECONDS)

    def _event(self, name: str, data: str) -> None:
        self.wfile.write(f"event: {name}\ndata: {data}\n\n".encode())
        self.wfile.flush()

    def _send(self, content: str, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = content.encode()
        self.send_response(status)
        self._headers(kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _headers(self, kind: str) -> None:
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")

    def _fail(self, status: HTTPStatus, sentence: str) -> None:
        self._send(sentence + "\n", "text/plain", status)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: a browser asks every few seconds."""
