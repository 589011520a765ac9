"""Real studies whose driver, workers and nodes are killed again and again, at random moments.

Half of the studies join a cluster of two nodes, the others start a Ray of their own. After each
kill -9 they go on (a driver is resumed, a node replaced), and in the end what lies on the
disk is held against what was promised: `sweep.bench.promises`.
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

from sweep.bench.attack import Attack
from sweep.bench.promises import (
    rows_doubled,
    rows_lost,
    sight,
    stages_repeated,
    verdicts_contradicted,
)
from sweep.bench.timing import processor, versions
from sweep.bench.victims import Life, Nodes, life, lives, nodes
from sweep.core.events import TrialFailed
from sweep.runners.interrupt import Interrupted, ending_at_once

STRAY_SECONDS = 15.0
KILLS_EACH = 6
"""Kills that a study must bear before it may end in peace."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crashes:
    """What came of so many kills; all counts but those of kills, studies and causes are to be 0.

    Args:
        kills: of each kind.
        studies: that were run to their end.
        rows_lost: events that stood in the log before a kill, and do not after.
        rows_doubled: observations, or trials, that stand there twice.
        stages_repeated: stages begun again although they were done.
        verdicts_contradicted: verdicts undone, and logs that a replay does not reproduce.
        stray_processes: of a killed driver, alive 15 s later; and of all, at the end.
        recover_seconds: from a kill to the next news of whom it hit: median and most.
        causes: of failed attempts, as the studies counted them.
        wall_seconds: of the whole.
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
    """Kill so often, and return what came of it. A kill takes some ten seconds.

    Ctrl-C and SIGTERM end it early; the studies that have ended count.

    Args:
        kills: of a driver, a worker, or a node, in turn.
        seed: of the moments and the victims.

    Raises:
        RuntimeError: a study did not go on.
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
    """Runs studies and kills what belongs to them, keeping count.

    Args:
        results: folder of the studies.
        cluster: that every other study joins; `mark` is in its processes' environment.
        kills: to make.
        rng: of moments and victims.
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
        self._doomed: list[tuple[float, set[Life]]] = []

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
        """Return the counts, once all that should be gone has had its time."""
        while self._doomed:
            self._count_strays()
            time.sleep(0.5)
        deadline = time.monotonic() + STRAY_SECONDS
        while lives(self._drivers) and time.monotonic() < deadline:
            time.sleep(0.5)
        self._counts["stray_processes"] += len(lives(self._drivers))
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
        """Kill now and then until the study has ended; return whom, and the recoveries."""
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
            patient = self._rng.random() < 0.8  # else the next kill may come amid the recovery
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
        strays = sum(life(found[0]) == found for doomed in due for found in doomed)
        self._counts["stray_processes"] += strays
