"""Start Ray on this machine, or join a cluster that runs; leave it as it was found."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

QUIET = {
    # Under `uv run`, Ray would pack the folder and build a second environment for its workers.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
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
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402  # the settings above are read when ray is imported
from ray._private import worker as ray_worker  # noqa: E402
from ray._private.state import state  # noqa: E402

from sweep.core.errors import ConfigError, SweepError  # noqa: E402  # after ray, as above
from sweep.runners.ray.guardian import bearing, end_all, guarded  # noqa: E402


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """What there is to divide.

    Args:
        cpus, gpus: of all nodes.
        nodes: how many are alive.
    """

    cpus: float
    gpus: float
    nodes: int


class SlowStart(SweepError):
    """Ray waits for its own parts for half a minute, which a busy machine may not give it."""


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[Cluster]:
    """Yield a cluster: the one at `address`, the one this process is in, or a new local one.

    Raises:
        ConfigError: the address is of Ray Client, or nobody answers there.
        SlowStart: Ray does not start, twice.
    """
    check_address(address)
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are rows, and ours to tell
    with contextlib.ExitStack() as leaving:
        if not ray.is_initialized():
            mark = leaving.enter_context(guarded()) if address is None else {}
            leaving.enter_context(_silent())
            leaving.callback(ray.shutdown)
            try:
                _start(address, mark)
            except SlowStart:
                ray.shutdown()
                end_all(mark)
                _start(address, mark)
        total = ray.cluster_resources()
        yield Cluster(
            cpus=total.get("CPU", 0.0), gpus=total.get("GPU", 0.0), nodes=len(ray.nodes())
        )


def check_address(address: str | None) -> None:
    """Raise `ConfigError` for Ray Client, and where nobody listens: Ray would try for minutes."""
    if address is not None and address.startswith("ray://"):
        raise ConfigError(
            f"resources.address is {address!r}: through Ray Client the study would run on the "
            "head node, away from these files. Run this command on a node of the cluster with "
            'resources.address="auto", or submit it there: ray job submit -- sweep run CONFIG.'
        )
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdigit():
        return  # none, or `auto`, which Ray looks up by itself
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise _nobody(address) from error


def lost_nodes() -> set[str]:
    """Return the nodes that are dead, or being taken from us."""
    dead = {node["NodeID"] for node in ray.nodes() if not node["Alive"]}
    return dead | set(state.get_draining_nodes())  # which no public call tells


def resources_of_nodes() -> list[str]:
    """Return what each living node has, in words."""
    return [
        f"{found.get('CPU', 0):g} CPU and {found.get('GPU', 0):g} GPU"
        for node in ray.nodes()
        if node["Alive"] and (found := node["Resources"])
    ]


def _start(address: str | None, mark: Mapping[str, str]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with _out_of_the_way(), bearing(mark):
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                configure_logging=False,
                log_to_driver=False,
            )
    except ConnectionError as error:
        raise _nobody(address) from error
    except ValueError as error:
        raise ConfigError(f"resources.address {address!r} is no address: {error}.") from error
    except Exception as error:  # Ray raises just that
        raise SlowStart(
            f"Ray did not start: {error} On a machine that is very busy, try again; "
            "/tmp/ray/session_latest/logs may say more."
        ) from error
    except SystemExit:  # Ray's answer to SIGTERM
        if callable(handler):
            handler(signal.SIGTERM, None)
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep Ray from printing what befalls its nodes amid our output, `--json` included.

    `log_to_driver=False` is about what workers print, and no setting is about this.
    """
    before = ray_worker._worker_logs_enabled
    ray_worker._worker_logs_enabled = False
    try:
        yield
    finally:
        ray_worker._worker_logs_enabled = before


@contextlib.contextmanager
def _out_of_the_way() -> Iterator[None]:
    """Leave the current folder for a moment, unless it is on this process's import path.

    Ray puts it first on the import path of every worker, where a `json.py` beside somebody's
    config would take the place of the library's.
    """
    here = Path.cwd()
    if any(Path(folder).resolve() == here for folder in sys.path):
        yield
        return
    with contextlib.chdir(here.anchor):
        yield


def _nobody(address: str | None) -> ConfigError:
    return ConfigError(
        f"No Ray cluster answers at {address!r}. `ray status --address {address}` looks for one; "
        "leave resources.address out to start Ray here."
    )
