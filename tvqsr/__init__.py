"""Reproduction and benchmark suite of texture vector-quantised super-resolution (TVQ&RAP, arXiv 2509.23774)."""

import os

__version__ = "0.1.0"

# The libraries of metrics and losses let torch run what is in a file of weights; torch obeys this rather than them.
os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
