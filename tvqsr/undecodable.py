"""What Pillow raises for an image file that is damaged: the one list for all who open one."""

from __future__ import annotations

import struct

from PIL import Image

UNDECODABLE: tuple[type[Exception], ...] = (
    # UnidentifiedImageError is an OSError.
    *(OSError, SyntaxError, ValueError, EOFError),
    # What Pillow takes for damage in a first header, but lets through from a TIFF's next frame (`n_frames`).
    *(IndexError, KeyError, TypeError, struct.error),
    # Rates and sizes of zero; kinds of a format that are not made out; sides that no photo has.
    *(ArithmeticError, NotImplementedError, Image.DecompressionBombError),
)
