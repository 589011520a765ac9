"""The files of `cluster/` and `docker/`: fields, versions, and the commands in them."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import ray.autoscaler
import typer
import yaml
from compose_spec import PyCompose
from jsonschema import validate

from sweep.cli.app import app
from tests.cluster.hosts import ROOT

CLUSTER = ROOT / "cluster"
KUBERNETES = "1.37"
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
FIELDS: dict[str, dict[str, type]] = {  # of KubeRay's `ray.io/v1`, as far as our files use them
    "RayJob": {
        "entrypoint": str,
        "runtimeEnvYAML": str,
        "submissionMode": str,
        "submitterConfig": dict,
        "backoffLimit": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "rayClusterSpec": dict,
    },
    "RayCluster": {
        "rayVersion": str,
        "authOptions": dict,
        "enableInTreeAutoscaling": bool,
        "autoscalerOptions": dict,
        "headGroupSpec": dict,
        "workerGroupSpecs": list,
    },
}


@pytest.fixture(params=["rayjob.yaml", "raycluster.yaml"])
def manifest(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A manifest of KubeRay."""
    return _yaml(CLUSTER / request.param)


def test_a_manifest_has_only_fields_that_kuberay_knows(manifest: dict[str, Any]) -> None:
    assert manifest["apiVersion"] == "ray.io/v1"
    _check_fields("RayCluster", _cluster(manifest))
    if manifest["kind"] == "RayJob":
        _check_fields("RayJob", manifest["spec"])
        assert set(manifest["spec"]["submitterConfig"]) == {"backoffLimit"}
        assert manifest["spec"]["submissionMode"] == "K8sJobMode"
    assert _cluster(manifest)["authOptions"] == {"mode": "token"}
    assert set(_cluster(manifest)["headGroupSpec"]) == {"rayStartParams", "template"}
    for group in _cluster(manifest)["workerGroupSpecs"]:
        assert set(group) == GROUP
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_each_pod_is_one_that_kubernetes_accepts(manifest: dict[str, Any]) -> None:
    for group in _groups(manifest):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        pod = copy.deepcopy(pod)  # an anchor of YAML is one object in several places
        pod["spec"]["containers"][0]["resuorces"] = {}
        with pytest.raises(kubernetes_validate.ValidationError, match="resuorces"):
            kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_the_version_of_ray_is_the_installed_one_and_the_image_is_ours(
    manifest: dict[str, Any],
) -> None:
    assert _cluster(manifest)["rayVersion"] == metadata.version("ray")
    for group in _groups(manifest):
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == f"REGISTRY/sweep:{metadata.version('sweep')}"


def test_the_head_does_no_work_and_is_never_on_a_spot_node(manifest: dict[str, Any]) -> None:
    head, *workers = _groups(manifest)
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert "on-demand" in head["template"]["spec"]["nodeSelector"].values()
    for worker in workers:
        limits = worker["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert limits["nvidia.com/gpu"] == "1"
    assert any("spot" in str(worker["template"]["spec"]["nodeSelector"]) for worker in workers)


def test_workers_come_when_trials_wait_for_them(manifest: dict[str, Any]) -> None:
    assert _cluster(manifest)["enableInTreeAutoscaling"] is True
    assert set(_cluster(manifest)["autoscalerOptions"]) == {"idleTimeoutSeconds"}
    workers = _groups(manifest)[1:]
    assert {worker["minReplicas"] for worker in workers} == {0}
    most = sum(worker["maxReplicas"] for worker in workers)
    name = "rayjob.yaml" if manifest["kind"] == "RayJob" else "raycluster.yaml"
    assert _waits_for(name) == most


def _waits_for(name: str) -> int:
    """Return for how many trials with a GPU the command of a file asks at once."""
    (words,) = _commands((CLUSTER / name).read_text())
    assert {"resources.gpu=1", "resources.wait=true"} <= set(words)
    (parallel,) = [word for word in words if word.startswith("resources.parallel=")]
    return int(parallel.partition("=")[2])


def test_the_launcher_s_file_fits_the_schema_of_ray() -> None:
    launcher = _yaml(CLUSTER / "autoscaler.yaml")
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    validate(launcher, schema)
    types = launcher["available_node_types"]
    assert launcher["head_node_type"] in types
    assert "InstanceMarketOptions" not in types[launcher["head_node_type"]]["node_config"]
    assert sum(kind.get("max_workers", 0) for kind in types.values()) == launcher["max_workers"]
    assert {kind.get("min_workers", 0) for kind in types.values()} == {0}
    assert _waits_for("autoscaler.yaml") == launcher["max_workers"]


def test_the_compose_file_fits_the_specification() -> None:
    path = ROOT / "docker" / "compose.yaml"
    assert PyCompose.from_yaml(path.read_text()).service_names() == ["head", "worker"]
    for service in _yaml(path)["services"].values():
        assert service["command"].startswith("ray start ")
        assert service["command"].endswith(" --block")


def test_only_what_the_image_needs_is_sent_to_its_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE)
    assert sent == {word for words in copied for word in words.split()}
    assert all((ROOT / name).exists() for name in sent)


def test_each_command_is_one_that_sweep_understands() -> None:
    paths = [*CLUSTER.iterdir(), *(ROOT / "docker").iterdir()]
    found = [words for path in paths for words in _commands(path.read_text())]
    assert {words[1] for words in found} == {"run", "submit", "stop"}
    group: Any = typer.main.get_command(app)
    for words in found:
        group.commands[words[1]].make_context(words[1], words[2:])


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of sweep in a file: lines of a script or a comment that begin with it."""
    text = re.sub(r"\\\n#? *", "", text)
    text = re.sub(r"(entrypoint: >-\n)( +)(.*)\n\2(\S.*)", r"\3 \4", text)
    text = re.sub(r"sbatch .*?cluster/slurm\.sh ", "sweep run ", text)
    for line in text.splitlines():
        line = line.lstrip("# ").removeprefix("$ ")
        if re.match(r"sweep [a-z]+ [^.]", line):
            yield shlex.split(line.partition("  #")[0])


def _check_fields(kind: str, spec: dict[str, Any]) -> None:
    """Check names and types of the fields of a specification."""
    for name, value in spec.items():
        assert name in FIELDS[kind], f"{kind} has no field {name}"
        assert isinstance(value, FIELDS[kind][name]), f"{name} is {value!r}"


def _cluster(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the specification of the Ray cluster in a manifest."""
    spec: dict[str, Any] = manifest["spec"]
    return spec["rayClusterSpec"] if manifest["kind"] == "RayJob" else spec


def _groups(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the head's group of pods, then those of the workers."""
    cluster = _cluster(manifest)
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def _yaml(path: Path) -> dict[str, Any]:
    """Return the one document of a file."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found
