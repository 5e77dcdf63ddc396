"""Out of memory: what is told names the setting to lower, and by how much; simulated where there is no GPU."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.conftest import GIB, ON_GPU
from tests.untrained import run_of
from tvqsr.efficiency.advice import for_tiles, for_training
from tvqsr.efficiency.fresh import fresh_run
from tvqsr.efficiency.training import training_memory
from tvqsr.nn.perceptual import PerceptualLoss
from tvqsr.nn.vgg_loss import VggLoss
from tvqsr.plan import Plan
from tvqsr.shortage import Shortage, is_out_of_memory, shortage
from tvqsr.upscale.grid import grid


@pytest.mark.usefixtures("gpu")
def test_what_was_needed_is_the_peak_and_what_was_asked_for_beyond() -> None:
    assert shortage(ON_GPU) == Shortage(8 * GIB, 8 * GIB, "GPU")
    on_cpu = RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1073741824 bytes. Error 12"
    )
    found = shortage(on_cpu)
    assert found.where == "main"
    assert shortage(MemoryError("Unable to allocate 500. GiB for an array")).where == "main"
    assert shortage(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")).where == "GPU"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert found.needed == pytest.approx(peak + GIB, rel=0.01)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ON_GPU, True),
        (MemoryError("Unable to allocate 3.2 GiB for an array"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_other_errors_are_not_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected


def settings(told: str) -> tuple[int, int | None]:
    found = re.search(r"lower to batch_size (\d+)(?: and hr_crop (\d+))? at most", told)
    assert found, told
    return int(found[1]), int(found[2]) if found[2] else None


def test_the_batch_that_is_suggested_is_the_largest_that_fits(preset: Callable[..., Path]) -> None:
    plan = Plan.load(str(preset(lambda p: p["training"].update(batch_size=12))))
    run = run_of(plan, "vq", "tokenizer")
    told = for_training(plan, run, Shortage(12 * GIB, 8 * GIB, "GPU"))
    batch, crop = settings(told)
    assert crop is None
    assert "batch_size is 12 and hr_crop 64" in told
    assert f"`methods: {{vq: {{tokenizer: {{training: {{batch_size: {batch}}}}}}}}}`" in told
    stage = fresh_run(run)[1][run.name]
    whole, fits, more = (training_memory(stage, size, 64, 3)["total"] for size in (12, batch, batch + 1))
    assert fits <= 0.6 * whole < more


def test_where_one_crop_is_too_much_it_is_to_be_smaller(preset: Callable[..., Path]) -> None:
    plan = Plan.load(str(preset(lambda p: p["training"].update(batch_size=2, hr_crop=128))))
    run = run_of(plan, "vq", "tokenizer")
    batch, crop = settings(for_training(plan, run, Shortage(16 * GIB, 4 * GIB, "GPU")))
    assert batch == 1
    assert crop is not None and 0 < crop < 128 and crop % run.method.spec.crop_multiple == 0
    assert "not even one crop" in for_training(plan, run, Shortage(1000 * GIB, GIB, "GPU"))


def test_a_last_phase_on_larger_crops_is_what_is_to_shrink(preset: Callable[..., Path]) -> None:
    last = {"iterations": 2, "batch_size": 4, "hr_crop": 128}
    plan = Plan.load(str(preset(lambda p: p["training"].update(last_phase=last))))
    told = for_training(plan, run_of(plan, "vq", "tokenizer"), Shortage(2 * GIB, GIB, "GPU"))
    assert re.search(r"training: \{last_phase: \{iterations: 2, batch_size: [12], hr_crop: 128\}\}", told)


def test_both_phases_shrink_where_both_are_too_large(preset: Callable[..., Path]) -> None:
    """Each to the largest that fits, in one preset: else the next try would fail in the other phase."""
    last = {"iterations": 2, "batch_size": 3, "hr_crop": 128}

    def change(content: dict[str, Any]) -> None:
        content["training"].update(batch_size=12, last_phase=last)

    file = preset(change)
    run = run_of(Plan.load(str(file)), "vq", "tokenizer")
    told = for_training(Plan.load(str(file)), run, Shortage(4 * GIB, GIB, "main"))
    assert "batch_size is 12 and hr_crop 64, in last_phase batch_size is 3 and hr_crop 128: lower to batch_size" in told
    suggested = re.search(r"`(methods: .*)`", told)
    assert suggested
    training = run_of(Plan.load(str(file), yaml.safe_load(suggested[1])), "vq", "tokenizer").training
    stage = fresh_run(run)[1][run.name]
    multiple = run.method.spec.crop_multiple

    def held(batch: int, crop: int) -> float:
        return float(training_memory(stage, batch, crop, 5)["total"])

    limit = 0.9 / 4 * max(held(12, 64), held(3, 128))
    for batch, crop in (training.crops_at(0), training.crops_at(training.steps - 1)):
        whole = crop in (64, 128)
        assert held(batch, crop) <= limit < (held(batch + 1, crop) if whole else held(1, crop + multiple))
    assert training.steps == 6
    assert f"lower to batch_size {training.batch_size}, in last_phase to batch_size " in told


def test_a_suggested_preset_is_a_valid_one(preset: Callable[..., Path]) -> None:
    content = preset(lambda p: p["training"].update(batch_size=12))
    plan = Plan.load(str(content))
    found = re.search(
        r"`(methods: .*)`", for_training(plan, run_of(plan, "vq", "tokenizer"), Shortage(2 * GIB, GIB, "GPU"))
    )
    assert found
    changed = run_of(Plan.load(str(content), yaml.safe_load(found[1])), "vq", "tokenizer")
    assert changed.training.batch_size < 12


def shared(preset: Callable[..., Path], processes: int, batch: int = 24, **training: object) -> Plan:
    """A plan whose batches are shared by so many processes."""

    def change(content: dict[str, Any]) -> None:
        content["runtime"].update(processes=processes)
        content["training"].update(batch_size=batch, **training)

    return Plan.load(str(preset(change)))


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_a_batch_that_is_suggested_can_be_shared_and_its_shares_fit(
    processes: int, preset: Callable[..., Path]
) -> None:
    plan = shared(preset, processes)
    run = run_of(plan, "vq", "tokenizer")
    told = for_training(plan, run, Shortage(12 * GIB, 8 * GIB, "main"))
    batch, crop = settings(told)
    assert crop is None
    assert "processes:" not in told  # those of one machine share its memory
    suggested = re.search(r"`(methods: .*)`", told)
    assert suggested
    plan = Plan.load("mine.yaml", yaml.safe_load(suggested[1]))
    assert run_of(plan, "vq", "tokenizer").training.batch_size == batch
    stage, failed = fresh_run(run)[1][run.name], 24 // processes
    whole, fits, more = (
        training_memory(stage, size, 64, 3)["total"] for size in (failed, batch // processes, batch // processes + 1)
    )
    assert fits <= 0.6 * whole < more


def test_more_gpus_that_keep_the_batch_are_named_first(preset: Callable[..., Path]) -> None:
    plan = shared(preset, 2)
    run = run_of(plan, "vq", "tokenizer")
    told = for_training(plan, run, Shortage(12 * GIB, 8 * GIB, "GPU"))
    found = re.search(r"keep both on (\d+) GPUs by `--config '(runtime)=(.*?)'`, or lower to", told)
    assert found
    more = Plan.load("mine.yaml", {found[2]: yaml.safe_load(found[3])}).preset.runtime.processes
    assert more == int(found[1])
    stage = fresh_run(run)[1][run.name]
    held = {count: training_memory(stage, 24 // count, 64, 3)["total"] for count in (2, 3, 4, 6, 8, 12, 24)}
    assert more == next(count for count, size in held.items() if size <= 0.6 * held[2])


def test_more_gpus_are_not_named_where_some_batch_cannot_be_shared(preset: Callable[..., Path]) -> None:
    """The number of processes is one for all trainings: where another's batch is odd, it would be refused."""
    plan = shared(preset, 1, last_phase={"iterations": 2, "batch_size": 23, "hr_crop": 32})
    told = for_training(plan, run_of(plan, "vq", "tokenizer"), Shortage(12 * GIB, 8 * GIB, "GPU"))
    assert "processes:" not in told and "lower to batch_size" in told


