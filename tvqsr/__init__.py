"""Reproduction and benchmark suite of texture vector-quantised super-resolution (TVQ&RAP, arXiv 2509.23774)."""

__version__ = "0.1.0"
