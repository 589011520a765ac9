"""A real S3 server for tests, and a road to it on which things go wrong.

The server is moto's, a process of its own on a free port. `Road` is a proxy before it that
loses answers, refuses, or takes conditions off requests, as told.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def server() -> Iterator[str]:
    """Yield the address of an S3 server that knows everybody."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


class Road:
    """A way to the server.

    Attributes:
        address: to give to a client.
        lose: says of (method, path) whether the server's answer is lost on the way.
        tear: says whether the answer ends in its middle.
        refuse: says whether it is refused before it comes to the server, with status 503.
        bare: take If-Match and If-None-Match off, as a store does that knows neither.
        seen: (method, path) of every request.
    """

    def __init__(self, server: str) -> None:
        self.lose: Callable[[str, str], bool] = lambda method, path: False
        self.tear: Callable[[str, str], bool] = lambda method, path: False
        self.refuse: Callable[[str, str], bool] = lambda method, path: False
        self.bare = False
        self.seen: list[tuple[str, str]] = []
        road, target = self, server.removeprefix("http://")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                road.seen.append((self.command, self.path))
                if road.refuse(self.command, self.path):
                    self.send_response(503)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
                if road.bare:
                    headers = {k: v for k, v in headers.items() if not k.lower().startswith("if-")}
                there = http.client.HTTPConnection(target)
                there.request(self.command, self.path, body=body, headers=headers)
                answer = there.getresponse()
                data = answer.read()
                there.close()
                if road.lose(self.command, self.path):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(data)))
                self.end_headers()
                if road.tear(self.command, self.path):
                    self.wfile.write(data[: len(data) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
