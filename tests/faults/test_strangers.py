"""Nothing of a stranger's is executed, no name breaks a page, no path leaves its folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command
from tests.harm import Harm
from tvqsr.files import read_json, write_json

ALLOWED = {
    ("tvqsr/plan/schema.py", "yaml.load"): "with a loader made of yaml.SafeLoader, tested below",
    (
        "tvqsr/testing/isolation.py",
        "pickle.dumps",
    ): "state of random generators, to compare; nothing is read",
    ("tvqsr/testing/candidate.py", "pickle.dumps"): "the same",
    ("tests/test_tolerance.py", "yaml.load"): "with yaml.BaseLoader, which makes text of everything",
    ("tests/test_released.py", "pickle.dumps"): "makes the harmful checkpoint that must be refused",
}
"""Calls that look dangerous, and why they are not."""
RUNS_CODE = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "yaml.load_all", "pickle.load", "pickle.loads", "pickle.dumps", "pickle.Unpickler", "dill.load", "dill.loads",
    "cloudpickle.load", "cloudpickle.loads", "joblib.load", "shelve.open", "marshal.load", "marshal.loads",
    "pd.read_pickle", "pandas.read_pickle", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter",
}  # fmt: skip
MUST_SAY = {
    ("torch.load", "weights_only"): True,
    ("np.load", "allow_pickle"): False,
    ("numpy.load", "allow_pickle"): False,
}
"""Calls that are safe only with an argument of that value. numpy's default is safe; ours say so."""


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or an attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def dangers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each call that may run what it reads."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in RUNS_CODE or any(_is(k, "shell", True) or _is(k, "trust_remote_code", True) for k in node.keywords):
            yield node.lineno, name
        for (function, keyword), value in MUST_SAY.items():
            if name == function and not any(_is(given, keyword, value) for given in node.keywords):
                yield node.lineno, name


def _is(given: ast.keyword, name: str, value: object) -> bool:
    return given.arg == name and isinstance(given.value, ast.Constant) and given.value.value is value


def sources() -> list[Path]:
    folders = ("tvqsr", "baselines", "tests")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_code_of_ours_executes_what_it_reads() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), name): line
        for path in sources()
        for line, name in dangers(ast.parse(path.read_text(encoding="utf-8")))
    }
    unknown = {f"{file}:{line}: {name}" for (file, name), line in found.items() if (file, name) not in ALLOWED}
    assert not unknown
    assert not set(ALLOWED) - set(found), "no longer there: take the reason out"


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "pickle.load(file)",
        "pd.read_pickle(path)",
        "subprocess.run(words, shell=True)",
        "eval(text)",
        "yaml.load(text, Loader)",
    ],
)
def test_the_scan_sees(code: str) -> None:
    assert len(list(dangers(ast.parse(code)))) == 1


def test_names_from_modules_that_run_code_are_not_imported_singly() -> None:
    """`from pickle import load` would pass the scan above."""
    modules = {name.rpartition(".")[0] for name in RUNS_CODE} | {"torch"}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in modules and not node.level:
                named = {f"{node.module}.{alias.name}" for alias in node.names}
                assert not named & (RUNS_CODE | {"torch.load"}), path


def test_the_workflow_runs_commands_of_ours_alone() -> None:
    for path in [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]:
        text = path.read_text(encoding="utf-8")
        assert not [word for word in ("eval(", "exec(", "pickle", "shell=True", "os.system") if word in text], path


CARELESS = {
    "lpips_alex": ["checkpoints/alexnet-owt-7be5be79.pth"],
    "musiq": ["pyiqa/musiq_koniq_ckpt-e95806b9.pth"],
    "pyiqa:brisque": ["pyiqa/brisque_svm_weights.pth"],
    "pyiqa:musiq": ["pyiqa/musiq_koniq_ckpt-e95806b9.pth"],
}
"""Protocols whose library lets torch run what is in a file, and the files below torch's hub folder."""


