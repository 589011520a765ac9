"""The property that every fuzz holds: a command ends in a sentence, whatever it is given.

No error reaches the user as a traceback, the exit code is one that the manual names, nothing
commands the terminal, and nothing is written but where the command was told to write.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

from sweep.cli import app

CODES = (0, 1, 2, 75, 130)


@contextlib.contextmanager
def workshop(root: Path) -> Iterator[Path]:
    """Yield an empty folder with a folder `results` and one `outside`; it is gone afterwards."""
    folder = root / "shop"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("results", "outside", "here"):
        (folder / name).mkdir(parents=True)
    try:
        with contextlib.chdir(folder / "here"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def told(folder: Path, *words: object) -> tuple[int, str]:
    """Run a command in a workshop and return its exit code and output; assert the property.

    It may write into the workshop's `results`, and files named `out*` beside it.
    """
    before = _others(folder)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.run_command([str(word) for word in words])
    said, wrong = out.getvalue(), err.getvalue()
    assert code in CODES, (code, wrong)
    assert "Traceback" not in said + wrong, wrong
    assert '\n  File "' not in wrong, wrong
    odd = {letter for letter in said + wrong if not letter.isprintable()} - {"\n"}
    assert not odd or "--csv" in words, odd
    if code == 2:
        assert wrong.strip(), "an error without a sentence"
        assert len(wrong) < 20_000, wrong[:300]
    assert _others(folder) == before, "something was written outside"
    return code, said


def _others(folder: Path) -> dict[str, int]:
    """Return the files that no command may touch, with their sizes."""
    return {
        str(path): path.lstat().st_size
        for path in sorted(folder.rglob("*"))
        if path.relative_to(folder).parts[0] not in ("results", "out")
        and not path.relative_to(folder).parts[0].startswith("out.")
        and path.is_file()
    }
