"""A value that is not finite in one process's share of a batch: it is of which step, and of which term."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, local

import pytest
import torch
from torch import Tensor

from tvqsr.train.guard import Guard, NotFiniteError

Told = tuple[str, int]
NAN, INF = float("nan"), float("inf")


class Shares:
    """Stands in for torch's processes by threads: what one gives to a sum or a minimum waits for the other's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: list[Tensor] = [torch.empty(0)] * 2
        self.barrier, self.mine = Barrier(2, timeout=10), local()
        monkeypatch.setattr("tvqsr.train.guard.min_over_processes", lambda own: self._all(own).amin(0))
        monkeypatch.setattr("tvqsr.train.guard.sum_over_processes", lambda own: self._all(own).sum(0))

    def _all(self, own: Tensor) -> Tensor:
        self.given[self.mine.rank] = own
        self.barrier.wait()
        both = torch.stack(self.given)
        self.barrier.wait()
        return both

    def told(self, *steps: dict[int, dict[str, float]]) -> list[Told]:
        """What the guard of each of two processes tells, given the losses that are not 1 in its share, by step."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self._watch, range(2), steps))

    def _watch(self, rank: int, spoilt: dict[int, dict[str, float]]) -> Told:
        self.mine.rank, guard = rank, Guard("test")
        for step in range(8):
            values = {"pixel": 1.0, "gan": 1.0, "hinge": 1.0} | spoilt.get(step + 1, {})
            losses = {name: torch.tensor(value) for name, value in values.items()}
            guard.losses("discriminator", step, {"hinge": losses.pop("hinge")})
            guard.losses("generator", step, losses)
        with pytest.raises(NotFiniteError) as error:
            guard.check_losses()
        return str(error.value).split(";")[0], error.value.step


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> Shares:
    return Shares(monkeypatch)


EVERY_TERM = {"pixel": NAN, "gan": NAN, "hinge": NAN}


def test_the_first_bad_term_of_any_share_is_told_by_all(shares: Shares) -> None:
    """The other share is bad a step later, by the weights that the first one's gradients spoilt, in every term."""
    expected = ("test: generator/gan is nan at step 5", 5)
    assert shares.told({5: {"gan": NAN}, 6: EVERY_TERM}, {6: EVERY_TERM}) == [expected] * 2
    assert shares.told({6: EVERY_TERM}, {5: {"gan": NAN}, 6: EVERY_TERM}) == [expected] * 2


def test_shares_that_are_bad_in_one_step_tell_its_first_bad_term(shares: Shares) -> None:
    expected = ("test: generator/pixel is inf at step 3", 3)
    assert shares.told({3: {"gan": NAN}}, {3: {"pixel": INF}, 4: EVERY_TERM}) == [expected] * 2


def test_a_share_that_stays_finite_adds_nothing(shares: Shares) -> None:
    expected = ("test: generator/gan is -inf at step 2", 2)
    assert shares.told({}, {2: {"gan": -INF}}) == [expected] * 2


def test_a_training_that_was_done_already_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL, which compares what is on GPUs, could not be given a number that no step has brought there."""

    def refuse(_: Tensor) -> Tensor:
        raise RuntimeError("No backend type associated with device type cpu")

    monkeypatch.setattr("tvqsr.train.guard.min_over_processes", refuse)
    guard = Guard("test")
    guard.check_kept(10, lambda: {"weights": torch.ones(3)})
    with pytest.raises(NotFiniteError, match="weights is not finite after step 10"):
        guard.check_kept(10, lambda: {"weights": torch.full((3,), NAN)})
    guard.losses("generator", 10, {"pixel": torch.tensor(1.0)})
    with pytest.raises(RuntimeError, match="No backend"):
        guard.check_kept(11, dict)
