"""Blind degradations on the device of the images: HR -> LR, each image by its own seed."""

from tvqsr.data.degrade.parameters import Parameters, draw
from tvqsr.data.degrade.pipeline import degrade
from tvqsr.data.degrade.recipe import Recipe
from tvqsr.data.degrade.recipes import RECIPES

__all__ = ["RECIPES", "Parameters", "Recipe", "degrade", "draw"]
