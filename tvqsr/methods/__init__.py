"""The paper's own method and the controls.

Rivals live in `baselines/`; both are folders with `method.yaml` and `plugin.py`.
"""
