"""What needs no cluster: addresses, exit codes, and the output of one attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.cli import app
from sweep.core.errors import ConfigError
from sweep.jobs.head import Head, Job, NoAnswer, Status
from sweep.jobs.submit import exit_code, output_of

CONFIG = 'name = "mine"\n[space.axes]\nd = [16, 32]\n'


@pytest.mark.parametrize("address", ["head:6379", "ray://head:10001", "auto", "http://"])
def test_an_address_of_no_job_server_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"must be that of the head's job server: http://HOST"):
        Head(address)


def test_a_head_that_does_not_answer_gets_a_sentence() -> None:
    with pytest.raises(NoAnswer, match=r"No head answers at http://127\.0\.0\.1:9\. `ray start"):
        Head("http://127.0.0.1:9")


def test_the_output_of_the_last_attempt_is_shown() -> None:
    text = "attempt     a1\nold\nattempt     b2\nnew\n"
    assert output_of(text, "b2") == "new\n"
    assert output_of(text, "c3") == ""


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 2, 2),
        ("FAILED", 75, 75),
        ("FAILED", 1, 1),
        ("FAILED", -9, 75),
        ("FAILED", 137, 75),
        ("FAILED", None, 75),
        ("STOPPED", None, 75),
    ],
)
def test_the_exit_code_of_a_job_is_the_studys(
    status: Status, code: int | None, expected: int
) -> None:
    assert exit_code(Job(name="x", status=status, exit_code=code, message="")) == expected


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rule.name=rase"], "did you mean"),
        (["resources.runner=local"], 'resources.runner is "local", and a study on a cluster'),
        (["resources.wait=true"], "resources.parallel is missing"),
        (["--env", "NO_SUCH_VARIABLE"], "this shell has no variable NO_SUCH_VARIABLE"),
        (["data.path=photos"], "data.path is 'photos', a path of this machine"),
        ([], "No head answers at http://127.0.0.1:9"),
    ],
)
def test_what_is_wrong_here_is_refused_here(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(CONFIG)
    where = ["--address", "http://127.0.0.1:9", "--results", "/shared"]
    assert app.run_command(["submit", str(tmp_path / "mine.toml"), *where, *words]) == 2
    assert says.lower() in capsys.readouterr().err.lower()
