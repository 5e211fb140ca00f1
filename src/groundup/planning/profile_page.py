"""A profile as a page for the terminal: by kind of work, by module, by operation."""

from collections.abc import Iterator

from groundup.planning.attribution import Share
from groundup.planning.profile import Profile
from groundup.planning.quantities import in_time

ROWS = 12
"""Most modules and operations shown; the rest is added up."""
NAME, BAR = 34, 16


def page(profile: Profile, name: str) -> str:
    """Return the page, at most 80 columns wide, with rich's markup for the headings."""
    slower = profile.profiled / profile.step - 1
    lines = [
        f"[bold]{name}[/]  {in_time(profile.step)} a step, {1 / profile.step:,.3g} steps a second",
        f"under the profiler {in_time(profile.profiled)} ({slower:+.0%}); below: means of {profile.n_steps} such steps",
    ]
    for title, shares in (
        ("Kind of work", profile.kinds),
        ("Module, layers added up", profile.modules),
        ("Operation, itself", profile.operations),
    ):
        lines.extend(_table(title, shares, profile.profiled))
    lines += ["", f"trace: {profile.trace}   open it in https://ui.perfetto.dev or chrome://tracing"]
    return "\n".join(lines)


def _table(title: str, shares: list[Share], step: float) -> Iterator[str]:
    yield ""
    yield f"[bold]{title:<{NAME}}[/]{'forward':>9}{'backward':>10}{'share':>8}"
    for share in shares[:ROWS]:
        yield _row(share, step)
    if rest := shares[ROWS:]:
        forward, backward = (sum(getattr(share, part) for share in rest) for part in ("forward", "backward"))
        yield _row(Share(name=f"{len(rest)} more", forward=forward, backward=backward, calls=0), step)


def _row(share: Share, step: float) -> str:
    part = share.seconds / step
    percent = "<1%" if 0 < part < 0.005 else f"{part:.0%}"
    name = share.name if len(share.name) <= NAME - 3 else f"{share.name[: NAME - 4]}…"
    forward, backward = (in_time(seconds) if seconds else "" for seconds in (share.forward, share.backward))
    bar = "█" * round(part * BAR)
    drawn = f"  [dim]{bar}[/]" if bar else ""
    return f"  {name:<{NAME - 2}}{forward:>9}{backward:>10}{percent:>8}{drawn}"
