"""`groundup verify [ROOM …]`: the proof, as a table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tyro

from groundup.cli.parse import parse

if TYPE_CHECKING:  # torch: not for --help
    from groundup.proofs.table import Result


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Hold each part against an outside reference on this machine."""

    rooms: tyro.conf.Positional[tuple[str, ...]] = ()
    """Rooms to prove (engine, layers, …), slow rows too. None given: all, without the slow rows."""


def command(arguments: list[str]) -> int:
    """Print one row per proof as it is done; exit code 1 if any failed."""
    chosen = parse(Verify, arguments, program="groundup verify")
    from groundup.proofs import PROOFS
    from groundup.proofs.table import check_all

    results = check_all(PROOFS, chosen.rooms)  # an unknown room is refused before anything is printed
    print(f"{'part':<44} {'held against':<31} {'difference':>10} {'bound':>8}  verdict")
    counts = {"equal": 0, "within": 0, "FAILED": 0, "skipped": 0}
    room = ""
    for result in results:
        if result.proof.room != room:
            room = result.proof.room
            print(f"-- {room} {'-' * (105 - len(room))}")
        counts[result.verdict] += 1
        print(row(result), flush=True)
    print("-" * 109)
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count or verdict == "FAILED"))
    return 1 if counts["FAILED"] else 0


def row(result: "Result") -> str:
    """Return one line of the table, and the reason below it where there is one."""
    proof = result.proof
    difference = "-" if result.verdict == "skipped" else f"{result.difference:.1e}" if result.difference else "0"
    reason = f"\n     {result.reason}" if result.reason else ""
    return f"{proof.part:<44} {proof.reference:<31} {difference:>10} {proof.bound:>8.2g}  {result.verdict}{reason}"
