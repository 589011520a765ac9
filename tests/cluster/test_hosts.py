from __future__ import annotations

import contextlib
from pathlib import Path

from tests.cluster.hosts import Host, skip_unless_possible, two_hosts
from tests.processes import wait_until


def test_two_hosts_reach_each_other_and_leave_nothing(tmp_path: Path) -> None:
    skip_unless_possible()
    hosts: list[Host] = []
    with two_hosts(tmp_path / "hosts") as (one, two):
        hosts += [one, two]
        assert one.run("hostname").stdout.strip() == one.name
        server = one.start("python", "-m", "http.server", "8000", "--bind", one.ip, log="http")
        fetch = f"import urllib.request as r; print(r.urlopen('http://{one.name}:8000').status)"
        wait_until(lambda: two.run("python", "-c", fetch).stdout.strip() == "200")
        assert two.processes("http.server") == []
        (pid,) = one.processes("http.server 8000")
        assert pid < 1000
        (one.folder / "ray" / "mark").touch()
        assert one.run("ls", "/tmp/ray").stdout.split() == ["mark"]
        assert two.run("ls", "/tmp/ray").stdout == ""
    with contextlib.suppress(ProcessLookupError):
        assert server.wait(timeout=10) != 0
    assert not any(Path(f"/proc/{host.pid}").exists() for host in hosts)
    assert not any(Path(f"/run/netns/{host.name}").exists() for host in hosts)
