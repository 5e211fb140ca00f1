"""Configs to JSON and back, refusing fields that do not exist or have another type."""

import json
import types
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from groundup.errors import InputError

C = TypeVar("C")


def to_json(config: object) -> str:
    """Return `config` (a dataclass instance) as indented JSON, ending in a line break.

    Example:
        >>> from groundup.configs.run import DataConfig
        >>> from_json(DataConfig, to_json(DataConfig(corpus="tales"))).corpus
        'tales'
    """
    return json.dumps(to_dict(config), indent=2, ensure_ascii=False) + "\n"


def to_dict(config: object) -> dict[str, Any]:
    """Return `config` as plain dicts, lists and scalars."""
    if not is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"expected a config instance, found {type(config).__name__}")
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return plain


def from_json(cls: type[C], text: str) -> C:
    """Build a `cls` from JSON text.

    Raises:
        InputError: naming the unknown, missing or ill-typed field.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"expected JSON for {cls.__name__}, found a syntax error at line {error.lineno}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        raise InputError(f"expected JSON for {cls.__name__}, found what cannot be read: {error}") from None
    return from_dict(cls, value)


def from_dict(cls: type[C], value: object) -> C:
    """Build a `cls` from plain dicts, lists and scalars; fields left out keep their defaults."""
    built: C = _build(cls, value, cls.__name__)
    return built


def _build(expected: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - types are data here
    origin = get_origin(expected)
    if is_dataclass(expected) and isinstance(expected, type):
        return _build_dataclass(expected, value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(expected):
            return None
        return _build(next(a for a in get_args(expected) if a is not type(None)), value, where)
    if origin is Literal:
        if value not in get_args(expected):
            raise InputError(f"{where} must be one of {', '.join(map(str, get_args(expected)))}, found {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where} must be a list, found {value!r}")
        return _build_tuple(get_args(expected), value, where)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"{where} must be of type float, found a number of more than 308 digits") from None
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise InputError(f"{where} must be of type {expected.__name__}, found {value!r}")
    return value


def _build_tuple(kinds: tuple[Any, ...], values: Any, where: str) -> tuple[Any, ...]:  # noqa: ANN401 - types are data here
    if kinds[-1] is Ellipsis:  # tuple[int, ...]
        kinds = (kinds[0],) * len(values)
    if len(values) != len(kinds):
        raise InputError(f"{where} must be a list of {len(kinds)}, found {values!r}")
    return tuple(_build(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, values, strict=True)))


def _build_dataclass(cls: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - types are data here
    if not isinstance(value, dict):
        raise InputError(f"{where} must be an object, found {value!r}")
    known = {f.name for f in fields(cls)}
    for name in value:
        if name not in known:
            raise InputError(f"{where} has no field {name!r}: known are {', '.join(sorted(known))}")
    hints = get_type_hints(cls)
    return cls(**{name: _build(hints[name], item, f"{where}.{name}") for name, item in value.items()})
