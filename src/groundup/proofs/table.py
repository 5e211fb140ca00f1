"""A proof: one part, one outside reference, the largest difference seen, the bound it must stay under."""

import importlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from groundup.errors import InputError

Verdict = Literal["equal", "within", "FAILED", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A claim that can be checked on this machine."""

    room: str
    """The room of the house that the part lives in."""
    part: str
    """What is proven."""
    reference: str
    """What it is held against."""
    bound: float
    """Largest allowed difference; 0 means identical."""
    why: str
    """Where the bound comes from."""
    difference: Callable[[], float]
    """Runs both and returns the largest difference."""
    needs: tuple[str, ...] = ()
    """Modules of the reference that must be installed."""
    is_slow: bool = False
    """Whether it takes many seconds, and so runs only if its room is asked for."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one proof."""

    proof: Proof
    verdict: Verdict
    difference: float
    """NaN when skipped."""
    seconds: float
    reason: str = ""
    """Why it was skipped, or what broke."""


def check(proof: Proof) -> Result:
    """Run one proof. An exception in it is a failure, with its text as the reason.

    Example:
        >>> proof = Proof(room="toy", part="0.1 + 0.2", reference="0.3", bound=1e-15, why="one rounding",
        ...               difference=lambda: abs(0.1 + 0.2 - 0.3))
        >>> check(proof).verdict
        'within'
    """
    missing = [name for name in proof.needs if not _installed(name)]
    if missing:
        reason = f"not installed: {', '.join(missing)} (pip install 'groundup[dev]')"
        return Result(proof=proof, verdict="skipped", difference=math.nan, seconds=0.0, reason=reason)
    started = time.perf_counter()
    try:
        difference = float(proof.difference())
    except MissingReferenceError as absent:
        return Result(proof=proof, verdict="skipped", difference=math.nan, seconds=0.0, reason=str(absent))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - started
        return Result(proof=proof, verdict="FAILED", difference=math.inf, seconds=seconds, reason=reason)
    seconds = time.perf_counter() - started
    return Result(proof=proof, verdict=_judge(difference, proof.bound), difference=difference, seconds=seconds)


class MissingReferenceError(Exception):
    """Raised by a proof whose reference data is not on this machine; its text says what to put where."""


def _judge(difference: float, bound: float) -> Verdict:
    if difference == 0:
        return "equal"
    return "within" if 0 < difference <= bound else "FAILED"  # NaN compares false: it fails


def _installed(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def check_all(proofs: Iterable[Proof], rooms: Iterable[str] = ()) -> Iterator[Result]:
    """Run the proofs of `rooms` (all when empty, but for the slow ones), one after the other.

    Raises:
        InputError: for a room that has no proofs, listing those that have.
    """
    chosen, wanted = list(proofs), set(rooms)
    known = list(dict.fromkeys(proof.room for proof in chosen))
    if unknown := wanted - set(known):
        raise InputError(f"no proofs for {', '.join(sorted(unknown))}: rooms with proofs are {', '.join(known)}")
    return (
        _left_out(proof) if proof.is_slow and not wanted else check(proof)
        for proof in chosen
        if not wanted or proof.room in wanted
    )


def _left_out(proof: Proof) -> Result:
    reason = f"takes a while; it is in `groundup verify {proof.room}`"
    return Result(proof=proof, verdict="skipped", difference=math.nan, seconds=0.0, reason=reason)
