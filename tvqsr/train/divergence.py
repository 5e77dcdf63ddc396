"""A training that runs away without a number that is not finite, as GANs do: told, and marked in its curve."""

from __future__ import annotations

from statistics import median

from tvqsr.console import say

TIMES = 100.0
"""How many times as large as usual a term must be."""
LEAST = 10
"""Logged steps before anything counts as usual."""
COLUMN = "diverging"
"""Of the curve, where a term diverges: how many times as large as usual the worst one is."""


class Divergence:
    """Compares each logged loss term with what its player's terms usually add up to.

    Usual is the largest median, so far, of a player's sum of absolute terms: a discriminator that has won for a while,
    and whose loss is next to nothing, does not make an ordinary loss look large.
    """

    def __init__(self, label: str, curve: list[dict[str, float]]) -> None:
        self.label = label
        self.sums: dict[str, list[float]] = {}
        self.usual: dict[str, float] = {}
        self.told: set[str] = set()
        for row in curve:
            self.told |= self._beyond(row).keys()
            self._learn(row)

    def mark(self, row: dict[str, float]) -> None:
        """Put `diverging` into a row of the curve (`step` and terms as `player/name`) whose terms are far beyond."""
        beyond = self._beyond(row)
        if beyond:
            row[COLUMN] = round(max(beyond.values()), 1)
        for term in beyond.keys() - self.told:
            say(
                f"[{self.label}] {term} is {row[term]:.4g} at step {row['step']:.0f}, {beyond[term]:.0f} times as much "
                f"as is usual: the training diverges; it goes on, and its curve and record say so"
            )
        self.told |= beyond.keys()
        self._learn(row)

    def _beyond(self, row: dict[str, float]) -> dict[str, float]:
        """Terms over `TIMES` times the usual, and how many times."""
        times = {
            term: abs(value) / self.usual[player]
            for term, value in row.items()
            if (player := term.partition("/")[0]) in self.usual and "/" in term
        }
        return {term: factor for term, factor in times.items() if factor > TIMES}

    def _learn(self, row: dict[str, float]) -> None:
        players = {term.partition("/")[0] for term in row if "/" in term}
        for player in players:
            of_player = [abs(value) for term, value in row.items() if term.startswith(f"{player}/")]
            sums = self.sums.setdefault(player, [])
            sums.append(sum(of_player))
            if len(sums) >= LEAST and (middle := median(sums)) > self.usual.get(player, 0.0):
                self.usual[player] = middle


def first_divergence(curve: list[dict[str, float]]) -> dict[str, float] | None:
    """The first row of a curve that is marked: its step and how many times as large as usual; None if none is."""
    marked = [row for row in curve if COLUMN in row]
    return {"step": marked[0]["step"], "times": marked[0][COLUMN], "logged": len(marked)} if marked else None
