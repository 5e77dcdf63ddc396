"""Blind degradations on the device of the images: HR -> LR, each image by its own seed."""

from tvqsr.data.degrade.bsrgan import BSRGAN, BSRGAN_PLUS
from tvqsr.data.degrade.chain import Chain, ChainRecipe, draw_chain, run_chain
from tvqsr.data.degrade.parameters import Parameters, draw
from tvqsr.data.degrade.pipeline import Drawn, apply, degrade, draw_for
from tvqsr.data.degrade.recipe import Recipe
from tvqsr.data.degrade.recipes import AESOP, REALESRGAN, RECIPES, RESSHIFT_TEST, TVQRAP

__all__ = [
    "AESOP",
    "BSRGAN",
    "BSRGAN_PLUS",
    "REALESRGAN",
    "RECIPES",
    "RESSHIFT_TEST",
    "TVQRAP",
    "Chain",
    "ChainRecipe",
    "Drawn",
    "Parameters",
    "Recipe",
    "apply",
    "degrade",
    "draw",
    "draw_chain",
    "draw_for",
    "run_chain",
]
