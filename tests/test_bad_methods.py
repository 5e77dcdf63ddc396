"""Deliberately bad methods: each is the template with one mistake, and fails the check that is there for it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tvqsr.data.prepare import prepare
from tvqsr.new_method import TEMPLATE
from tvqsr.plan.preset import DatasetSpec
from tvqsr.testing.candidate import Candidate
from tvqsr.testing.code import traces_of
from tvqsr.testing.outcome import Outcome
from tvqsr.testing.suite import CHECKS, check_method

PLUGIN, METHOD, CLAIMS = "plugin.py", "method.yaml", "claims.yaml"
PIXEL = "F.mse_loss(self.tokenizer.decoder(quantized.codes), real)"
TO_UNIT = "(self.tokenizer.decoder(self.tokenizer.encode(2 * image - 1).codes) + 1) / 2"
NETWORKS = 'networks={"tokenizer": tokenizer}, players={"generator": ("tokenizer",)}'
KEEP = "self.tokenizer = tokenizer\n"
AWAY = f'far = {PIXEL} + quantized.loss\n        return {{"pixel": 2 * far.detach() - far}}'
ALWAYS_THE_SAME = """\
        fixed = torch.Generator().manual_seed(0)
        for p in self.parameters():
            nn.init.uniform_(p, -0.1, 0.1, generator=fixed)
"""
ANOTHER_STAGE = """\
  lost:
    trains_on: hr
    settings: {width: 8, codebook_size: 16}
    training: *training

  predictor:
