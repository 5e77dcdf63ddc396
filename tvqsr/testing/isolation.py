"""Import a method's plugin in this process, and write what that did beside defining things: `ANSWER.json FOLDER ...`.

Run by `tvqsr.testing.code` as a process of its own, in an empty working directory.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import pickle
import pkgutil
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

import tvqsr.nn
from tvqsr.plan.method import Method, read_method
from tvqsr.plugins import load_plugin
from tvqsr.testing.outcome import told

STATE: dict[str, Callable[[], Any]] = {
    "torch's default dtype": torch.get_default_dtype,
    "torch's default device": torch.get_default_device,
    "torch's number of threads": torch.get_num_threads,
    "torch's gradient mode": torch.is_grad_enabled,
    "torch's anomaly detection": torch.is_anomaly_enabled,
    "torch's deterministic mode": torch.are_deterministic_algorithms_enabled,
    "torch's precision of matrix products": torch.get_float32_matmul_precision,
    "cuDNN's benchmark mode": lambda: torch.backends.cudnn.benchmark,
    "torch's random state": lambda: _hash(torch.get_rng_state().numpy().tobytes()),
    "numpy's random state": lambda: _hash(pickle.dumps(np.random.get_state())),  # noqa: NPY002  the global one is meant
    "numpy's error handling": np.geterr,
    "Python's random state": lambda: _hash(pickle.dumps(random.getstate())),
    "the environment": lambda: dict(os.environ),
    "the working directory": Path.cwd,
    "sys.path": lambda: list(sys.path),
    "logging": lambda: (logging.root.level, len(logging.root.handlers)),
    "signal handlers": lambda: [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
}
WATCHED = ("os.mkdir", "os.remove", "os.rename", "os.system", "socket.connect", "subprocess.Popen")
TORCH = Path(torch.__file__).parent
NEIGHBOURS = ("torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.random", "numpy")


def traces(folder: Path) -> dict[str, Any]:
    """What importing did: `error`, `printed`, `touched` (files, network, processes), `state`, `patched`."""
    method = read_method(folder)
    # Loaded before, so that it is seen if it is changed.
    for module in pkgutil.iter_modules(tvqsr.nn.__path__, "tvqsr.nn."):
        importlib.import_module(module.name)
    state, parts = {name: read() for name, read in STATE.items()}, _parts()
    touched: list[str] = []
    watching = [True]
    sys.addaudithook(lambda event, arguments: _note(event, arguments, folder, touched) if watching[0] else None)
    error, printed = _load(method)
    watching[0] = False
    after, parts_after = {name: read() for name, read in STATE.items()}, _parts()
    return {
        "error": error,
        "printed": [f"prints `{printed.strip().splitlines()[0]}`"] if printed.strip() else [],
        "touched": list(dict.fromkeys(touched)),
        "state": [f"changes {name}{_values(state[name], after[name])}" for name in STATE if state[name] != after[name]],
        "patched": sorted(name for name, value in parts.items() if parts_after.get(name, value) != value),
    }


def _load(method: Method) -> tuple[str | None, str]:
    """Import a plugin; its error, if any, and what came out of the process meanwhile."""
    error = None
    with tempfile.TemporaryFile() as output:
        sys.stdout.flush()
        sys.stderr.flush()
        kept = [(number, os.dup(number)) for number in (1, 2)]
        for number, _ in kept:
            os.dup2(output.fileno(), number)
        try:
            load_plugin(method)
        except Exception as problem:  # noqa: BLE001  whatever it raises is told
            error = told(problem, method.folder)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in kept:
                os.dup2(copy, number)
        output.seek(0)
        return error, output.read().decode(errors="replace")


def _note(event: str, arguments: tuple[Any, ...], folder: Path, touched: list[str]) -> None:
    if event == "open":
        path, mode, flags = arguments
        writes = any(sign in mode for sign in "wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not writes or "__pycache__" in str(path) or str(path) == os.devnull:
            return
        event = "writes"
    elif event not in WATCHED:
        return
    if _is_by(folder, sys._getframe()):
        touched.append(f"{event} {arguments[0]}" if event == "writes" else f"calls {event} ({arguments[0]})")


def _is_by(folder: Path, frame: FrameType | None) -> bool:
    """Whether a method's code does it, rather than a library that it imports: the innermost of the two counts."""
    while frame:
        file = frame.f_code.co_filename
        if Path(file).is_relative_to(folder):
            return True
        if "site-packages" in file:
            return False
        frame = frame.f_back
    return False


def _parts() -> dict[str, int]:
    """Identity of everything in the modules that methods share, and of the attributes of the classes there."""
    found = {}
    modules = [module for name, module in list(sys.modules.items()) if name in NEIGHBOURS or name.startswith("tvqsr.")]
    for module in modules:
        for name, value in _members(module).items():
            found[f"{module.__name__}.{name}"] = id(_unwrapped(value))
            if isinstance(value, type) and value.__module__.startswith(("torch.nn", "tvqsr.")):
                found |= {f"{value.__module__}.{value.__name__}.{key}": id(part) for key, part in vars(value).items()}
    return found


def _unwrapped(value: Any) -> Any:
    """The function inside a wrapper of torch's own: its compiler, once imported, wraps some of torch's functions."""
    by_torch = isinstance(value, FunctionType) and Path(value.__code__.co_filename).is_relative_to(TORCH)
    return getattr(value, "__wrapped__", value) if by_torch else value


def _members(module: ModuleType) -> dict[str, Any]:
    """What a module defines, but for submodules and its own bookkeeping."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("__") and not isinstance(value, ModuleType)
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _values(before: Any, after: Any) -> str:
    """The change of something short, or of the first key of a mapping."""
    if isinstance(before, dict):
        key = next(k for k in sorted({*before, *after}, key=str) if before.get(k) != after.get(k))
        return f" ({key})"
    short = (bool, int, str, Path, torch.dtype, torch.device)
    is_short = isinstance(before, short) and isinstance(after, short) and len(str(before)) < 64
    return f" from {before} to {after}" if is_short else ""


if __name__ == "__main__":
    found = [traces(Path(folder)) for folder in sys.argv[2:]]
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")
