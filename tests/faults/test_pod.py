"""The shell script of the Kubernetes job, as the first process of a container: evicted, and started again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml

from tests.conftest import ROOT, TINY
from tests.test_workflow import SNAKEMAKE

pytestmark = pytest.mark.long
CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc"]
"""Processes are numbered anew from 1, and all end with the first one."""
CHANGES = "'entries=[vq_rec]' 'training={iterations: 300}'"


@pytest.fixture
def script() -> str:
    """What the job runs, with this environment's Snakemake and the tiny preset; nothing else is changed."""
    if not shutil.which("unshare") or subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no process namespaces here")
    job = yaml.safe_load((ROOT / "profiles" / "kubernetes" / "job.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bash", "-c"]
    (told,) = container["args"]
    for pattern, ours in (
        ("pip install --quiet uv", ":"),
        ("uv run snakemake", f"{SNAKEMAKE} --snakefile {ROOT / 'Snakefile'}"),
        ("preset=paper", f"preset={TINY} {CHANGES}"),
    ):
        assert pattern in told
        told = told.replace(pattern, ours)
    return str(told)


def test_an_evicted_pod_keeps_a_checkpoint_and_its_next_start_goes_on(script: str, tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{SNAKEMAKE.parent}:{os.environ['PATH']}"}

    def begun() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*CONTAINER, "bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    pod = begun()
    assert pod.stdout
    for line in pod.stdout:
        if re.search(r"\d+/300  ", line):
            break
    (first,) = psutil.Process(pod.pid).children()
    first.send_signal(signal.SIGTERM)
    pod.communicate(timeout=120)
    assert pod.returncode != 0, "Kubernetes starts it again"
    assert list(tmp_path.glob("results/tiny/runs/*/seed0/state/checkpoint.pt"))
    again = begun()
    said, _ = again.communicate(timeout=900)
    assert again.returncode == 0, said[-3000:]
    assert re.search(r"resuming at [1-9]\d*/300", said)
    assert (tmp_path / "results" / "tiny" / "report.html").is_file()
