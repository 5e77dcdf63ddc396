"""What the page carries inside: its own style and scripts, the libraries, and data as JSON."""

from __future__ import annotations

import base64
import gzip
import json
from importlib.resources import files
from typing import Any

from markupsafe import Markup

SCRIPTS = ("core", "theme", "tables", "look", "plots", "distribution", "main")
"""Files of `templates/js`, which share one scope."""
LIBRARIES = {
    "plotly": ("plotly", "package_data/plotly.min.js"),
    "datatables": ("itables", "html/dt_bundle.js"),
}
"""Name -> package and file: plotly.js and DataTables, each MIT, as their Python packages ship them."""


def assets() -> dict[str, Any]:
    """Style, script and packed libraries, ready to be put into the page."""
    templates = files("tvqsr.report") / "templates"
    script = "\n".join((templates / "js" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    style = (templates / "report.css").read_text(encoding="utf-8")
    return {"style": Markup(style), "script": Markup(script), "libraries": {name: packed(name) for name in LIBRARIES}}  # noqa: S704


def packed(library: str) -> str:
    """A library as base64 of gzip, a third of its size, which the browser unpacks; the same bytes every time."""
    package, path = LIBRARIES[library]
    return base64.b64encode(gzip.compress(files(package).joinpath(path).read_bytes(), mtime=0)).decode()


def embedded(value: Any) -> Markup:
    """JSON for a `<script type="application/json">`, in which no text can end the script; NaN is refused."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # noqa: S704
