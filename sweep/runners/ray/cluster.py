"""Start Ray on this machine, or join a running cluster; afterwards leave it as it was."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray

from sweep.core.errors import ConfigError, SweepError
from sweep.runners.ray.guardian import end_all, guarded, in_environment
from sweep.runners.ray.internals import draining_nodes, silent, without_uv_environment

UV = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
RAY_ENVIRONMENT = {
    # Under `uv run`, Ray would pack the folder and build a second environment for its workers.
    UV: "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Tune's own CSV, JSON and TensorBoard files: 1037 results/s without, 432 with them.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Its tables are silent at verbose=0 only in the old engine; `sweep.cli.progress` shows ours.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ctrl-C is ours: see `sweep.runners.interrupt`.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's own state is not used again: our log is the state.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Settings for the time of a study of ours. Each is read when Ray starts or Tune runs, but for the
first: Ray's processes read that one here, and this process when it imported ray."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """The resources of a cluster.

    Args:
        cpus, gpus: of all nodes together.
        nodes: how many nodes there are.
        each: (cores, GPUs) of each living node.
    """

    cpus: float
    gpus: float
    nodes: int
    each: Sequence[tuple[float, float]]


class SlowStart(SweepError):
    """Ray did not start: it waits half a minute for its own processes, too short if busy."""


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[Cluster]:
    """Yield a cluster: the one this process is in, the one at `address`, or a new local one.

    Args:
        address: `auto`, or host:port of a running cluster; None for this machine.

    Raises:
        ConfigError: the address is of Ray Client, or no cluster answers there.
        SlowStart: Ray did not start in two tries.
    """
    check_address(address)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_settings())
        if not ray.is_initialized():
            mark = stack.enter_context(guarded()) if address is None else {}
            stack.enter_context(silent())
            stack.callback(ray.shutdown)
            try:
                _start(address, mark)
            except SlowStart:
                ray.shutdown()
                end_all(mark)
                _start(address, mark)
        total = ray.cluster_resources()
        yield Cluster(
            cpus=total.get("CPU", 0.0),
            gpus=total.get("GPU", 0.0),
            nodes=len(ray.nodes()),
            each=[
                (node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
                for node in ray.nodes()
                if node["Alive"]
            ],
        )


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """Use our settings of Ray and Tune; a variable that the user has set keeps its value."""
    levels = {"ray": logging.ERROR, "ray.tune": logging.CRITICAL}  # we report failures
    before = {name: logging.getLogger(name).level for name in levels}
    ours = {name: value for name, value in RAY_ENVIRONMENT.items() if name not in os.environ}
    uv = without_uv_environment() if UV in ours else contextlib.nullcontext()
    with in_environment(ours), uv:
        try:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)


def check_address(address: str | None) -> None:
    """Raise `ConfigError` for Ray Client, and where no cluster answers: Ray tries for minutes."""
    if address is not None and address.startswith("ray://"):
        raise ConfigError(
            f"resources.address is {address!r}: through Ray Client the study would run on the "
            "head node, away from these files. Run this command on a node of the cluster with "
            'resources.address="auto", or submit the study: sweep submit --address http://HOST:8265.'
        )
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdigit():
        return  # None, or `auto`, which Ray looks up
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise _no_cluster(address) from error


def lost_nodes() -> set[str]:
    """Return the ids of the nodes that are dead or being drained."""
    dead = {node["NodeID"] for node in ray.nodes() if not node["Alive"]}
    return dead | draining_nodes()


def resources_of_nodes() -> list[str]:
    """Return the resources of each living node, in words."""
    return [
        f"{resources.get('CPU', 0):g} CPU and {resources.get('GPU', 0):g} GPU"
        for node in ray.nodes()
        if node["Alive"] and (resources := node["Resources"])
    ]


def _start(address: str | None, mark: Mapping[str, str]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with _away_from_here(), in_environment(mark):
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                configure_logging=False,
                log_to_driver=False,
            )
    except ConnectionError as error:
        raise _no_cluster(address) from error
    except ValueError as error:
        raise ConfigError(f"resources.address {address!r} is no address: {error}.") from error
    except Exception as error:  # Ray raises no narrower class
        raise SlowStart(
            f"Ray did not start: {error} On a machine that is very busy, try again; "
            "/tmp/ray/session_latest/logs may say more."
        ) from error
    except SystemExit:  # raised by Ray's own handler of SIGTERM
        if callable(handler):
            handler(signal.SIGTERM, None)
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _away_from_here() -> Iterator[None]:
    """Work in another folder for a moment, unless this folder is on this process's import path.

    Ray puts the current folder first on the import path of every worker. There a `json.py` beside
    a user's config would replace the module of the standard library.
    """
    here = Path.cwd()
    if any(Path(folder).resolve() == here for folder in sys.path):
        yield
        return
    with contextlib.chdir(here.anchor):
        yield


def _no_cluster(address: str | None) -> ConfigError:
    return ConfigError(
        f"No Ray cluster answers at {address!r}. `ray status --address {address}` looks for one; "
        "leave resources.address out to start Ray here."
    )
