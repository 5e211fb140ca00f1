"""`groundup verify [ROOM …]`: the proof, as a table."""

from dataclasses import dataclass

import tyro

from groundup.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Hold each part against an outside reference on this machine."""

    rooms: tyro.conf.Positional[tuple[str, ...]] = ()
    """Rooms to prove (tokenization, layers, …). None given: all."""


def command(arguments: list[str]) -> int:
    """Print one row per proof as it is done; exit code 1 if any failed."""
    chosen = parse(Verify, arguments, program="groundup verify")
    from groundup.proofs import PROOFS
    from groundup.proofs.table import check_all

    print(f"{'part':<46} {'held against':<32} {'difference':>10} {'bound':>8}  verdict")
    counts = {"equal": 0, "within": 0, "FAILED": 0, "skipped": 0}
    for result in check_all(PROOFS, chosen.rooms):
        counts[result.verdict] += 1
        proof = result.proof
        figure = "-" if result.verdict == "skipped" else f"{result.difference:.1e}" if result.difference else "0"
        bound = f"{proof.bound:.0e}" if proof.bound else "0"
        print(f"{proof.part:<46} {proof.reference:<32} {figure:>10} {bound:>8}  {result.verdict}", flush=True)
        if result.reason:
            print(f"    {result.reason}")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count or verdict == "FAILED"))
    return 1 if counts["FAILED"] else 0
