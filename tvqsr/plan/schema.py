"""Reading YAML into strict models, with errors that name the file and the key."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from tvqsr.errors import UserError


class Strict(BaseModel):
    """A model that refuses unknown keys and silent conversions (a string for a number, say)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Strict)


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


Number = Annotated[float, BeforeValidator(_number)]
"""A finite number: YAML's `1` will do for `1.0`, but neither `true` nor `"1"`."""


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which takes the last of two equal keys in silence, but for that."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            # A key that is a list or mapping is refused by the loader itself.
            if not isinstance(key, yaml.ScalarNode):
                continue
            # `<<` may stand for several mappings that are merged.
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key `{key.value}` is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises UserError with file and line if it is not one."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 (a safe loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; a YAML file was expected") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a mapping of keys to values, found {type(value).__name__}")
    return value


def tuple_of(value: Any) -> Any:
    """YAML's lists for tuples."""
    return tuple(value) if isinstance(value, list) else value


def parse(model: type[Model], data: Any, where: str) -> Model:
    """Validate `data` as `model`. Raises UserError naming `where`, the key, and what was expected."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{where}: {_first_problem(model, error)}") from None


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location) or "(top level)"
    if problem["type"] == "extra_forbidden":
        return f"unknown key `{key}`{suggestion(location[-1], model.model_fields) if len(location) == 1 else ''}"
    if problem["type"] == "missing":
        return f"`{key}` is missing"
    return f"`{key}`: {problem['msg'][0].lower()}{problem['msg'][1:]}, found {problem['input']!r}"


MOST_SUGGESTED = 4


def suggestion(wrong: str, known: Any) -> str:
    """`; did you mean X?` for names that contain it, or else the nearest one; all of them where none is near."""
    names = sorted(known)
    part = [name for name in names if len(wrong) > 2 and wrong.lower() in name.lower()]
    near = part[:MOST_SUGGESTED] or difflib.get_close_matches(wrong.lower(), names, 1)
    told = " or ".join(f"`{name}`" for name in near)
    return f"; did you mean {told}?" if near else f"; known: {', '.join(names)}"
