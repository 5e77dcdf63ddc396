"""Names of the authors' released weights (github.com/chaofengc/FeMaSR) for the parameters of our networks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from tvqsr.contract import Trained
from tvqsr.nn.femasr_released import decoder_names, hq_encoder_names, lq_encoder_names
from tvqsr.nn.released import Names, taken_over

from .network import HqSettings, LqNetwork, LqSettings, Prior, Tokenizer

TRAINING_ONLY = ("conv_semantic.", "vgg_feat_extractor.")
"""What the semantic term leaves in a checkpoint."""


def prior_names(prior: Prior, prefix: str = "") -> Names:
    """Names of codebook and decoder."""
    names = decoder_names(prior.decoder, f"{prefix}decoder.")
    names |= {f"{prefix}after.{key}": f"after_quant_group.0.conv.{key}" for key in ("weight", "bias")}
    return names | {f"{prefix}quantizer.embedding.weight": "quantize_group.0.embedding.weight"}


def tokenizer_names(tokenizer: Tokenizer) -> Names:
    """Names of the HQ stage's network."""
    return hq_encoder_names(tokenizer.encoder, "encoder.") | _before() | prior_names(tokenizer.prior, "prior.")


def lq_names(network: LqNetwork) -> Names:
    """Names of the LQ stage's network, without the codebook and decoder that its checkpoint carries along."""
    return lq_encoder_names(network.encoder, "encoder.") | _before()


def _before() -> Names:
    return {f"before.{key}": f"before_quant_group.0.{key}" for key in ("weight", "bias")}


def released(run: Trained, checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a run from the authors' checkpoint of its stage.

    That of `lq` holds the codebook and decoder that it was trained with: its own, not another checkpoint's.
    """
    settings = HqSettings(**run.needs.get("hq", run).settings)
    if run.stage == "hq":
        tokenizer = Tokenizer(settings)
        return taken_over({"tokenizer": (tokenizer, tokenizer_names(tokenizer))}, checkpoint, TRAINING_ONLY)
    network, prior = LqNetwork(LqSettings(**run.settings), settings), Prior(settings)
    parts = {"lq": (network, lq_names(network)), "prior": (prior, prior_names(prior))}
    return taken_over(parts, checkpoint, TRAINING_ONLY)
