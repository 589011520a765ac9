"""A Slurm of two nodes on two hosts, from Debian's slurmctld, slurmd, slurm-client and munge."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.hosts import Host
from tests.processes import wait_until

NEEDED = ("slurmctld", "slurmd", "sbatch", "munged")


def skip_unless_installed() -> None:
    """Skip the test where a program of Slurm is missing."""
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(
            f"{', '.join(missing)} not installed: apt-get install slurmctld slurmd slurm-client "
            "munge"
        )


@contextlib.contextmanager
def slurm(folder: Path, hosts: tuple[Host, Host], first_job: int) -> Iterator[None]:
    """Start Slurm on two hosts, whose environments then name it; it ends with the hosts.

    Args:
        folder: an empty one that both hosts see. Its path must be short: Slurm makes sockets in it,
            and the path of a socket has at most 107 bytes.
        hosts: the controller runs on the first of them, and both are nodes.
        first_job: the id of the first job.
    """
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    (folder / "slurm.conf").write_text(_configuration(folder, hosts, first_job))
    # Without this line slurmd looks for version 2 of cgroups, which a container may not have.
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    controller = hosts[0]
    for host in hosts:
        host.environment["SLURM_CONF"] = str(folder / "slurm.conf")
        host.environment["PATH"] += ":/usr/sbin"
    files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    controller.start(
        "munged", "--foreground", "--force", f"--socket={folder}/munge.sock", *files, log="munged"
    )
    wait_until((folder / "munge.sock").exists, 30)
    controller.start("slurmctld", "-D", "-c", log="slurmctld")
    for host in hosts:
        host.start("slurmd", "-D", "-N", host.name, log="slurmd")
    try:
        wait_until(lambda: _states(controller) == ["idle", "idle"], 60)
    except TimeoutError as error:
        logs = [host.folder / name for host in hosts for name in ("slurmctld", "slurmd")]
        texts = [path.read_text()[-1000:] for path in logs if path.exists()]
        raise TimeoutError("\n".join(["Slurm has no two idle nodes", *texts])) from error
    yield


def _states(controller: Host) -> list[str]:
    """Return the state of each node."""
    return controller.run("sinfo", "--noheader", "--Node", "--format=%T").stdout.split()


def _configuration(folder: Path, hosts: tuple[Host, Host], first_job: int) -> str:
    """Return the text of slurm.conf."""
    nodes = "".join(
        f"NodeName={host.name} NodeAddr={host.ip} CPUs={os.cpu_count()} RealMemory=2000\n"
        for host in hosts
    )
    return f"""ClusterName=test
SlurmctldHost={hosts[0].name}({hosts[0].ip})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
FirstJobId={first_job}
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd_%n.pid
SlurmdSpoolDir={folder}/spool_%n
JobAcctGatherType=jobacct_gather/none
KillWait=10
{nodes}PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
