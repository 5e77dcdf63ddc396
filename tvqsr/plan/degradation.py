"""The degradations by name, for planning: what they draw is in `tvqsr.data.degrade`."""

from __future__ import annotations

from typing import Literal

RandomDegradation = Literal["realesrgan", "aesop", "tvqrap", "resshift_test", "bsrgan", "bsrgan_plus"]
"""Drawn anew for every image: by Real-ESRGAN's second-order pipeline as published, AESOP's milder one, or TVQ&RAP's,
which half the time stops after the first order; by ResShift's test degradation; by BSRGAN's, whose operators come in
random order, or its extended one."""

Degradation = Literal["bicubic", RandomDegradation]
"""The above, or MATLAB's antialiased bicubic."""
