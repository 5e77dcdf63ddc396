"""The conformance suite: what every method must do for its results to be worth comparing, as checks over a plugin.

`tvqsr check-method` runs it on the command line; a method's own test calls `check_method`. Nothing here needs pytest.
"""

from tvqsr.testing.outcome import Outcome
from tvqsr.testing.suite import CHECKS, check_method

__all__ = ["CHECKS", "Outcome", "check_method"]
