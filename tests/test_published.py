"""Every number that the collected facts report is a claim: their tables and lists are read here anew, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from tests.conftest import shared
from tvqsr.plan.claim_files import claim_files
from tvqsr.report.claim_files import read_claims

Published = tuple[str, str, str, float]
"""(entry, data set, protocol, number)."""


@cache
def stated() -> frozenset[Published]:
    """All that the files of claims state."""
    return frozenset(
        (entry, claim.dataset, claim.protocol, value)
        for file in claim_files({})
        for claim in read_claims(file.path)
        for entry, value in claim.reported.items()
        if value is not None
    )


def section(name: str, start: str, end: str) -> str:
    """Part of a file of facts, from the line that begins with `start` to the one that begins with `end`."""
    text = shared("facts", name).read_text(encoding="utf-8")
    first = re.search(rf"(?m)^{re.escape(start)}", text)
    assert first, start
    last = re.compile(rf"(?m)^{re.escape(end)}").search(text, first.end())
    assert last, end
    return text[first.start() : last.start()]


def grid(text: str) -> Iterator[tuple[str, ...]]:
    """Rows of the Markdown tables in a text, without rules and bold type."""
    for line in text.splitlines():
        if line.startswith("|") and not re.match(r"\|[-| ]+$", line):
            yield tuple(cell.strip().strip("*").strip() for cell in line.strip().strip("|").split("|"))


def numbers(cell: str) -> list[float]:
    return [float(part) for part in re.split(r"\s*/\s*", cell.replace("%", "").replace("ms", "").replace("M", ""))]


def missing(expected: list[Published]) -> list[Published]:
    return [row for row in expected if row not in stated()]


TVQRAP, BASELINES = "tvqrap.md", "baselines.md"
RIVALS = dict(
    line.split(" = ")
    for line in """ESRGAN = esrgan_released
