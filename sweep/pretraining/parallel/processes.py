"""Starts the processes of the other ranks of a trial, and ends them.

The trial's own process is rank 0. It alone writes files, measures, probes and reports. Another rank
gets the candidate and the state of the training through a pipe. The pipe stays open, and its end
ends the rank: the kernel closes it also when rank 0 is killed. A rank that ends too early ends the
attempt with an error.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

import torch
import torch.distributed as dist

from sweep.config.study import TrialConfig
from sweep.core import plugins
from sweep.core.errors import ConfigError
from sweep.pretraining.parallel.checks import check_backend
from sweep.pretraining.parallel.ranks import ONE, Ranks

PATIENCE = timedelta(days=1)
"""How long a rank waits for the others, because rank 0 may measure for long. Ranks that have ended
are noticed at once."""

SETTLE_SECONDS = 5.0
"""How long a rank may take to end after its connection has ended."""

POLL_SECONDS = 0.1
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from sweep.pretraining.rank import main; main()"
)


class RankEnded(RuntimeError):
    """Another rank of the trial ended before the training did."""


@contextlib.contextmanager
def together(
    config: TrialConfig, state: Mapping[str, Any], *, processes: int, device: str, threads: int
) -> Iterator[Ranks]:
    """Yield this process's place among all ranks, whose other processes end with this block.

    Args:
        config: the candidate.
        state: of the run, with which the other ranks begin.
        processes: how many ranks there are; with 1 nothing is started.
        device: of this rank; `cuda` lets each rank use the GPU of its number.
        threads: torch's threads in each rank.

    Raises:
        ConfigError: torch.distributed is in use already, or this torch lacks it.
        RankEnded: another rank ended.
    """
    if processes == 1:
        yield ONE
        return
    if dist.is_initialized():
        raise ConfigError(
            "This process uses torch.distributed already, so it cannot train one trial with "
            "several processes. Call destroy_process_group() first, use resources.runner=ray, or "
            "set resources.processes=1."
        )
    others = _Others(processes)
    try:
        with others.noticed():
            others.start(config, state, device=device, threads=threads)
            yield Ranks(rank=0, processes=processes, check=others.check)
    finally:
        others.end()


def meeting_point(port: int | None = None) -> Any:
    """Return the `TCPStore` through which the ranks find each other.

    Args:
        port: of rank 0's store; None makes it, at a free port.
    """
    return dist.TCPStore(  # type: ignore[attr-defined]  # exported where torch has it
        "127.0.0.1",
        port or 0,
        is_master=port is None,
        wait_for_workers=False,
        timeout=PATIENCE,
    )


def join(store: Any, *, rank: int, processes: int, device: str) -> None:
    """Join torch.distributed's default group; returns once all ranks have joined.

    Args:
        store: from `meeting_point`.
        rank: of this process.
        processes: how many ranks there are.
        device: of this rank, `cpu` or `cuda:0`, ...
    """
    gpu = torch.device(device).type == "cuda"
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        store=store,
        rank=rank,
        world_size=processes,
        timeout=PATIENCE,
        device_id=torch.device(device) if gpu else None,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Other:
    rank: int
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def text(self) -> str:
        """Return what the rank has printed."""
        self.output.seek(0)
        return self.output.read().decode("utf-8", errors="replace")


class _Others:
    """The processes of ranks 1 and up.

    Args:
        processes: how many ranks there are, rank 0 included.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._others: list[_Other] = []
        self._over = threading.Event()
        self._watch: threading.Thread | None = None

    def start(
        self, config: TrialConfig, state: Mapping[str, Any], *, device: str, threads: int
    ) -> None:
        """Start the processes, give each its job, and connect them."""
        gpu = torch.device(device).type == "cuda"
        check_backend(gpu=gpu)
        store = meeting_point()
        for rank in range(1, self._processes):
            self._others.append(_started(rank))
        for other in self._others:
            job = {
                "config": config.model_dump_json(),
                "plugins": plugins.folders(),
                "device": f"cuda:{other.rank}" if gpu else device,
                "threads": threads,
                "rank": other.rank,
                "processes": self._processes,
                "port": store.port,
                "state": dict(state),
            }
            _send(other, job)
        self._connect(store, "cuda:0" if gpu else device)
        if gpu:
            self._watch = threading.Thread(target=self._abort_when_one_ends, daemon=True)
            self._watch.start()

    def _connect(self, store: Any, device: str) -> None:
        """Join the group, in a thread because a rank may end before it joins."""
        raised: list[Exception] = []

        def joined() -> None:
            try:
                join(store, rank=0, processes=self._processes, device=device)
            except Exception as error:  # raised again below
                raised.append(error)

        thread = threading.Thread(target=joined, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            self.check()
        if raised:
            raise raised[0]

    @contextlib.contextmanager
    def noticed(self) -> Iterator[None]:
        """Raise `RankEnded` in place of the error of a connection to a rank that ended."""
        try:
            yield
        except RankEnded:
            raise
        except (RuntimeError, OSError):
            deadline = time.monotonic() + SETTLE_SECONDS
            while time.monotonic() < deadline:
                self.check()
                time.sleep(POLL_SECONDS)
            raise

    def check(self) -> None:
        """Raise `RankEnded` if a rank has ended."""
        for other in self._others:
            if (code := other.process.poll()) is not None:
                lines = [line.strip() for line in other.text().splitlines() if line.strip()]
                how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
                raise RankEnded(
                    f"Rank {other.rank} of the trial's {self._processes} processes {how}"
                    + (f": {lines[-1]}" if lines else ".")
                )

    def _abort_when_one_ends(self) -> None:
        """Abort the exchange between GPUs once a rank has ended: NCCL would wait for it."""
        while not self._over.wait(POLL_SECONDS):
            if any(other.process.poll() is not None for other in self._others):
                if dist.is_initialized() and dist.group.WORLD is not None:
                    dist.group.WORLD.abort()
                return

    def end(self) -> None:
        """End all other ranks, and pass on to this process's stderr what they printed."""
        self._over.set()
        if self._watch is not None:
            self._watch.join()
        for other in self._others:
            other.process.kill()
        for other in self._others:
            with contextlib.suppress(OSError):  # what was not yet written is of no use
                if other.process.stdin is not None:
                    other.process.stdin.close()
            other.process.wait()
            if text := other.text():
                sys.stderr.write(f"Rank {other.rank} printed:\n{text}")
            other.output.close()
        if dist.is_initialized():
            with contextlib.suppress(RuntimeError):  # of connections that are broken already
                if dist.get_backend() == "nccl" and dist.group.WORLD is not None:
                    dist.group.WORLD.abort()  # the other ranks are gone: do not wait for them
                dist.destroy_process_group()


def _started(rank: int) -> _Other:
    """Start a rank's process with the import path of this one.

    It gets a session of its own, because Ctrl-C in a terminal must reach rank 0 only.
    """
    output = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `_Others.end`
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", BOOT, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return _Other(rank=rank, process=process, output=output)


def _send(other: _Other, job: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(dict(job), buffer)
    assert other.process.stdin is not None
    other.process.stdin.write(buffer.tell().to_bytes(8, "little"))
    other.process.stdin.write(buffer.getbuffer())
    other.process.stdin.flush()
