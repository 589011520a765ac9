"""The server of live pages, over made-up studies and real HTTP."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweep.log.study_folder import EVENTS
from sweep.report.server import Server, driver_of
from sweep.storage.lease import take
from sweep.storage.location import locate
from tests.report.studies import HOSTILE, write


@dataclass
class Served:
    server: Server
    folder: Path

    def get(self, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str]:
        """Ask for a path below the token."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        headers = {} if host is None else {"Host": host}
        connection.request(method, f"/{self.server.token}/{path}", headers=headers)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    folder = write(tmp_path, trials=6, ended=False)
    server = Server(studies=lambda: {"made": locate(folder)})
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield Served(server, folder)
    server.close()
    thread.join()


def test_it_lists_studies_and_serves_their_pages(served: Served) -> None:
    code, listing = served.get("")
    assert code == 200
    assert f"/{served.server.token}/page/made" in listing
    assert "no driver" in listing
    code, page = served.get("page/made")
    assert code == 200
    assert f'data-live="/{served.server.token}/news/made"' in page
    assert "connect-src 'self'" in page
    assert HOSTILE not in page


def test_data_are_made_again_only_when_the_log_has_grown(served: Served) -> None:
    _, first = served.get("data/made")
    assert served.get("data/made")[1] == first
    log = served.folder / EVENTS
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-3]))
    assert served.get("data/made")[1] != first


def test_a_page_is_told_that_the_log_has_grown(served: Served) -> None:
    log = served.folder / EVENTS
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-3]))
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=30)
    connection.request("GET", f"/{served.server.token}/news/made")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"

    def next_of(kind: str) -> str:
        while answer.readline().decode() != f"event: {kind}\n":
            pass
        return answer.readline().decode().removeprefix("data: ").strip()

    first = next_of("log")
    assert next_of("driver") == "no driver"
    with log.open("ab") as file:
        file.write(b"".join(lines[-3:]))
    assert int(next_of("log")) > int(first)
    connection.close()


def test_the_driver_is_running_while_it_holds_the_lease(served: Served) -> None:
    lease = take(locate(served.folder))
    assert driver_of(locate(served.folder)) == "running"
    lease.release()
    assert driver_of(locate(served.folder)) == "no driver"


@pytest.mark.parametrize("path", ["page/other", "data/%2e%2e%2fmade", "other/made", "page/"])
def test_only_the_named_studies_are_served(served: Served, path: str) -> None:
    assert served.get(path)[0] == 404


def test_another_token_another_host_and_another_method_are_refused(served: Served) -> None:
    assert served.get("", host="evil.example")[0] == 403
    assert served.get("", host=f"localhost:{served.server.port}")[0] == 200
    assert served.get("", method="POST")[0] == 501
    served.server.token = "another"
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=30)
    connection.request("GET", "/guessed/")
    assert connection.getresponse().status == 404
    connection.close()


def test_a_damaged_study_is_a_sentence(served: Served) -> None:
    (served.folder / EVENTS).unlink()
    code, sentence = served.get("page/made")
    assert code == 503
    assert "it has no events.jsonl" in sentence