@pytest.mark.parametrize("protocol", CARELESS)
def test_weights_of_metrics_run_nothing(copy: Path, tvqsr: Command, torch_home: Path, protocol: str) -> None:
    import torch

    for name in CARELESS[protocol]:
        file = torch_home / "hub" / name
        file.parent.mkdir(exist_ok=True)
        torch.save({"params": Harm()}, file)
    photos = copy / "data" / "photos_test" / "HR"
    result = tvqsr("score", "--sr", photos, "--hr", photos, "--crop", "4", "--protocol", protocol)
    assert not Path("harmed").exists()
    assert "nothing in it was run" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["alexnet-owt-7be5be79.pth", "vgg19-dcbb9e9d.pth"])
def test_weights_of_losses_run_nothing(torch_home: Path, workspace: Path, name: str) -> None:
    import torch

    from tvqsr.errors import UserError
    from tvqsr.nn.perceptual import PerceptualLoss
    from tvqsr.nn.vgg_loss import VggLoss

    (torch_home / "hub" / "checkpoints").mkdir()
    torch.save({"features.0.weight": Harm()}, torch_home / "hub" / "checkpoints" / name)
    with pytest.raises(UserError) as told:
        VggLoss("conv1_2:1") if "vgg" in name else PerceptualLoss("alex", "plain")
    assert not (workspace / "harmed").exists()
    assert "nothing in it was run" in str(told.value)


def test_our_yaml_makes_nothing_but_plain_values(tmp_path: Path) -> None:
    from tvqsr.errors import UserError
    from tvqsr.plan.schema import read_yaml

    path = tmp_path / "a.yaml"
    path.write_text(f"a: !!python/object/apply:os.mkdir [{tmp_path}/made]\n")
    with pytest.raises(UserError, match="is not valid YAML"):
        read_yaml(path)
    assert not (tmp_path / "made").exists()


OUTSIDE = ["../../../outside", "/tmp/outside", "a/../../../../outside", "..", "a/b", ".hidden/../../x"]  # noqa: S108


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_photos_name_in_a_manifest_leads_nowhere_else(copy: Path, tvqsr: Command, name: str) -> None:
    path = copy / "data" / "photos_test" / "manifest.json"
    manifest = read_json(path)
    manifest["images"][0]["name"] = name
    write_json(path, manifest)
    before = everything(copy.parents[1])
    for words in (("upscale-entry", "bicubic"), ("score-entry", "bicubic")):
        result = tvqsr(words[0], copy, words[1], "photos_test")
        assert result.returncode == 2, result.stderr
        assert "tvqsr: error: " in result.stderr and "Traceback" not in result.stderr
    beyond = everything(copy.parents[1]) - before
    assert not [file for file in beyond if not file.is_relative_to(copy)]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["entries", "runs"])
def test_a_name_in_a_plan_leads_nowhere_else(copy: Path, tvqsr: Command, kind: str, name: str) -> None:
    plan = read_json(copy / "plan.json")
    old = next(iter(plan[kind]))
    plan[kind][name] = plan[kind].pop(old)
    write_json(copy / "plan.json", plan)
    before = everything(copy.parents[1])
    step = ("upscale-entry", copy, name, "photos_test") if kind == "entries" else ("train", copy, name)
    result = tvqsr(*step)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert everything(copy.parents[1]) == before


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("key", ["datasets", "test_on", "name"])
def test_a_set_or_a_preset_of_such_a_name_is_refused(copy: Path, tvqsr: Command, key: str) -> None:
    plan = read_json(copy / "plan.json")
    if key == "name":
        plan["name"] = "../../other"
    elif key == "datasets":
        plan["preset"]["datasets"]["../x"] = plan["preset"]["datasets"]["photos_test"]
    else:
        plan["preset"]["test_on"] = ["../../x"]
    write_json(copy / "plan.json", plan)
    result = tvqsr("table", copy, "main")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
