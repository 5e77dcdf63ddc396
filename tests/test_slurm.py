"""A real SLURM of one node, where Debian's slurm-wlm is installed: jobs are submitted to it, and preempted."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, TINY
from tests.test_workflow import SNAKEMAKE

CONFIGURATION = Path("/etc/slurm/slurm.conf")
"""Where `srun` inside a job looks: the plugin keeps SLURM's variables from it."""
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scancel")
PATIENCE = 420.0
# Accounting is switched off in a SLURM of one's own, so jobs are asked after with `squeue`.
OPTIONS = [
    "--slurm-no-account",
    *("--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2"),
    *("--default-resources", "mem_mb=1500", "runtime=60", "slurm_partition=main"),
    *("--set-resources", "train:mem_mb=1500", "train:runtime=60"),
]


def until(met: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.5)


def said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A SLURM of this machine alone, stopped again."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"no {missing[0]} here: `apt-get install slurm-wlm` has it")
    if os.getuid() != 0 or CONFIGURATION.exists():
        pytest.skip(f"a SLURM is only started by root, and where {CONFIGURATION} is not there")
    folder, host = tmp_path_factory.mktemp("slurm"), socket.gethostname()
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    settings = {
        "ClusterName": "here",
        "SlurmctldHost": host,
        "SlurmUser": "root",
        "AuthType": "auth/munge",
        "CryptoType": "crypto/munge",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "ReturnToService": 2,
        "MpiDefault": "none",
        "AccountingStorageType": "accounting_storage/none",
        "JobAcctGatherType": "jobacct_gather/none",
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines += [f"NodeName={host} CPUs={os.cpu_count()} RealMemory=4000 State=UNKNOWN"]
    lines += ["PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP"]
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text("\n".join([*lines, ""]))
    try:
        _start_munge()
        subprocess.run(["slurmctld"], check=True)
        subprocess.run(["slurmd"], check=True)
        until(lambda: "idle" in said("sinfo", "-h", "-o", "%T"), "the node")
        yield
    finally:
        subprocess.run(["scontrol", "shutdown"], check=False)
        subprocess.run(["pkill", "munged"], check=False)
        CONFIGURATION.unlink()


def _start_munge() -> None:
    for folder in (Path("/run/munge"), Path("/var/log/munge"), Path("/var/lib/munge")):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, "munge", "munge")
    key = Path("/etc/munge/munge.key")
    if not key.is_file():
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        shutil.chown(key, "munge", "munge")
    subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", shutil.which("munged") or "munged"], check=True)


def submitted(folder: Path, preset: Path, *words: str, changes: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Snakemake with the shipped profile, as a user starts it; its output goes to `snakemake.log`."""
    command = [str(SNAKEMAKE), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--workflow-profile", str(ROOT / "profiles" / "slurm"), *OPTIONS, *words]
    environment = os.environ | {"PATH": os.pathsep.join([str(SNAKEMAKE.parent), os.environ["PATH"]])}
    with (folder / "snakemake.log").open("w") as log:
        return subprocess.Popen(
            [*command, "--config", f"preset={preset}", "entries=[bicubic, tvq_rec]", *changes],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )


def log_of(folder: Path) -> str:
    return (folder / "snakemake.log").read_text()


@pytest.mark.slow
def test_the_smallest_preset_from_end_to_end(cluster: None, tmp_path: Path) -> None:
    assert submitted(tmp_path, TINY).wait(PATIENCE * 2) == 0, log_of(tmp_path)[-3000:]
    assert (tmp_path / "results" / "tiny" / "report.html").is_file()
    assert log_of(tmp_path).count("has been submitted with SLURM jobid") >= 15


@pytest.mark.long
def test_a_preempted_training_goes_on_in_its_next_attempt(cluster: None, tmp_path: Path) -> None:
    preset, longer = tmp_path / "long.yaml", yaml.safe_load(TINY.read_text())["training"] | {"iterations": 400}
    preset.write_text(yaml.safe_dump({"extends": str(TINY), "training": longer}))
    running = submitted(tmp_path, preset, "--until", "train")
    runs = tmp_path / "results" / "long"
    until(lambda: list(runs.glob("runs/*/seed0/state/checkpoint.pt")), "a checkpoint")
    (job,) = said("squeue", "-h", "-o", "%i").split()
    subprocess.run(["scancel", "-s", "TERM", job], check=True)
    until(lambda: "Trying to restart" in log_of(tmp_path), "the next attempt")
    assert running.wait(PATIENCE) == 0, log_of(tmp_path)[-3000:]
    (log,) = runs.glob("logs/train/*/seed0.log")
    assert "resuming at" in log.read_text()
    assert list(runs.glob("runs/*/seed0/weights.safetensors"))


def test_a_dry_run_plans_for_a_cluster_that_is_not_here(tmp_path: Path) -> None:
    running = submitted(tmp_path, TINY, "-n")
    assert running.wait(PATIENCE) == 0, log_of(tmp_path)[-3000:]
    assert "rule train" in log_of(tmp_path) or "train " in log_of(tmp_path)


def test_a_cluster_runs_as_many_trainings_as_it_has_gpus_and_one_may_have_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Snakemake cuts what a job asks for to the limit of all: one GPU is what `profiles/default` allows."""
    from snakemake.cli import parse_args

    monkeypatch.chdir(ROOT)
    (command,) = re.findall(r"uv run --extra slurm snakemake (.*)", (ROOT / "README.md").read_text())
    _, options = parse_args([*command.split(), "-n"])
    assert options.executor == "slurm"
    assert (options.resources["gpu"].value, options.jobs) == (64, 64)
