"""Loading a method's `plugin.py` from its folder, wherever that lies."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from typing import TYPE_CHECKING, cast

from tvqsr.errors import UserError
from tvqsr.plan.method import Method

if TYPE_CHECKING:
    from tvqsr.contract import Plugin

GIVEN = {"nothing": "upscaler", "checkpoint": "given_upscaler", "images": "given_images"}
"""What `plugin.py` must have for a method without stages, by what it is given."""


def load_plugin(method: Method) -> Plugin:
    """Import `plugin.py` of a method as a package of its own.

    So it may import its neighbours (`from .tokenizer import Tokenizer`).
    Raises UserError where the file is missing or lacks a function of the contract.
    """
    path = method.plugin
    if not path.is_file():
        raise UserError(f"{path}: missing; a method is a folder with method.yaml and plugin.py")
    package = f"tvqsr_method_{method.name}"
    if package in sys.modules and list(sys.modules[package].__path__) != [str(method.folder)]:
        # Another folder's method of the same name: a checkout's and a copy of it, in one process.
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(method.folder)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        plugin = importlib.import_module(f"{package}.plugin")
    except (SyntaxError, ImportError) as error:
        raise UserError(f"{path}: cannot be imported ({error})") from error
    wanted = ["stage", "upscaler"] if method.spec.stages else [GIVEN[method.spec.given or "nothing"]]
    if any(stage.released for stage in method.spec.stages.values()):
        wanted.append("released")
    for function in wanted:
        if not callable(getattr(plugin, function, None)):
            raise UserError(f"{path}: has no function `{function}`; see tvqsr/contract.py")
    return cast("Plugin", plugin)
