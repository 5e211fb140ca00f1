"""The longest common subsequence of two texts, a whole row of its table at a time in the bits of one number.

The table's row j says how long the longest subsequence of a[:i] and b[:j] is; it rises by 0 or 1 from one i to the
next. So a row is a bit for each i, 0 where it rises, and the next row follows from four operations on whole numbers
(Hyyrö 2004): Python adds them 30 bits at a time. Shapes: a of length M, b of length N.
"""

from collections.abc import Hashable, Sequence


def longest_common_length(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Return how many units the longest common subsequence has; they need not stand next to each other.

    Example:
        >>> longest_common_length("the cat sat down".split(), "the black cat down".split())  # the cat down
        3
    """
    return len(a) - _rows(a, b)[-1].bit_count()


def longest_common_positions(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[int]:
    """Return where the units of one longest common subsequence stand in a, in order.

    Of several, the one that is found by walking back from both ends, passing over a unit of a unless only passing
    over one of b keeps the length.

    Example:
        >>> longest_common_positions("the cat sat down".split(), "the black cat down".split())
        [0, 1, 3]
    """
    rows = _rows(a, b)

    def length(i: int, j: int) -> int:
        return i - (rows[j] & ((1 << i) - 1)).bit_count()

    i, j = len(a), len(b)
    found = []
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found.append(i)
        elif length(i, j - 1) > length(i - 1, j):
            j -= 1
        else:
            i -= 1
    return found[::-1]


def _rows(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[int]:
    """Return the table's N + 1 rows of M bits; bit i of row j is 0 where a[: i + 1] shares more than a[:i]."""
    everywhere = (1 << len(a)) - 1
    standing = places(a)
    rows = [everywhere]
    for unit in b:
        row = rows[-1]
        equal = row & standing.get(unit, 0)
        rows.append(((row + equal) | (row - equal)) & everywhere)
    return rows


def places(units: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return for each unit a number with bit i set where it is units[i].

    Example:
        >>> {unit: bin(bits) for unit, bits in places("abaa").items()}
        {'a': '0b1101', 'b': '0b10'}
    """
    found: dict[Hashable, int] = {}
    for i, unit in enumerate(units):
        found[unit] = found.get(unit, 0) | 1 << i
    return found