"""
TRACELESS: dict[str, Any] = {"error": None, "printed": [], "touched": [], "state": [], "patched": []}

Edit = tuple[str, str, str]

BAD: list[tuple[str, list[Edit], str]] = [
    ("description", [(METHOD, "hr_crop: 64", "hr_crop: 60")], r"tokenizer.training: hr_crop 60 is no multiple of crop"),
    (
        "description",
        [(METHOD, "{width: 8, codebook", "{widht: 8, codebook")],
        r"tiny.tokenizer: .*did you mean `width`",
    ),
    (
        "description",
        [(METHOD, "{width: 8, codebook", "{width: 2, codebook")],
        r"tiny.tokenizer.width: expected at least 4",
    ),
    (
        "claims",
        [(CLAIMS, "    worse: bicubic\n", "")],
        r"claims.yaml: claim 1 .*`better` and `worse` are given together",
    ),
    ("claims", [(CLAIMS, "    protocol:", "    protocl:")], r"claims.yaml: claim 1: .*protoc"),
    ("stages", [(METHOD, "needs: [tokenizer]", "needs: [tokenizer, rrdb_lost.psnr]")], r"unknown method `rrdb_lost`"),
    (
        "stages",
        [(METHOD, "trains_on: hr  ", "needs: [predictor]\n    trains_on: hr  ")],
        r"need each other in a circle",
    ),
    ("builds", [(METHOD, "needs: [tokenizer]", "needs: []")], r"predictor.needs does not declare `tokenizer`"),
    (
        "builds",
        [(PLUGIN, NETWORKS, NETWORKS.replace("er}", 'er, "idle": nn.Conv2d(3, 3, 1)}', 1))],
        r"stage\(`tokenizer`\): no player moves `idle`",
    ),
    (
        "builds",
        [(PLUGIN, 'settings["width"], tok', 'settings["widht"], tok')],
        r"predictor.settings does not declare `widht`",
    ),
    (
        "losses",
        [(PLUGIN, PIXEL, PIXEL[:-1] + ', reduction="none")')],
        r"`pixel`: expected a scalar tensor, found shape",
    ),
    ("losses", [(PLUGIN, PIXEL, f"{PIXEL} / 0 * 0")], r"player `generator`, step 0: `pixel` is nan"),
    ("losses", [(PLUGIN, "1), indices)}", "1), indices).detach()}")], r"no gradient of index reaches the networks"),
    (
        "moves",
        [
            (
                PLUGIN,
                NETWORKS,
                NETWORKS.replace("er}", 'er, "idle": nn.Conv2d(3, 3, 1)}', 1).replace('r",)', 'r", "idle")'),
            ),
        ],
        r"stage `tokenizer`: network `idle` did not move",
    ),
    (
        "learns",
        [(PLUGIN, f'return {{"pixel": {PIXEL}, "vq": quantized.loss}}', AWAY)],
        r"losses of `tokenizer`: in 12 steps on one batch the generator's total went from",
    ),
    (
        "frozen",
        [
            (
                PLUGIN,
                "requires_grad_(False)\n",
                "requires_grad_(False)\n        self.norm = nn.BatchNorm2d(3, affine=False)\n",
            ),
            (
                PLUGIN,
                "encode(2 * batch.hr - 1).indices\n        return",
                "encode(self.norm(batch.hr)).indices\n        return",
            ),
        ],
        r"stage `predictor`: `norm\.\w+` changed in training but is not in `networks`",
    ),
    (
        "random",
        [(PLUGIN, PIXEL, f"{PIXEL} * (1 + 1e-4 * np.random.rand())")],
        r"stage `tokenizer`: draws from numpy's or Python's",
    ),
    (
        "random",
        [
            (PLUGIN, "    if name == ", "    torch.manual_seed(0)\n    if name == "),
        ],
        r"sets torch's seed",
    ),
    (
        "seeds",
        [(PLUGIN, PIXEL, f"{PIXEL} * (1 + 1e-4 * np.random.default_rng().random())")],
        r"differs between two trainings with seed 0",
    ),
    (
        "seeds",
        [
            (PLUGIN, KEEP, f"{KEEP}{ALWAYS_THE_SAME}"),
        ],
        r"stage `tokenizer`: starts with the same weights for seeds 0 and 1",
    ),
    (
        "buffers",
        [
            (PLUGIN, KEEP, f'{KEEP}        tokenizer.register_buffer("seen", torch.zeros(()), persistent=False)\n'),
            (PLUGIN, "        quantized = self", "        self.tokenizer.seen += 1\n        quantized = self"),
        ],
        r"stage `tokenizer`: tensor `networks.tokenizer.seen` changes in training but is not saved",
    ),
    (
        "resume",
        [
            (PLUGIN, KEEP, f"{KEEP}        self.seen = 0\n"),
            (PLUGIN, "        quantized = self", "        self.seen += 1\n        quantized = self"),
            (PLUGIN, PIXEL, f"{PIXEL} * (1 + 1 / self.seen)"),
        ],
        r"stage `tokenizer`: .* differs after an interruption",
    ),
    (
        "upscaler",
        [
            (METHOD, "  predictor:\n    trains", f"{ANOTHER_STAGE}    trains"),
            (PLUGIN, 'if name == "tokenizer"', 'if name in ("tokenizer", "lost")'),
            (
                PLUGIN,
                'if trained.stage == "tok',
                'if trained.stage == "lost":\n        raise UserError\n    if trained.stage == "tok',
            ),
        ],
        r"stages.lost: is trained for nothing: `predictor` does not need it",
    ),
    (
        "upscaler",
        [(PLUGIN, 'trained.load("predictor"', 'trained.load("predicter"')],
        r"weights of stage `predictor`: no `predicter\.",
    ),
    (
        "weights",
        [(PLUGIN, '    trained.load("predictor", predictor)\n', "")],
        r"upscaler of `predictor`: `predictor\.\S+` is not the trained",
    ),
    (
        "shapes",
        [(PLUGIN, "    multiple = 2\n", "    multiple = 1\n")],
        r"upscaler of `predictor`: 19 x 26 pixels, padded to multiples of 1",
    ),
    (
        "range",
        [(PLUGIN, TO_UNIT, TO_UNIT.replace("/ 2", "* 127.5"))],
        r"upscaler of `tokenizer`: most of its values lie in",
    ),
    ("range", [(PLUGIN, TO_UNIT, TO_UNIT.replace("/ 2", "/ 0"))], r"NaN or infinity"),
    (
        "repeats",
        [(PLUGIN, TO_UNIT, f"F.dropout({TO_UNIT}, 0.5, training=True)")],
        r"two passes over one image differ by up to",
    ),
    (
        "batches",
        [(PLUGIN, TO_UNIT, TO_UNIT.replace("2 * image - 1", "F.batch_norm(image, None, None, training=True)"))],
        r"`tokenizer.encoder.0.0` gives for an image depends on what else is in the batch",
    ),
    (
        "batches",
        [(PLUGIN, TO_UNIT, TO_UNIT.replace("2 * image - 1", "2 * image.flip(0) - 1"))],
        r"`tokenizer.encoder.0.0` gives for an image depends on what else is in the batch",
    ),
    (
        "codes",
        [
            (
                PLUGIN,
                "        return self.tokenizer.encode(2 * image - 1).indices",
                "        return (self.tokenizer.encode(2 * image - 1).indices[0] + 16,)",
            )
        ],
        r"codes\(\): map 0 has indices 1\d .. \d+; expected 0 .. 15",
    ),
    (
        "codes",
        [
            (
                PLUGIN,
                "        return self.tokenizer.encode(2 * hr - 1).indices",
                "        return (self.tokenizer.encode(2 * hr - 1).indices[0][..., 1:],)",
            )
        ],
        r"codes_of_hr\(\): map 0 is .* expected \(1, ",
    ),
]

AT_IMPORT = """
print("hello")
torch.set_default_dtype(torch.float64)
torch.rand(1)
os.environ["KEPT"] = "1"
open(os.devnull, "w").close()
open(os.path.join(os.path.dirname(__file__), "left_behind"), "w").close()
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    prepare(DatasetSpec(source="skimage_train"), folder, True, lambda _: None)
    return folder


