"""Numbers with units as a person reads them, and memory as a person writes it."""

import re

from groundup.errors import InputError

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30,
         "TIB": 2**40}  # fmt: skip
PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def digits(value: float) -> str:
    """Return a number below a thousand in three digits, no more.

    Example:
        >>> digits(0.5), digits(12.345), digits(999.6)
        ('0.50', '12.3', '1,000')
    """
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def in_bytes(n_bytes: float) -> str:
    """Return bytes in decimal units.

    Example:
        >>> in_bytes(512), in_bytes(3_216_384), in_bytes(24.96e9)
        ('512 B', '3.22 MB', '25.0 GB')
    """
    for unit in ("TB", "GB", "MB", "KB"):
        if n_bytes >= 0.9995 * UNITS[unit]:
            return f"{digits(n_bytes / UNITS[unit])} {unit}"
    return f"{n_bytes:.0f} B"


def in_parameters(n: int) -> str:
    """Return how many numbers a model holds, as models are named by it.

    Example:
        >>> in_parameters(1_557_611_200), in_parameters(134_515_008), in_parameters(586_624), in_parameters(40)
        ('1.6B', '135M', '0.6M', '40')
    """
    if n >= 0.9995e9:
        return f"{n / 1e9:.1f}B"
    if n >= 1e7:
        return f"{n / 1e6:.0f}M"
    return f"{n / 1e6:.1f}M" if n >= 1e5 else f"{n}"


def in_flops(n_flops: float) -> str:
    """Return floating-point operations.

    Example:
        >>> in_flops(284_812_800), in_flops(1.2e15)
        ('285 MFLOP', '1.20 PFLOP')
    """
    for size, prefix in PREFIXES:
        if n_flops >= 0.9995 * size:
            return f"{digits(n_flops / size)} {prefix}FLOP"
    return f"{n_flops:.0f} FLOP"


def in_time(seconds: float) -> str:
    """Return a duration.

    Example:
        >>> in_time(0.0123), in_time(5.04), in_time(151), in_time(3_720), in_time(200_000)
        ('12.3 ms', '5.0 s', '2 min 31 s', '1 h 02 min', '2 d 8 h')
    """
    if seconds < 0.9995:
        return f"{digits(seconds * 1e3)} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days:,} d {hours} h"


def read_bytes(text: str) -> int:
    """Return the bytes that a text such as 8GB, 500 MB, 16GiB or 8e9 stands for.

    Raises:
        InputError: it is no amount of memory.

    Example:
        >>> read_bytes("8GB"), read_bytes("1.5 GiB")
        (8000000000, 1610612736)
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[0-9]+)?)\s*([KMGT]?I?B?)\s*", text, re.IGNORECASE)
    unit = "" if found is None else found[2].upper()
    unit = "" if unit == "B" else unit if unit == "" or unit.endswith("B") else f"{unit}B"
    amount = 0.0 if found is None or unit not in UNITS else float(found[1]) * UNITS[unit]
    if not 1 <= amount < 1e18:  # an exabyte: infinity and slips too
        raise InputError(f"expected an amount of memory such as 8GB or 500MB, found {text!r}")
    return int(amount)