def test_tiles_shrink_with_the_root_of_the_memory() -> None:
    half = Shortage(16 * GIB, 8 * GIB, "GPU")
    assert for_tiles(half, 192, (1000, 1000), 1) == "--tile is 192: give `--tile 128` or less"
    assert for_tiles(half, 0, (1000, 1000), 1) == "the whole photo is done at once: give `--tile 656` or less"
    assert for_tiles(half, 2000, (1000, 1000), 1) == "--tile is 2000: give `--tile 656` or less"
    # What a tile saves of a long photo's area, it saves of one side until it is as small as the other.
    assert for_tiles(half, 0, (6000, 1000), 1) == "the whole photo is done at once: give `--tile 2688` or less"
    assert for_tiles(half, 0, (4000, 6000), 1) == "the whole photo is done at once: give `--tile 3280` or less"


@pytest.mark.parametrize("multiple", [1, 8, 24, 64])
def test_no_tile_is_advised_that_the_network_would_not_take(multiple: int) -> None:
    tile = 192
    while "give `--tile " in (told := for_tiles(Shortage(16 * GIB, 12 * GIB, "GPU"), tile, (1000, 900), multiple)):
        advised = int(told.split("--tile ")[2].split("`")[0])
        assert grid(advised, multiple)[0] == advised < grid(tile, multiple)[0]
        tile = advised
    assert f"tiles of {tile} pixels are the smallest" in told
    assert grid(tile - 1, multiple)[0] == tile


@pytest.mark.parametrize("network", ["lpips.LPIPS", "torchvision.models.vgg19"])
def test_memory_that_runs_out_while_weights_are_read_is_not_the_files_fault(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(**_: object) -> None:
        raise ON_GPU

    monkeypatch.setattr(network, short)
    with pytest.raises(type(ON_GPU)):
        PerceptualLoss("alex", "plain") if "lpips" in network else VggLoss("conv1_2:1")
