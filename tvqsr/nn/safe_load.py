"""Tensors of other people's checkpoints, read so that nothing in them is ever executed."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tvqsr.errors import UserError


def read_safely(path: Path) -> Any:
    """What a checkpoint holds, on the CPU: safetensors by the file's ending, else torch's format, tensors only.

    Raises UserError, without the path, for a file that holds anything that would have to be run, or is damaged.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # Torch announces that it would run a TorchScript archive, and then refuses to.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # Torch's own words advise to run what is in the file.
        raise UserError("holds more than tensors, or is no checkpoint; nothing in it was run") from None
    except (RuntimeError, EOFError, KeyError, ValueError, OSError, SafetensorError) as error:
        raise UserError(f"is damaged or no checkpoint ({str(error).splitlines()[0]})") from None
