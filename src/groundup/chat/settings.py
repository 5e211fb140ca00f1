"""How text is drawn, changed by a line that a person types: a field's name and its value, both as text."""

import difflib
import json
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin, get_type_hints

from groundup.configs.codec import from_dict, to_dict
from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.errors import InputError


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the one of `known` that is spelled most like `word`.

    Example:
        >>> nearest("temprature", ["top_p", "temperature"])
        'temperature'
    """
    return difflib.get_close_matches(word, list(known), n=1, cutoff=0.0)[0]


def settings(config: GenerationConfig) -> dict[str, Any]:
    """Return every field by name, those of beam search as beam.n_beams, as JSON values.

    Example:
        >>> settings(GenerationConfig())["beam.n_beams"]
        4
    """
    plain = to_dict(config)
    return plain | {f"beam.{name}": value for name, value in plain.pop("beam").items()}


def change_setting(config: GenerationConfig, name: str, value: str) -> GenerationConfig:
    r"""Return `config` with one field changed.

    A value is written as JSON (0.7, true, ["\n", "END"]), a text also without quotes; none stands for no value. For a
    field that holds texts, one text is enough.

    Raises:
        InputError: no such field or no such value, with the nearest.

    Example:
        >>> change_setting(GenerationConfig(), "top_k", "40").top_k
        40
        >>> change_setting(GenerationConfig(), "temprature", "1")
        Traceback (most recent call last):
        groundup.errors.InputError: there is no setting 'temprature': perhaps temperature (/set shows them all)
    """
    known = settings(config)
    name = name.replace("-", "_")
    if name not in known:
        raise InputError(f"there is no setting {name!r}: perhaps {nearest(name, known)} (/set shows them all)")
    parsed, kind = _parsed(value), _kind(name)
    if get_origin(kind) is Literal and parsed not in get_args(kind):
        choices = ", ".join(get_args(kind))
        raise InputError(f"{name} must be one of {choices}, found {value}: perhaps {nearest(value, get_args(kind))}")
    if get_origin(kind) is tuple and get_args(kind)[0] is str and not isinstance(parsed, list):
        parsed = [] if parsed is None else [value if not isinstance(parsed, str) else parsed]
    outer, _, inner = name.rpartition(".")
    plain = to_dict(config)
    (plain[outer] if outer else plain)[inner] = parsed
    try:
        return from_dict(GenerationConfig, plain)
    except InputError as error:
        said = str(error).replace("GenerationConfig.", "").replace("BeamConfig.", "beam.")
        raise InputError(f"{said} (it stays {shown(known[name])})") from None


def shown(value: object) -> str:
    """Return a value of `settings` as a person types it.

    Example:
        >>> shown(None), shown(True), shown(0.7), shown(["END"])
        ('none', 'true', '0.7', '["END"]')
    """
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _kind(name: str) -> Any:  # noqa: ANN401 - types are data here
    outer, _, inner = name.rpartition(".")
    return get_type_hints(BeamConfig if outer else GenerationConfig)[inner]


def _parsed(value: str) -> Any:  # noqa: ANN401 - what JSON holds
    if value.lower() in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[value.lower()]
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
