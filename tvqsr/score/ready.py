"""Whether a protocol can be computed here; its network is loaded then."""

from __future__ import annotations

from pickle import UnpicklingError

from scipy.io.matlab import MatReadError

from tvqsr.errors import UserError
from tvqsr.loading import NOT_LOADED, why_not_loaded
from tvqsr.plan.protocols import ABSENT, unavailable, weights_of
from tvqsr.plan.pyiqa_metrics import PREFIX
from tvqsr.score.any_metric import FAILURES, no_network
from tvqsr.score.protocol import Protocol
from tvqsr.score.weights import fetch

DAMAGED = (*NOT_LOADED, MatReadError)
"""What loading raises where weights are not what they should be; NIQE's are a file of MATLAB's."""


def why_not(protocol: Protocol, downloads: bool, device: str) -> str | None:
    """Why a protocol cannot be computed here, or None; its network is ready then.

    Raises UserError for weights that are here but damaged.
    """
    if protocol.name.startswith(PREFIX):
        return _why_not_by_pyiqa(protocol, downloads, device)
    reason = unavailable(protocol.name, downloads) or fetch(protocol.name)
    if reason is None and protocol.load:
        try:
            protocol.load(device)
        except DAMAGED as error:
            why, files = why_not_loaded(error), ", ".join(str(file.target) for file in weights_of(protocol.name))
            raise UserError(
                f"{protocol.name}: cannot be loaded ({why}); if its weights are damaged, replace {files}"
            ) from None
    return reason


def _why_not_by_pyiqa(protocol: Protocol, downloads: bool, device: str) -> str | None:
    """The same where nobody but pyiqa knows which weights there are."""
    assert protocol.load
    try:
        if downloads:
            protocol.load(device)
        else:
            with no_network():
                protocol.load(device)
    except (*DAMAGED, *FAILURES) as error:
        allow = "; allow downloads (`downloads: true` in the preset, `--download` of `tvqsr score`)"
        remedy = "" if downloads or isinstance(error, UnpicklingError) else allow
        name, why = protocol.name.removeprefix(PREFIX), why_not_loaded(error)
        return f"{ABSENT} or unfit: pyiqa cannot load `{name}` ({why}){remedy}"
    return None
