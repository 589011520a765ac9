"""The result of one check of the doctor; a check that fails becomes a finding as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sweep.core.errors import SweepError

Condition = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was checked, what was found, and what to do about it.

    Args:
        check: a word or two: `python`, `storage`, `data on NODE`.
        state: `ok`, `wrong`, or `warning`: a study runs, but may not do what the user wants.
        seen: what was found, in a few words or a sentence.
        cure: what to type or to change next, if the state is not `ok`.
    """

    check: str
    state: Condition
    seen: str
    cure: str = ""


def looked(check: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check. If it raises, that is a finding, and the others go on."""
    try:
        yield from look()
    except SweepError as error:
        yield Finding(check=check, state="wrong", seen=str(error))
    except (Exception, SystemExit) as error:  # whatever a broken library raises
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        yield Finding(check=check, state="wrong", seen=f"the check ended with {reason}")
