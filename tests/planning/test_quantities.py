"""Amounts of memory as people write them."""

import pytest

from groundup.errors import InputError
from groundup.planning.quantities import in_bytes, in_flops, in_time, read_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8GB", 8e9),
        ("8gb", 8e9),
        ("8 GB", 8e9),
        ("8G", 8e9),
        ("0.5TB", 5e11),
        ("2GiB", 2**31),
        ("1e9", 1e9),
        ("12", 12),
    ],
)
def test_amounts(text: str, expected: float):
    assert read_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "eight", "8GBs", "-8GB", "0", "0.1", "8 G B", "nan", "inf", "1e400"])
def test_what_is_no_amount_is_refused(text: str):
    with pytest.raises(InputError, match="expected an amount of memory such as 8GB or 500MB, found"):
        read_bytes(text)


@pytest.mark.parametrize("n", [0, 1, 999, 1_000, 9_994, 9_995, 999_499, 999_500, 10**9 - 1, 10**9, 10**13])
def test_bytes_come_back_within_half_of_the_last_digit(n: int):
    assert read_bytes(in_bytes(n)) == pytest.approx(n, rel=0.006) if n else in_bytes(n) == "0 B"


def test_every_unit_of_time_and_work():
    assert in_flops(12) == "12 FLOP"
    assert in_flops(3e18) == "3.00 EFLOP"
    assert [in_time(s) for s in (0.0005, 59.4, 59.6, 3_599, 3_600)] == [
        "0.50 ms", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min"]  # fmt: skip
