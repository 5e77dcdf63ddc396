"""Checks of a method's stages: how they are built, what their losses are, and what those move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from tvqsr.contract import Stage
from tvqsr.testing.candidate import STEPS, Candidate, first_difference
from tvqsr.testing.outcome import FailureError, NotApplicableError

LEARNING_STEPS = 12


def builds(candidate: Candidate) -> None:
    """`stage` makes every stage, and each of its networks has a player who moves it.

    Frozen networks are plain attributes: in `networks` is what is trained and saved.
    """
    for name in candidate.stages():
        stage, where = candidate.new(name), candidate.place(f"stage(`{name}`)")
        if not isinstance(stage, Stage):
            raise FailureError(f"{where}: expected a tvqsr.contract.Stage, found {type(stage).__name__}")
        if not stage.players:
            raise FailureError(f"{where}: has no players; the first one is the generator")
        for player, networks in stage.players.items():
            if unknown := [network for network in networks if network not in stage.networks]:
                known = ", ".join(stage.networks)
                raise FailureError(f"{where}: player `{player}` moves `{unknown[0]}`, which is not among {known}")
            if not list(stage.moved_by(player).parameters()):
                raise FailureError(f"{where}: player `{player}` has no parameters to move")
        moved = {network for networks in stage.players.values() for network in networks}
        if still := sorted(set(stage.networks) - moved):
            raise FailureError(
                f"{where}: no player moves `{still[0]}`; name it in `players`, or keep it as a plain attribute, frozen"
            )


def losses(candidate: Candidate) -> None:
    """`losses` gives finite scalars that depend on what the player moves, at the first and the last published step."""
    for name in candidate.stages():
        last = candidate.method.spec.stages[name].training.steps - 1
        of_generator: list[str] = []
        for step in (0, last):
            stage = candidate.begun(name)
            for player in stage.players:
                where = candidate.place(f"losses of `{name}`, player `{player}`, step {step}")
                terms = stage(player, candidate.batch(name), step)
                _check_terms(terms, stage.moved_by(player), where)
                of_generator += terms if player == stage.generator else ()
        if not of_generator:
            where = candidate.place(f"losses of `{name}`")
            raise FailureError(f"{where}: the generator has no terms, neither at step 0 nor at {last}")


def _check_terms(terms: Any, moved: nn.Module, where: str) -> None:
    if not isinstance(terms, Mapping):
        raise FailureError(f"{where}: expected a dict of named scalars, found {type(terms).__name__}")
    for term, value in terms.items():
        if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
            found = f"shape {tuple(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            raise FailureError(f"{where}: `{term}`: expected a scalar tensor, found {found}; take a mean?")
        if not bool(value.isfinite()):
            raise FailureError(f"{where}: `{term}` is {value.item()}; expected a finite number")
    if terms and not _reaches(terms.values(), moved.parameters()):
        raise FailureError(
            f"{where}: no gradient of {', '.join(terms)} reaches the networks that the player moves; "
            f"see what is detached, or under no_grad"
        )


def _reaches(terms: Iterable[Tensor], parameters: Iterable[nn.Parameter]) -> bool:
    """Whether any of these scalars depends on any of these parameters."""
    connected, wanted = [term for term in terms if term.requires_grad], list(parameters)
    if not connected or not wanted:
        return False
    found = torch.autograd.grad(torch.stack(connected).sum(), wanted, retain_graph=True, allow_unused=True)
    return any(gradient is not None for gradient in found)


def moves(candidate: Candidate) -> None:
    """A few steps of the suite's loop move every network of the generator, and all weights stay finite."""
    for name in candidate.stages():
        training, where = candidate.training(candidate.run(name)), candidate.place(f"stage `{name}`")
        for key, value in training.fit.weights.items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise FailureError(f"{where}: `{key}` is not finite after {STEPS} steps")
        stage = training.stage
        for network in stage.players[stage.generator]:
            own = [f"networks.{network}.{key}" for key in stage.networks[network].state_dict()]
            if first_difference(*({key: tensors[key] for key in own} for tensors in training.tensors)) is None:
                raise FailureError(
                    f"{where}: network `{network}` did not move in {STEPS} steps; "
                    f"take it out of `networks` if it is frozen, or let a term of losses() depend on it"
                )


def learns(candidate: Candidate) -> None:
    """The generator's own terms fall when it is trained on one batch.

    Its total need not fall in adversarial training: there it depends on an opponent who moves as well. So the opponent
    stands still here, and terms in which it has a part (a gradient reaches it) are left out. The batch is always the
    same, the random state too, and the step is the last published one, at which every schedule is through. What is
    left is one fixed function of the weights, which following its gradient must lower: the least total of the later
    half of 12 steps has to lie below the first one.
    """
    looked_at = 0
    for name in candidate.stages():
        totals = _descent(candidate, name)
        looked_at += bool(totals)
        if totals and not min(totals[len(totals) // 2 :]) < totals[0]:
            raise FailureError(
                f"{candidate.place(f'losses of `{name}`')}: in {LEARNING_STEPS} steps on one batch the generator's "
                f"total went from {totals[0]:.6g} to {totals[-1]:.6g}; see that gradients reach what it moves with the "
                f"right sign (straight-through?), and that targets do not run away from it"
            )
    if not looked_at:
        raise NotApplicableError("the opponent has a part in every term of every generator")


def _descent(candidate: Candidate, name: str) -> list[float]:
    """Totals of a generator's own terms, step by step; empty if it has none."""
    stage, batch = candidate.begun(name), candidate.batch(name)
    last = candidate.method.spec.stages[name].training.steps - 1
    own = {id(parameter) for parameter in stage.moved_by(stage.generator).parameters()}
    opponents = [parameter for parameter in stage.networks.parameters() if id(parameter) not in own]
    optimiser = Adam(stage.moved_by(stage.generator).parameters(), lr=1e-3)
    totals = []
    for _ in range(LEARNING_STEPS + 1):
        torch.manual_seed(0)
        terms = [term for term in stage(stage.generator, batch, last).values() if not _reaches([term], opponents)]
        if not any(term.requires_grad for term in terms):
            return []
        total = torch.stack(terms).sum()
        totals.append(float(total.detach()))
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    return totals


def frozen(candidate: Candidate) -> None:
    """What is not in `networks` stays as it is in training: it is neither saved nor resumed.

    Batch norm of a frozen network in training mode, for one, changes with every batch.
    """
    for name in candidate.stages():
        before, after = candidate.training(candidate.run(name)).tensors
        if changed := first_difference(*(_outside_networks(tensors) for tensors in (before, after))):
            raise FailureError(
                f"{candidate.place(f'stage `{name}`')}: `{changed}` changed in training but is not in `networks`, so "
                f"it is lost; put it there, or keep it as it is (no gradient; batch norm in eval mode, whatever "
                f"train() says)"
            )


def _outside_networks(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if not name.startswith("networks.")}
