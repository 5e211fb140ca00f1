"""Command-line arguments to a dataclass, through tyro; a mistake becomes one line."""

import contextlib
import dataclasses
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructTypeInfo

from groundup.configs.bands import Bands
from groundup.configs.finetune_runs import ChatDataConfig, LabelledConfig
from groundup.errors import InputError

C = TypeVar("C")
_RULES = ConstructorRegistry()
_NAMES: dict[type, dict[str, str]] = {LabelledConfig: {"file": "data"}, ChatDataConfig: {"file": "data"}}
"""Fields whose option has another name: the one that everybody types."""
_PYTHON_SAYS = {
    r"^Error parsing (--[\w.-]+): invalid literal for int\(\) with base 10: ": r"\1: expected a whole number, found ",
    r"^Error parsing (--[\w.-]+): could not convert string to float: ": r"\1: expected a number, found ",
    r"^Error parsing (--[\w.-]+): Could not find valid parse for arguments: \[(.*)\]$": r"\1: cannot take \2",
}


@_RULES.struct_rule
def _keep_bands(found: StructTypeInfo) -> StructConstructorSpec | None:
    """Leave the bands of a recipe out of the options: they are measured, not chosen."""
    if found.type is not Bands:
        return None
    return StructConstructorSpec(
        instantiate=lambda: found.default if isinstance(found.default, Bands) else Bands(), fields=()
    )


@_RULES.struct_rule
def _rename(found: StructTypeInfo) -> StructConstructorSpec | None:
    """Give options the names that _NAMES has for their fields."""
    names = _NAMES.get(found.type) if isinstance(found.type, type) else None
    if names is None or found.type in _BEING_RENAMED:
        return None
    _BEING_RENAMED.add(found.type)  # for what follows asks all rules, this one too
    try:
        usual = ConstructorRegistry.get_struct_spec(found)
    finally:
        _BEING_RENAMED.discard(found.type)
    assert isinstance(usual, StructConstructorSpec)  # the configs have defaults
    fields = {names.get(field.name, field.name): field.name for field in usual.fields}
    return dataclasses.replace(
        usual,
        fields=tuple(dataclasses.replace(field, name=names.get(field.name, field.name)) for field in usual.fields),
        instantiate=lambda **given: usual.instantiate(**{fields[name]: value for name, value in given.items()}),
    )


_BEING_RENAMED: set[type] = set()


@contextlib.contextmanager
def naming_options(cls: type, config: type | None = None) -> Iterator[None]:
    """Let an InputError that comes after parsing name the options of `cls`, not the fields of configs.

    Args:
        cls: what was parsed.
        config: what was made of it; fields of it that `cls` has, too, are meant.
    """
    try:
        yield
    except InputError as error:
        told = str(error) if config is None else re.sub(rf"\b{config.__name__}\.", f"{cls.__name__}.", str(error))
        raise InputError(_with_options(told, cls)) from error


def value_of(arguments: Sequence[str], option: str) -> str:
    """Return what an option is given as, "" where it is not: for defaults that depend on it.

    Example:
        >>> value_of(["gpt2", "--student", "tales"], "--student"), value_of(["--data=x"], "--out")
        ('tales', '')
    """
    found = [value for name, value in pairwise(arguments) if name == option]
    found += [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{option}=")]
    return found[-1] if found else ""


def parse(cls: type[C], arguments: Sequence[str], *, program: str, default: C | None = None) -> C:
    """Build a `cls` from `arguments`; `--help` prints and exits with 0.

    Raises:
        InputError: naming the argument, in one line, with the nearest known one.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), _RULES:
            config = (tyro.conf.PositionalMetavarFromFieldName,)
            if default is None:
                return tyro.cli(cls, args=list(arguments), prog=program, config=config)
            return tyro.cli(cls, args=list(arguments), prog=program, config=config, default=default)
    except InputError as error:  # a config's own, which names a field
        raise InputError(_with_options(str(error), cls)) from None
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(_with_options(_one_line(said.getvalue(), program), cls)) from None


def _with_options(message: str, cls: type) -> str:
    """Return a config's message with options in place of fields: TrainConfig.steps is --training.steps.

    A class that stands in several places keeps its name: which of them is meant is not known.
    """
    found = list(_options(cls, "--"))
    options = {field: option for field, option in found if [name for name, _ in found].count(field) == 1}
    return re.sub(r"\b[A-Z]\w*\.\w+", lambda match: options.get(match[0], match[0]), message)


def _options(cls: type, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield each field as its class and name, and the option that sets it, those of nested configs too."""
    plain: Any = get_origin(cls) or cls  # Train[RunConfig] is Train, whose C is a RunConfig
    meant = dict(zip(getattr(plain, "__parameters__", ()), get_args(cls), strict=False))
    hints = get_type_hints(plain, include_extras=True)
    for field in dataclasses.fields(plain):
        hint: Any = hints[field.name]
        named = [mark.name for mark in getattr(hint, "__metadata__", ()) if hasattr(mark, "name")]
        name = named[0] if named else _NAMES.get(cls, {}).get(field.name, field.name).replace("_", "-")
        option = f"{prefix}{name}" if name else prefix.rstrip(".")
        yield f"{plain.__name__}.{field.name}", option
        for part in (meant.get(one, one) for one in (hint, *get_args(hint))):  # Annotated[Config, …], Config | None
            if dataclasses.is_dataclass(part) and isinstance(part, type):
                yield from _options(part, f"{option}." if name else prefix)


def _one_line(box: str, program: str) -> str:
    """Return tyro's message as one line: the complaint, the nearest known argument, where to read more."""
    box = re.sub(r"\x1b\[[0-9;]*m", "", box)  # colours, where it is written for a terminal
    # Below its title the message has sections between rules, in a box, or without one where the terminal is ASCII.
    sections: list[list[str]] = [[]]
    for line in box.strip().splitlines()[1:]:
        if set(line) <= set("─-╭╮╰╯│ "):
            sections.append([])
        else:
            sections[-1].append(line.strip("│ "))
    texts = [" ".join(section) for section in sections if section]
    complaint = re.sub(r"Error parsing [\w.]+: ", "", texts[0]).rstrip(".")
    for words, expected in _PYTHON_SAYS.items():
        complaint = re.sub(words, expected, complaint)
    known = re.findall(r"--[\w.-]+", " ".join(texts[1:])) if "Perhaps you meant" in box else []
    nearest = difflib.get_close_matches(complaint.partition(": ")[2].partition(",")[0], known, n=1, cutoff=0.0)
    suggestion = f"; perhaps {nearest[0]}" if nearest else ""
    return f"{complaint}{suggestion} (see: {program} --help)"
