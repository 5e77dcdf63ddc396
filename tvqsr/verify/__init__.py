"""Checking somebody's results: of another commit, machine or person, whole or in part, without a GPU.

Nothing of a bundle is executed or unpickled, and no path in it is followed out of it.
"""
