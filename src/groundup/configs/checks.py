"""The range checks that configs share: each names the field, the rule and the value found."""

import math

from groundup.errors import InputError


def _value(config: object, name: str) -> float:
    value = getattr(config, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{_where(config, name)} must be a finite number, found {value!r}")
    if isinstance(value, int) and abs(value) >= 1 << 63:  # what torch and NumPy can hold
        raise InputError(f"{_where(config, name)} must be below 2^63, found a number of {value.bit_length()} bits")
    number: float = value
    return number


def _where(config: object, name: str) -> str:
    return f"{type(config).__name__}.{name}"


def at_least(config: object, name: str, minimum: int) -> None:
    """Raise InputError unless the integer field `name` is `minimum` or more."""
    value = _value(config, name)
    if not isinstance(value, int):
        raise InputError(f"{_where(config, name)} must be a whole number, found {value!r}")
    if value < minimum:
        raise InputError(f"{_where(config, name)} must be at least {minimum}, found {value}")


def positive(config: object, name: str) -> None:
    """Raise InputError unless the field `name` is a finite number above zero."""
    if _value(config, name) <= 0:
        raise InputError(f"{_where(config, name)} must be above 0, found {getattr(config, name)}")


def between(config: object, name: str, low: float, high: float, *, upper_open: bool = False) -> None:
    """Raise InputError unless low <= field <= high (field < high with `upper_open`)."""
    value = _value(config, name)
    if value < low or value > high or (upper_open and value == high):
        bracket = ")" if upper_open else "]"
        raise InputError(f"{_where(config, name)} must be in [{low:g}, {high:g}{bracket}, found {value}")
