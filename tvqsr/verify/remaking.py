"""Images of a bundle made again, in a process of its own: its settings and weights may want any memory and time.

Called as `python -m tvqsr.verify.remaking BUNDLE FOLDER < requests`: images go into the folder, a line of JSON for each
to stdout. Networks are this installation's code; weights are read as safetensors, which executes nothing.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tvqsr.data.images import write_png
from tvqsr.efficiency.cost import SIDES, macs
from tvqsr.efficiency.job import count, counted
from tvqsr.errors import UserError
from tvqsr.upscale.job import code_use, load_upscaler, make_image
from tvqsr.upscale.padding import padded
from tvqsr.verify.bundle import Bundle, read_bundle
from tvqsr.verify.names import test_names
from tvqsr.verify.outcome import MALFORMED
from tvqsr.verify.pixels import sound_pair

MEMORY = 12 * 2**30
"""Bytes that networks and images may take beside the libraries; a 2K photo through 60 M parameters takes some 8 GiB."""
THREADS = 64
"""Most CPU threads; a record may name more."""


def main(root: Path, folder: Path) -> None:
    """Answer the requests on stdin, one after the other; what cannot be made is told in its place."""
    _bound_memory()
    bundle = read_bundle(root)
    for number, request in enumerate(json.load(sys.stdin)):
        place = folder / str(number)
        try:
            for answer in _answers(bundle, request, place):
                _tell(number, answer)
        except UserError as error:
            _tell(number, {"wrong": str(error)})
        except (RuntimeError, *MALFORMED) as error:
            _tell(number, {"failure": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"})


def _bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _tell(number: int, answer: dict[str, Any]) -> None:
    print(json.dumps({"request": number, **answer}), flush=True)


def _answers(bundle: Bundle, request: dict[str, Any], place: Path) -> Iterator[dict[str, Any]]:
    """Each image of a request, and at its end what is known of the network and, of all images, the use of its codes."""
    torch.set_num_threads(min(max(request["threads"], 1), THREADS))
    entry = bundle.plan.entry(request["entry"])
    model, device = load_upscaler(bundle.plan, entry, request["seed"])
    use = code_use(model, entry)
    photos = test_names(bundle, request["testset"]) or {}
    for name in request["images"]:
        pair = sound_pair(bundle, request["testset"], photos[name])
        if pair is None:
            raise UserError(f"{name}: its photo is missing or changed")
        pixels, about = make_image(model, device, entry, pair, use)
        write_png(place / f"{name}.png", pixels)
        yield {"image": name, "file": str(place / f"{name}.png"), "index_accuracy": about["index_accuracy"]}
    side = SIDES[entry.reads]
    with torch.inference_mode():
        number = macs(lambda: padded(model, torch.zeros(1, 3, side, side), model.multiple))
    yield {
        "parameters": count(model),
        "counted": counted(model),
        "macs": number or None,
        "codes": use.summary() if use and set(request["images"]) == photos.keys() else None,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
