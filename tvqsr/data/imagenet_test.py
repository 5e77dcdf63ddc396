"""ImageNet-Test of ResShift made anew: its choice and its cut of ImageNet's validation photos.

Sources: zsyOAOA/ResShift, scripts/prepare_testing_imagenet_sr.py and basicsr/data/realesrgan_dataset.py. Python's
generator, seeded with 10000, first shuffles a list of all photos, not used any further, and then draws 3000 of the
sorted list. Each is resized bilinearly, as OpenCV does, until its shorter side has 256 pixels, and cut to the square
in the middle. The degradation that follows there is not seeded: LR of the same photos is another draw here.

The authors sort whole paths; where photos lie in folders by class, that is another order. Here they are sorted by file
name, which is the order of one flat folder (an assumption, since nothing tells how theirs lay).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from tvqsr.data.images import Pixels, read_image, to_pixels, write_png
from tvqsr.data.resize import resize

SEED = 10000
SIDE = 256


def write_imagenet_test(files: Sequence[Path], count: int, folder: Path, report: Callable[[str], None]) -> None:
    """Write the chosen photos as PNGs of 256 x 256 pixels, named like the files that they are cut from."""
    chosen = choose([file.name for file in files], count)
    by_name = {file.name: file for file in files}
    for number, name in enumerate(chosen):
        if number % 500 == 0:
            report(f"ImageNet-Test: photo {number + 1} of {count}")
        write_png(folder / f"{Path(name).stem}.png", central_square(read_image(by_name[name])))


def choose(names: Sequence[str], count: int) -> list[str]:
    """The photos that the released script draws of `names`, in any order given."""
    ordered = sorted(names)
    generator = random.Random(SEED)  # noqa: S311 (the authors' draw, nothing secret)
    generator.shuffle(list(ordered))
    return generator.sample(ordered, count)


def central_square(pixels: Pixels) -> Pixels:
    """(H, W, 3) resized to a shorter side of 256 and cut to (256, 256, 3) in the middle."""
    height, width = pixels.shape[:2]
    scale = SIDE / min(height, width)
    size = (round(height * scale), round(width * scale))
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
    resized = resize(image, size, "bilinear")[0].permute(1, 2, 0).numpy()
    top, left = ((length - SIDE) // 2 for length in size)
    return to_pixels(resized[top : top + SIDE, left : left + SIDE])
