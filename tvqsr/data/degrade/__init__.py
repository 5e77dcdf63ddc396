"""Blind degradations on the device of the images: HR -> LR, each image by its own seed."""

from tvqsr.data.degrade.bsrgan import BSRGAN, BSRGAN_PLUS
from tvqsr.data.degrade.chain import Chain, ChainRecipe, draw_chain, run_chain
from tvqsr.data.degrade.parameters import Parameters, draw
from tvqsr.data.degrade.pipeline import degrade
from tvqsr.data.degrade.recipe import Recipe
from tvqsr.data.degrade.recipes import REALESRGAN, RECIPES, RESSHIFT_TEST

__all__ = [
    "BSRGAN",
    "BSRGAN_PLUS",
    "REALESRGAN",
    "RECIPES",
    "RESSHIFT_TEST",
    "Chain",
    "ChainRecipe",
    "Parameters",
    "Recipe",
    "degrade",
    "draw",
    "draw_chain",
    "run_chain",
]