def changed(folder: Path, edits: list[Edit]) -> Path:
    """The template in a folder of its own, with some text replaced."""
    method = folder / "small_vq"
    shutil.copytree(TEMPLATE, method)
    for name, old, new in edits:
        text = (method / name).read_text()
        assert old in text, old
        (method / name).write_text(text.replace(old, new, 1))
    plugin = method / PLUGIN
    extra = "import os\nimport numpy as np\nimport torch\nfrom tvqsr.errors import UserError\n"
    plugin.write_text(
        plugin.read_text().replace("from torch import Tensor, nn\n", f"{extra}from torch import Tensor, nn\n")
    )
    return method


def failures(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.check: outcome.detail for outcome in outcomes if outcome.status == "failed"}


@pytest.mark.parametrize(("check", "edits", "message"), BAD, ids=[f"{n}-{bad[0]}" for n, bad in enumerate(BAD)])
def test_a_mistake_fails_the_check_for_it_and_no_other(
    check: str, edits: list[Edit], message: str, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Candidate, "store", store)
    monkeypatch.setattr(Candidate, "traces", TRACELESS)
    found = failures(check_method(changed(tmp_path, edits)))
    assert list(found) == [check], found
    assert re.search(message, found[check]), found[check]
    assert "\n" not in found[check]


def test_what_importing_a_plugin_leaves_behind_is_told(tmp_path: Path) -> None:
    method = changed(tmp_path, [(PLUGIN, "\n\ndef half", f"{AT_IMPORT}\n\ndef half")])
    traces = traces_of(method)[method]
    assert traces["printed"] == ["prints `hello`"]
    assert traces["touched"] == [f"writes {method / 'left_behind'}"]
    assert traces["state"] == [
        "changes torch's default dtype from torch.float32 to torch.float64",
        "changes torch's random state",
        "changes the environment (KEPT)",
    ]
    found = failures(check_method(method, ["neighbours"]))
    assert list(found) == ["import"]
    assert "plugin.py: when imported, it prints `hello`; remove the output" in found["import"]


def test_a_plugin_that_patches_others_is_told(tmp_path: Path) -> None:
    lines = "\nF.mse_loss = F.l1_loss\nVectorQuantizer.fill = None\n"
    method = changed(tmp_path, [(PLUGIN, "\n\ndef half", f"{lines}\n\ndef half")])
    # All that follows in this process would be computed with it, so nothing more is asked of it.
    found = failures(check_method(method))
    assert list(found) == ["neighbours"]
    assert "torch.nn.functional.mse_loss, tvqsr.nn.quantize.VectorQuantizer.fill" in found["neighbours"]


def test_a_plugin_that_cannot_be_imported_is_told_with_its_line(tmp_path: Path) -> None:
    found = failures(check_method(changed(tmp_path, [(PLUGIN, "\n\ndef half", "\n1 / 0\n\n\ndef half")])))
    assert list(found) == ["import"]
    assert re.search(r"plugin.py:\d+, in <module>: ZeroDivisionError: division by zero", found["import"])


def test_every_check_has_a_bad_method() -> None:
    assert {check.name for check in CHECKS} == {bad[0] for bad in BAD} | {"import", "neighbours"}
