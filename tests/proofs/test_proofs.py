"""Every proof holds here, and the command tells a proof that does not hold, or cannot be run, from one that does."""

import math
from dataclasses import replace

import pytest

from groundup.cli.main import main
from groundup.proofs import PROOFS
from groundup.proofs.table import MissingReferenceError, Proof, check, check_all

TOY = Proof(room="toy", part="one", reference="1", bound=0.5, why="", difference=lambda: 0.0)


def no_reference() -> float:
    raise MissingReferenceError("needs one.txt in $GROUNDUP_DATA")


def broken() -> float:
    raise RuntimeError("no such operator")


def rows():
    for proof in PROOFS:
        marks = [pytest.mark.slow] if proof.is_slow else []
        yield pytest.param(proof, id=f"{proof.room}: {proof.part}, {proof.reference}", marks=marks)


@pytest.mark.parametrize("proof", list(rows()))
def test_proof_holds(proof):
    result = check(proof)
    if result.verdict == "skipped":
        pytest.skip(result.reason)
    assert result.verdict in ("equal", "within"), f"{result.difference} > {proof.bound} {result.reason}"


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [(0.0, "equal"), (0.5, "within"), (0.51, "FAILED"), (math.nan, "FAILED"), (math.inf, "FAILED"), (-1.0, "FAILED")],
)
def test_verdict(difference, verdict):
    assert check(replace(TOY, difference=lambda: difference)).verdict == verdict


@pytest.mark.parametrize(
    ("proof", "code", "said", "counts"),
    [
        (TOY, 0, "equal", "1 equal, 0 FAILED"),
        (replace(TOY, difference=lambda: 1.0), 1, "FAILED", "1 FAILED"),
        (replace(TOY, difference=broken), 1, "RuntimeError: no such operator", "1 FAILED"),
        (replace(TOY, difference=no_reference), 0, "needs one.txt in $GROUNDUP_DATA", "0 FAILED, 1 skipped"),
        (replace(TOY, is_slow=True), 0, "takes a while; it is in `groundup verify toy`", "0 FAILED, 1 skipped"),
        (replace(TOY, needs=("no_such_module",)), 0, "not installed: no_such_module", "0 FAILED, 1 skipped"),
    ],
    ids=["holds", "fails", "breaks", "no reference data", "slow", "no reference library"],
)
def test_the_command_counts_verdicts_and_fails_with_1(proof, code, said, counts, monkeypatch, capsys):
    monkeypatch.setattr("groundup.proofs.PROOFS", (proof,))
    assert main(["verify"]) == code
    output = capsys.readouterr().out
    assert said in output
    assert output.splitlines()[-1] == counts


def test_a_slow_proof_runs_where_its_room_is_asked_for():
    result = next(check_all([replace(TOY, is_slow=True)], ["toy"]))
    assert result.verdict == "equal"
