"""What each node of a cluster sees of the data and of the results."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import ray
from PIL import Image

from sweep.config.study import StudyConfig
from sweep.doctor import nodes
from sweep.doctor.finding import Finding
from sweep.runners.ray import on_nodes
from sweep.storage.location import locate
from tests.processes import joined

pytestmark = pytest.mark.usefixtures("ray_cluster")


@dataclass(frozen=True, kw_only=True)
class Second:
    """A second node, on which two folders are other ones than here.

    Args:
        name: of the node.
        images: a folder of images here, an empty one there.
        results: an empty folder here, and another one there.
    """

    name: str
    images: Path
    results: Path


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Iterator[Second]:
    """A node in a mount namespace of its own, as another machine would have its own disks."""
    apart = ["unshare", "-m", "--propagation", "private"]
    tried = [*apart, "mount", "-t", "tmpfs", "none", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(tried, capture_output=True).returncode:
        pytest.skip("this process may not mount")
    root = tmp_path_factory.mktemp("disk")
    images, results = root / "images", root / "results"
    images.mkdir()
    results.mkdir()
    rng = np.random.default_rng(0)
    for number in range(20):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    mounts = f"mount -t tmpfs none {images} && mount -t tmpfs none {results}"
    program = Path(sys.executable).with_name("ray")
    address = ray.get_runtime_context().gcs_address
    start = f"exec {program} start --address {address} --num-cpus 1 --block"
    with joined([*apart, "sh", "-c", f"{mounts} && {start}"]) as (new, _):
        (name,) = (node.name for node in on_nodes.nodes() if node.id == new)
        yield Second(name=name, images=images, results=results)


def test_a_node_without_the_images_and_with_results_of_its_own_is_named(
    second: Second, tmp_path: Path
) -> None:
    config = StudyConfig.parse({"name": "x", "data": {"path": str(second.images)}})
    found = {one.check: one for one in nodes.findings(locate(second.results), config, None, None)}
    wrong = {one.check: one.seen for one in found.values() if one.state != "ok"}
    assert set(wrong) == {f"data on {second.name}", f"results on {second.name}"}, wrong
    assert str(second.images) in found[f"data on {second.name}"].seen
    assert "--results s3://BUCKET/PREFIX" in found[f"results on {second.name}"].cure
    for node in on_nodes.nodes():
        assert found[f"node {node.name}"].state == "ok"
    assert list(second.results.iterdir()) == []
    found = {one.check: one for one in nodes.findings(locate(tmp_path), None, None, None)}
    assert found[f"results on {second.name}"].state == "ok"
    assert list(tmp_path.iterdir()) == []


def seen(**changed: object) -> nodes.Seen:
    return {"versions": {"python": "3.11"}, "data": {"data": "abc"}, "token": "t", **changed}


def states(found: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(one.check, one.state) for one in found]


def test_another_version_missing_images_and_other_images_are_wrong() -> None:
    theirs = seen(versions={"python": "3.12"}, data={"data": "error: There is no /data."})
    version, data = nodes.compared("n", "1 CPU", seen(), theirs)
    assert (version.state, version.seen) == ("wrong", "1 CPU; python 3.12 (here 3.11)")
    assert (data.check, data.state, data.seen) == ("data on n", "wrong", "There is no /data.")
    (_, data) = nodes.compared("n", "1 CPU", seen(), seen(data={"data": "other"}))
    assert (data.state, data.seen) == ("wrong", "digest other, and the driver's digest is abc")


def test_a_node_that_reads_the_token_and_leaves_its_note_shares_the_folder(tmp_path: Path) -> None:
    token, note = locate(tmp_path / "token"), locate(tmp_path / "note")
    token.write(b"t")
    assert states(nodes.shared("n", token, note, seen(note="7"))) == [("results on n", "wrong")]
    note.write(b"7")
    assert states(nodes.shared("n", token, note, seen(note="7"))) == [("results on n", "ok")]
    other = seen(note="7", token="another")
    assert states(nodes.shared("n", token, note, other)) == [("results on n", "wrong")]
