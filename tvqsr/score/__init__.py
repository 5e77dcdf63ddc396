"""Scores, computed from the PNGs on disk under named protocols."""
