"""Real studies whose driver, workers and nodes are killed again and again, at random moments.

Half of the studies join a cluster of two nodes, the others start a Ray of their own. After each
kill -9 the study is resumed, or the node is replaced. In the end the files are compared with the
promises: `sweep.bench.promises`.
"""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from sweep.bench.attack import Attack
from sweep.bench.promises import (
    rows_doubled,
    rows_lost,
    sight,
    stages_repeated,
    verdicts_contradicted,
)
from sweep.bench.timing import processor, versions
from sweep.bench.victims import Nodes, alive, carriers, nodes
from sweep.core.events import TrialFailed
from sweep.runners.interrupt import Interrupted, ending_at_once

STRAY_SECONDS = 15.0
KILLS_EACH = 6
"""How many kills one study gets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crashes:
    """The result of the kills. Where every promise is kept, the counts from `rows_lost` on are 0.

    Args:
        kills: how many of each kind.
        studies: how many were run to their end.
        rows_lost: events that were in the log before a kill and are not after it.
        rows_doubled: observations, or trials, that are in the log or the tables twice.
        stages_repeated: stages that were done and yet started again.
        verdicts_contradicted: verdicts that were undone, and logs that a replay does not reproduce.
        stray_processes: processes of a killed driver that ran 15 s later, or of any at the end.
        recover_seconds: from a kill to the next observation of what was hit: median and maximum.
        causes: causes of failed attempts, as the studies counted them.
        wall_seconds: of the whole bench.
    """

    kills: Mapping[str, int]
    studies: int
    rows_lost: int
    rows_doubled: int
    stages_repeated: int
    verdicts_contradicted: int
    stray_processes: int
    recover_seconds: Mapping[str, float | None]
    causes: Mapping[str, int]
    wall_seconds: float
    processor: str = field(default_factory=processor)
    versions: Mapping[str, str] = field(default_factory=versions)

    def to_json(self) -> str:
        """Return one JSON object."""
        fields = asdict(self)
        kinds = fields.pop("kills")
        return json.dumps({"name": "crash", "kills": sum(kinds.values()), "of": kinds, **fields})

    def to_text(self) -> str:
        """Return lines for reading."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.kills.items())
        lines = [f"crash: {sum(self.kills.values())} kills ({kinds}) in {self.studies} studies"]
        fields = asdict(self)
        for name in ("kills", "studies", "processor", "versions"):
            del fields[name]
        lines += [f"  {name} {value}" for name, value in fields.items()]
        return "\n".join([*lines, f"  {self.processor}"])


def run(*, kills: int = 50, seed: int = 0) -> Crashes:
    """Run studies, kill their processes, and return the counts. A kill takes some ten seconds.

    Ctrl-C and SIGTERM end the bench early; the studies that have ended count.

    Args:
        kills: how many kills, of a driver, a worker and a node in turn.
        seed: of the moments and the victims.

    Raises:
        RuntimeError: a study stopped.
    """
    with (
        tempfile.TemporaryDirectory(prefix="sweep-crash-") as name,
        nodes() as (cluster, mark),
    ):
        havoc = Havoc(Path(name), cluster, mark, kills=kills, rng=random.Random(seed))
        with contextlib.suppress(Interrupted), ending_at_once():
            while havoc.left:
                havoc.study()
        return havoc.crashes()


class Havoc:
    """Runs studies, kills their processes, and counts.

    Args:
        results: folder of the studies.
        cluster: every other study joins it.
        mark: in the environment of the cluster's processes.
        kills: how many kills.
        rng: draws moments and victims.
    """

    def __init__(
        self,
        results: Path,
        cluster: Nodes,
        mark: Mapping[str, str],
        *,
        kills: int,
        rng: random.Random,
    ) -> None:
        self.left = kills
        self._results, self._cluster, self._mark, self._rng = results, cluster, mark, rng
        self._drivers = {"SWEEP_CRASH": secrets.token_hex(8)}
        self._began = time.monotonic()
        self._studies = 0
        self._kills = Counter[str]()  # of the studies that have ended
        self._causes = Counter[str]()
        self._counts = Counter[str]()
        self._recovered: list[float] = []
        self._doomed: list[tuple[float, set[psutil.Process]]] = []

    def study(self) -> None:
        """Run one study to its end, with a kill now and then while any are left."""
        folder = self._results / f"study-{self._studies}"
        joined = None if self._studies % 2 else self._cluster
        attack = Attack(folder, joined, drivers=self._drivers, cluster=self._mark)
        with contextlib.closing(attack):
            kinds = ["driver", "worker", "node"] if joined else ["driver", "worker"]
            kills, seconds = self._haunt(attack, kinds)
            self._judge(attack)
            self._studies += 1
            self._kills += kills
            self._recovered += seconds

    def crashes(self) -> Crashes:
        """Return the counts, once every process that must end has had its time to end."""
        while self._doomed:
            self._count_strays()
            time.sleep(0.5)
        deadline = time.monotonic() + STRAY_SECONDS
        while carriers(self._drivers) and time.monotonic() < deadline:
            time.sleep(0.5)
        self._counts["stray_processes"] += len(carriers(self._drivers))
        times = self._recovered
        return Crashes(
            kills=dict(self._kills),
            studies=self._studies,
            rows_lost=self._counts["rows_lost"],
            rows_doubled=self._counts["rows_doubled"],
            stages_repeated=self._counts["stages_repeated"],
            verdicts_contradicted=self._counts["verdicts_contradicted"],
            stray_processes=self._counts["stray_processes"],
            recover_seconds={
                "median": statistics.median(times) if times else None,
                "max": max(times, default=None),
            },
            causes=dict(self._causes),
            wall_seconds=time.monotonic() - self._began,
        )

    def _haunt(self, attack: Attack, kinds: list[str]) -> tuple[Counter[str], list[float]]:
        """Kill now and then until the study has ended; return the kills, and seconds to recover."""
        kills, seconds = Counter[str](), list[float]()
        left = min(self.left, KILLS_EACH)
        while not attack.ended():
            self._count_strays()
            time.sleep(self._rng.uniform(0.1, 4.0) if left else 0.5)
            so_far = self._kills + kills
            kind = min(kinds, key=lambda kind: (so_far[kind], self._rng.random()))
            if not left or (hit := attack.hit(kind)) is None:
                continue
            left -= 1
            self.left -= 1
            kills[kind] += 1
            self._doomed.append((time.monotonic() + STRAY_SECONDS, hit.doomed))
            attack.heal(kind)
            patient = self._rng.random() < 0.8  # else the next kill may hit the recovery
            if patient and (recovery := attack.recovery(hit)) is not None:
                seconds.append(recovery)
        return kills, seconds

    def _judge(self, attack: Attack) -> None:
        now, sights = sight(attack.folder), attack.sights
        self._counts["rows_lost"] += rows_lost(sights, now)
        self._counts["rows_doubled"] += rows_doubled(attack.folder, now)
        self._counts["stages_repeated"] += stages_repeated(sights, now)
        self._counts["verdicts_contradicted"] += verdicts_contradicted(attack.folder, now)
        self._causes.update(e.failure.cause for e in now.events if isinstance(e, TrialFailed))

    def _count_strays(self) -> None:
        due = [doomed for deadline, doomed in self._doomed if time.monotonic() >= deadline]
        self._doomed = self._doomed[len(due) :]
        strays = sum(alive(process) for doomed in due for process in doomed)
        self._counts["stray_processes"] += strays
