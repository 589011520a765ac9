"""The property that every fuzz test checks: a command ends with a sentence for any input.

No error is shown as a traceback. The exit code is one of the documented codes. The output cannot
control the terminal. The command writes only where the user told it to write.
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
def workspace(root: Path) -> Iterator[Path]:
    """Yield a folder with the empty folders `results`, `outside` and `here`; remove it afterwards.

    `here` is the current folder meanwhile.
    """
    folder = root / "work"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("results", "outside", "here"):
        (folder / name).mkdir(parents=True)
    try:
        with contextlib.chdir(folder / "here"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_command(folder: Path, *words: object) -> tuple[int, str]:
    """Run a command in a workspace, check the property, return the exit code and the output.

    The command may write into the folder `results` of the workspace, and into files named `out.*`
    beside it.
    """
    before = _protected(folder)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.run_command([str(word) for word in words])
    output, errors = out.getvalue(), err.getvalue()
    assert code in CODES, (code, errors)
    assert "Traceback" not in output + errors, errors
    assert '\n  File "' not in errors, errors
    control = {letter for letter in output + errors if not letter.isprintable()} - {"\n"}
    assert not control or "--csv" in words, control
    if code == 2:
        assert errors.strip(), "an error without a sentence"
        assert len(errors) < 20_000, errors[:300]
    assert _protected(folder) == before, "the command wrote outside its folders"
    return code, output


def _protected(folder: Path) -> dict[str, int]:
    """Return the files that no command may change, with their sizes."""
    return {
        str(path): path.lstat().st_size
        for path in sorted(folder.rglob("*"))
        if path.relative_to(folder).parts[0] not in ("results", "out")
        and not path.relative_to(folder).parts[0].startswith("out.")
        and path.is_file()
    }
