"""How much of the codes a shrunk image tells: against plain least squares, and on codes made for the purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.untrained import run_of, untrained
from tvqsr.contract import Codebook, Indices, Upscaler
from tvqsr.data.images import read_image
from tvqsr.files import write_json
from tvqsr.plan import Plan
from tvqsr.plugins import load_plugin
from tvqsr.report.scores import load_scores
from tvqsr.upscale.codes import CodeUse
from tvqsr.upscale.redundancy import FOLDS, PENALTY, Redundancy

Array = NDArray[np.float64]


def by_least_squares(images: list[tuple[Array, Array]]) -> float:
    """The definition, row by row: X_down (h, w, 3) and code vectors (h, w, D) of each image, penalty as extra rows."""
    designs, targets = [], []
    for small, vectors in images:
        height, width, _ = small.shape
        padded = np.pad(small, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = [padded[i : i + 3, j : j + 3].ravel() for i in range(height) for j in range(width)]
        designs.append(np.column_stack([np.ones(len(rows)), rows]))
        targets.append(vectors.reshape(height * width, -1))
    everything = np.concatenate(targets)
    unexplained = 0.0
    for fold in range(min(FOLDS, len(images))):
        out = [i for i in range(len(images)) if i % FOLDS == fold]
        x = np.concatenate([designs[i] for i in range(len(images)) if i not in out])
        y = np.concatenate([targets[i] for i in range(len(images)) if i not in out])
        ridge = np.sqrt(PENALTY * len(x)) * np.eye(x.shape[1])[1:]
        beta = np.linalg.lstsq(np.vstack([x, ridge]), np.vstack([y, np.zeros((len(ridge), y.shape[1]))]), rcond=None)[0]
        unexplained += sum(((targets[i] - designs[i] @ beta) ** 2).sum() for i in out)
    return float(1 - unexplained / ((everything - everything.mean(axis=0)) ** 2).sum())


def to_tensor(array: Array) -> Tensor:
    return torch.from_numpy(array).permute(2, 0, 1)[None]


def measured(images: list[tuple[Array, Array]]) -> float:
    redundancy = Redundancy()
    for small, vectors in images:
        redundancy.add(to_tensor(small), to_tensor(vectors))
    value = redundancy.value()
    assert value is not None
    return value


@pytest.mark.parametrize("count", [2, 10, 23])
def test_it_is_ridge_regression_cross_validated_over_images(count: int) -> None:
    random = np.random.default_rng(0)
    images = []
    for number in range(count):
        small = random.random((5 + number % 3, 7, 3))
        vectors = np.stack([small[..., 0] + small[..., 1] ** 2, 3 * random.random(small.shape[:2])], axis=-1)
        images.append((small, vectors + number / 10))
    assert measured(images) == pytest.approx(by_least_squares(images), abs=1e-9)


def test_codes_that_x_down_tells_are_redundant_and_others_are_not() -> None:
    random = np.random.default_rng(0)
    smalls = [random.random((16, 16, 3)) for _ in range(6)]
    mixing = random.standard_normal((3, 8))
    shifted = [np.roll(small, 1, axis=0) for small in smalls]
    assert measured([(small, small @ mixing + 5) for small in smalls]) > 0.99
    # A neighbour tells as well as the position itself, but for the row that was rolled round.
    assert measured([(a, b @ mixing) for a, b in zip(smalls, shifted, strict=True)]) > 0.85
    independent = measured([(small, random.standard_normal((16, 16, 8))) for small in smalls])
    assert -0.05 < independent <= 0.01


class Brightness(Upscaler):
    """Codes by the brightness of 8 x 8 blocks in 16 steps, or at random: a codebook of grey values."""

    multiple, codebooks = 16, (Codebook(16),)

    def __init__(self, honest: bool) -> None:
        super().__init__()
        self.honest, self.random = honest, torch.Generator().manual_seed(0)

    def forward(self, image: Tensor) -> Tensor:
        return image

    def codes(self, image: Tensor) -> Indices:
        codes = (torch.nn.functional.avg_pool2d(image, 8).mean(dim=1) * 15.99).long()
        return (codes if self.honest else torch.randint(0, 16, codes.shape, generator=self.random),)

    def code_vectors(self, indices: Indices) -> Tensor:
        return indices[0][:, None].float() / 15


def photos() -> list[Tensor]:
    """Crops of real photos, their sides no multiples of 8."""
    folder = Path(skimage.__file__).parent / "data"
    pixels = [read_image(folder / name)[:150, :203] for name in ("chelsea.png", "coffee.png", "astronaut.png")]
    return [to_tensor(photo.astype(np.float64)).float() / 255 for photo in pixels]


def summary(upscaler: Upscaler, images: list[Tensor], reads_hr: bool = True) -> float | None:
    use = CodeUse(upscaler.codebooks, reads_hr)
    for image in images:
        use.add(upscaler, image, image, 1)
    redundancy: float | None = use.summary()["redundancy"]
    return redundancy


def test_a_codebook_of_brightness_is_all_redundant() -> None:
    told, untold = summary(Brightness(honest=True), photos()), summary(Brightness(honest=False), photos())
    assert told is not None
    assert untold is not None
    assert told > 0.97
    assert abs(untold) < 0.1


def test_no_number_where_there_is_nothing_to_compare() -> None:
    assert summary(Brightness(honest=True), photos()[:1]) is None
    assert summary(Brightness(honest=True), photos(), reads_hr=False) is None
    assert summary(Brightness(honest=True), [torch.full((1, 3, 32, 32), 0.5)] * 3) is None


@pytest.mark.parametrize("method", ["vq", "tvqrap"])
def test_a_tokenizers_own_codes_are_measured(tiny_plan: Plan, method: str) -> None:
    run = run_of(tiny_plan, method, "tokenizer")
    trained = untrained(run)[1]
    # Codes as far apart as features are, so that more than one is in use.
    trained.weights["tokenizer.quantizer.embedding.weight"].normal_()
    upscaler = load_plugin(run.method).upscaler(trained)
    codebook = trained.weights["tokenizer.quantizer.embedding.weight"].double().numpy()
    pairs = []
    with torch.inference_mode():
        found = summary(upscaler, images := [photo[..., :128, :128] for photo in photos()])
        for image in images:
            small = image[0].double().view(3, 16, 8, 16, 8).mean(dim=(2, 4)).permute(1, 2, 0).numpy()
            pairs.append((small, codebook[upscaler.codes(image)[0][0].numpy()]))
    assert found == pytest.approx(by_least_squares(pairs), abs=1e-9)


def test_the_report_shows_it_of_tokenizers_and_says_why_not_of_others(tiny_plan: Plan, results: Path) -> None:
    codes = {"used": 0.25, "perplexity": 2.0, "bits_per_position": 4.0, "accuracy": None}
    for entry in tiny_plan.entries.values():
        of_entry = codes | {"redundancy": 0.25 if entry.name == "vq_rec" else None} if entry.run else None
        record = {"reads": entry.reads, "codes": of_entry, "images": {"cat": {"index_accuracy": None}}}
        write_json(tiny_plan.paths.images_record(entry.name, 0, "photos_test"), record)
        path = tiny_plan.paths.scores(entry.name, 0, "photos_test")
        path.parent.mkdir(parents=True, exist_ok=True)
        row = {"entry": entry.name, "seed": 0, "testset": "photos_test", "image": "cat", "protocol": "psnr_y"}
        pd.DataFrame([row | {"value": 20.0, "reason": ""}]).to_parquet(path)
    shown = load_scores(tiny_plan)
    shown = shown[shown.protocol == "code_redundancy"].set_index("entry")
    assert shown.value["vq_rec"] == 0.25
    assert shown.value.drop("vq_rec").isna().all()
    assert shown.reason["bicubic"] == "no codebook"
    assert "tokenizers" in shown.reason["vq"]
    assert "two images" in shown.reason["tvq_rec"]