Real-ESRGAN = realesrgan
RealSR-JPEG = realsr_jpeg
BSRGAN = bsrgan
SwinIR = swinir_real
DASR = dasr
LDM-30 = ldm_30
LDM-15 = ldm_15
ResShift-15 = resshift
ResShift = resshift
SinSR (distill only) = sinsr_distill
SinSR-1 = sinsr
SinSR = sinsr
CTMSR = ctmsr
RSD = rsd
SUPIR = supir
OSEDiff = osediff
AdcSR = adcsr
PiSA-SR = pisa_sr
TSD-SR = tsd_sr
InvSR = invsr
CCSR = ccsr
UPSR-5 = upsr
FeMaSR = femasr_released
TVQ&RAP = tvqrap
KX-Net = kx_net
AdaCode = adacode""".splitlines()
)
WHOLE = ("psnr_y", "ssim_y_pyiqa", "lpips_alex", "clipiqa", "musiq")


def test_the_paper_and_its_rivals() -> None:
    expected: list[Published] = []
    main = ("lpips_alex", "dists", "clipiqa", "musiq", "maniqa", "fid")
    for label, *cells in list(grid(section(TVQRAP, "### 5.1", "### 5.2")))[1:]:
        for protocol, cell in zip(main, cells, strict=True):
            expected.append((RIVALS[label], "imagenet_test", protocol, float(cell.strip("*"))))
    for label, *cells in list(grid(section(TVQRAP, "### 5.3", "### 5.4")))[1:]:
        found = [numbers(cell.strip("*"))[0] for cell in cells]
        costs = ("milliseconds", "parameters_m", "lpips_alex", "musiq", "clipiqa")
        # The digest's table of costs has one digit more than the main one; TVQ&RAP's are those of its ablation.
        expected += [
            (RIVALS[label], "input_64" if p in costs[:2] else "imagenet_test", p, v)
            for p, v in zip(costs, found, strict=True)
        ]
    assert len(expected) == 4 * 6 + 4 * 5
    assert not missing(expected)


def test_the_papers_ablations() -> None:
    expected: list[Published] = []
    protocols = ("psnr_y", "lpips_alex", "fid")
    for label, *cells in list(grid(section(TVQRAP, "### 5.4", "### 5.5")))[1:]:
        name = {"vanilla VQ": "vq", "TVQ": "tvq"}[label]
        for number, cell in enumerate(cells):
            entry = f"{name}_rec" if number < 3 else name
            expected.append((entry, "imagenet_test", protocols[number % 3], float(cell)))
    sizes = ("_quarter", "_half", "", "_eightfold")
    for label, *cells in list(grid(section(TVQRAP, "### 5.5", "### 5.6")))[1:]:
        expected += [
            (f"{label.lower()}_rec{size}", "imagenet_test", "fid", float(v))
            for size, v in zip(sizes, cells, strict=True)
        ]
    rap = ("index_accuracy", "dists", "lpips_alex", "fid", "clipiqa", "musiq")
    for label, *cells in list(grid(section(TVQRAP, "### 5.6", "### 5.7")))[1:]:
        entry = "tvq" if label == "code-level only" else "tvqrap"
        values = [float(cells[0].strip("%")) / 100, *map(float, cells[1:])]
        expected += [(entry, "imagenet_test", p, round(v, 6)) for p, v in zip(rap, values, strict=True)]
    assert len(expected) == 12 + 8 + 12
    assert not missing(expected)


def test_tables_of_rsd() -> None:
    expected: list[Published] = []
    for label, _, *cells in list(grid(section(TVQRAP, "### 7.1", "### 7.2")))[1:]:
        for protocol, cell in zip((*WHOLE, "fid"), cells, strict=True):
            if cell:
                expected.append((RIVALS[label], "imagenet_test", protocol, float(cell)))
    for label, realsr, realset in list(grid(section(TVQRAP, "### 7.2", "### 7.3")))[1:]:
        expected += [(RIVALS[label], "realsr", p, v) for p, v in zip(WHOLE, numbers(realsr), strict=True)]
        expected += [(RIVALS[label], "realset65", p, v) for p, v in zip(WHOLE[3:], numbers(realset), strict=True)]
    crops = (
        "psnr_y", "ssim_y", "lpips_alex", "dists", "niqe", "musiq", "maniqa_pipal", "clipiqa", "fid",
    )  # fmt: skip
    sets = {"DIV2K-Val": "stablesr_div2k", "DRealSR": "stablesr_drealsr", "RealSR": "stablesr_realsr"}
    testset = ""
    for label, method, cell in list(grid(section(TVQRAP, "### 7.3", "### 7.4")))[1:]:
        testset = sets.get(label, testset)
        expected += [(RIVALS[method], testset, p, v) for p, v in zip(crops, numbers(cell), strict=True)]
    assert len(expected) == (20 * 5 + 10) + 12 * 7 + 14 * 9
    assert not missing(expected)


def test_tables_of_adacode() -> None:
    expected: list[Published] = []
    protocols = ("psnr_yiq", "ssim_yiq", "lpips_alex")
    sets = {"Set5": "set5", "Set14": "set14", "BSD100": "bsds100", "BSDS100": "bsds100"} | {
        name: name.lower() for name in ("Urban100", "Manga109")
    }
    for text, methods in (
        (section(TVQRAP, "### 7.4", "### 7.5"), ("FeMaSR", "Real-ESRGAN", "AdaCode")),
        (section(BASELINES, "Table 2, x4", "x2: "), ("FeMaSR", "KX-Net", "Real-ESRGAN", "AdaCode")),
    ):
        for label, *cells in list(grid(text))[1:]:
            for method, cell in zip(methods, cells, strict=True):
                values = zip(protocols, numbers(cell), strict=True)
                expected += [(RIVALS[method], f"{sets[label]}_bsrgan", p, v) for p, v in values]
    twice = section(BASELINES, "x2: ", "Reconstruction on OST300")
    found = re.findall(r"\d+\.\d+/\.\d+/\.\d+", twice)
    for number, values in enumerate(found):
        entry, key = ("femasr_released", "adacode")[number // 5], list(dict.fromkeys(sets.values()))[number % 5]
        expected += [(entry, f"{key}_x2", p, v) for p, v in zip(protocols, numbers(values), strict=True)]
    rec = section(BASELINES, "Reconstruction on OST300", "Minimal plug-in")
    entries = ("femasr_rec", "femasr_rec_merged", "adacode_rec")
    for entry, values in zip(entries, re.findall(r"\d+\.\d+/\.\d+", rec), strict=True):
        expected += [(entry, "ost300", p, v) for p, v in zip(protocols[:2], numbers(values), strict=True)]
    assert len(expected) == 5 * 9 + 5 * 12 + 30 + 6
    assert not missing(expected)


AESOP_SETS = {
    "Set14": "set14",
    "Manga109": "manga109",
    "General100": "general100",
    "Urban100": "urban100",
    "DIV2K-val": "div2k_valid",
    "DIV2K": "div2k_valid",
    "BSD100": "bsds100",
    "LSDIR": "lsdir250",
}


def test_tables_of_aesop() -> None:
    networks = ["esrgan", "spsr", "ldl", "aesop", "aesop_256", "swinir_gan", "ldl_swinir", "aesop_swinir_200k"]
    networks.append("aesop_swinir")
    protocols = {"LPIPS": "lpips_alex", "DISTS": "dists", "PSNR": "psnr_y", "SSIM": "ssim_y"}
    expected: list[Published] = []
    protocol = ""
    for metric, testset, *cells in list(grid(section(BASELINES, "### 1.8", "Bias metrics")))[1:]:
        protocol = protocols.get(metric, protocol)
        for entry, cell in zip(networks, cells, strict=True):
            if cell != "-":
                expected.append((entry, AESOP_SETS[testset], protocol, float(cell)))
    bias = section(BASELINES, "Bias metrics", "Cross-check").split("LR-PSNR same order")
    for protocol, text in zip(("ae_psnr", "lr_psnr"), bias, strict=True):
        plain = re.sub(r"(?<=[ /])(ESRGAN|SPSR|LDL|AESOP) ", "", text).replace(", ", "/")
        for testset, values in re.findall(r"(\w+) (\d+\.\d+/\d+\.\d+/\d+\.\d+/\d+\.\d+)", plain):
            four = zip(("esrgan", "spsr", "ldl", "aesop"), numbers(values), strict=True)
            expected += [(entry, AESOP_SETS[testset], protocol, v) for entry, v in four]
    assert len(expected) == 4 * (7 * 9 - 2) + 2 * 7 * 4
    assert not missing(expected)


SECTIONS = [
    (TVQRAP, "### 5.1", "### 5.7"),
    (TVQRAP, "### 7.1", "### 7.6"),
    (BASELINES, "### 1.8", "---"),
    (BASELINES, "### 2.4", "---"),
    (BASELINES, "Table 2, x4", "Minimal plug-in"),
    (BASELINES, "SimVQ's comparison", "Field reports"),
    (BASELINES, "Numbers seen", "Testing degradation"),
]
"""Where the facts tell results."""
NO_CLAIMS: dict[str, set[float]] = {
    "ratios and differences of numbers that are claims, and a gap between two lumas": {5.5, 16.5, 5.1, 1.32},
    "sizes of images, crops and codebooks": {2, 32, 64, 128, 256, 512, 1024, 8192, 64000, 65536, 262144, 198061},
    "steps, GPUs, batches, borders and names of GPUs": {4, 5, 10, 50, 4090},
    "the auto-encoder inside 174 M, and hours of each of four GPUs": {55, 58},
    "sections of the facts": {5.3, 5.4, 7.2, 7.3},
    "the same numbers, rounded, of another place": {61.58, 62.17, 59.87, 5.789, 27.42, 26.15},
}
"""Numbers in these sections that are no claims, and why."""


def tokens(text: str) -> Iterator[float]:
    """Plain numbers of a text: not those inside names (Set5, x4, ResShift-15), addresses, sources or headings."""
    text = re.sub(r"(?m)^#.*$|^\|[-| ]+$|\[[^\]]*\]|\{[^}]*\}|https?://\S+|arXiv \S+", " ", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"[A-Za-z&]\w*-\d+\b|\b[A-Za-z]+\d\w*|\d+[kK]\b|\d+ ?×", " ", text)
    yield from map(float, re.findall(r"(?<![\w.,])\d*\.?\d+(?=[MGs%]?(?:[^\w.]|\.(?!\d)|$))", text))


def test_no_number_of_the_results_is_left_out() -> None:
    """The net below the readings above: each number of these sections is a claim's, in the same unit or another."""
    values = {value for *_, value in stated()}
    units = values | {round(value * 100, 6) for value in values} | {round(value / 1000, 6) for value in values}
    known = units | {round(value, 3) for value in units}
    found = [number for name, start, end in SECTIONS for number in tokens(section(name, start, end))]
    assert len(found) > 1000
    excused = {number for numbers in NO_CLAIMS.values() for number in numbers}
    assert set(found) - known == excused
