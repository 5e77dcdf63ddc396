"""What Pillow raises for an image file that is damaged: the one list for all who open one."""

from __future__ import annotations

import struct

from PIL import Image

UNDECODABLE: tuple[type[Exception], ...] = (
    # Seen of 320 000 damaged files in 17 formats. UnidentifiedImageError is an OSError.
    *(OSError, SyntaxError, ValueError, Image.DecompressionBombError),
    # AVIF's decoder, and kinds of DDS that Pillow does not know.
    RuntimeError,
    # What Pillow takes for damage in a file's first header, but lets through later: from a TIFF's next frame, say.
    *(TypeError, IndexError, KeyError, EOFError, struct.error),
)
