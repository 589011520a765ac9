"""One thing that the doctor looked at, and how a look that fails becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sweep.core.errors import SweepError

Condition = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was looked at, what was seen, and what to do about it.

    Args:
        check: a word or two: `python`, `storage`, `data on NODE`.
        state: `ok`; `warning`, where a study runs and yet may not do what is meant; `wrong`.
        seen: a sentence or a few words.
        cure: what to type next, or to change, where the state is not `ok`.
    """

    check: str
    state: Condition
    seen: str
    cure: str = ""


def looked(check: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a look finds; where it fails, that is a finding too, and the others go on."""
    try:
        yield from look()
    except SweepError as error:
        yield Finding(check=check, state="wrong", seen=str(error))
    except (Exception, SystemExit) as error:  # whatever a broken library raises
        said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        yield Finding(check=check, state="wrong", seen=f"the check ended with {said}")
