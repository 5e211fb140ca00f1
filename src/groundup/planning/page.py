"""A plan as a page for the terminal: parameters, compute, memory, time."""

from collections.abc import Callable, Iterator

from groundup.planning.fitting import flags
from groundup.planning.plan import Plan
from groundup.planning.quantities import digits, in_bytes, in_flops, in_time

NAME, VALUE, BAR = 22, 12, 10
"""Columns of a row: what, how much, and its share drawn."""


def page(plan: Plan, name: str) -> str:
    """Return the page, at most 80 columns wide, with rich's markup for the headings."""
    sections = (_heading(plan, name), _parameters(plan), _compute(plan), _memory(plan), _time(plan), _next(plan, name))
    return "\n".join(line for section in sections for line in section)


def _heading(plan: Plan, name: str) -> Iterator[str]:
    model, training = plan.config.model, plan.config.training
    cut = f" in {training.accumulation_steps} parts" if training.accumulation_steps > 1 else ""
    yield f"[bold]{name}[/]  {model.n_layers} layers, {model.d_model} wide, context {model.context_length}"
    sequences = training.sequences_per_step
    yield f"{training.steps:,} steps of {plan.tokens_per_step:,} tokens ({sequences} sequences{cut})"


def _parameters(plan: Plan) -> Iterator[str]:
    found = plan.parameters
    yield from _title("Parameters", f"{found.total:,}")
    size = plan.config.model.vocab_size
    about = f"vocabulary {size:,}" if plan.is_vocabulary_certain else f"vocabulary about {size:,}"
    yield from _shares(
        [
            ("embeddings", found.embeddings, about),
            ("attention", found.attention, ""),
            ("feed-forward", found.feed_forward, ""),
            ("norms", found.norms, ""),
            ("head", found.head, "" if found.head else "shares the embeddings"),
        ],
        lambda value: f"{value:,.0f}",
    )


def _compute(plan: Plan) -> Iterator[str]:
    flops = plan.flops
    yield from _title("Compute", f"{in_flops(flops.training)} a token: forward {in_flops(flops.forward)}, x 3")
    yield from _shares(
        [
            ("attention projections", flops.projections, ""),
            ("attention, T x T", flops.scores, ""),
            ("feed-forward", flops.feed_forward, ""),
            ("head", flops.head, ""),
        ],
        in_flops,
    )
    total = plan.flops_per_step * plan.config.training.steps
    yield _row("a step", in_flops(plan.flops_per_step))
    yield _row("the run", in_flops(total))


def _memory(plan: Plan) -> Iterator[str]:
    memory = plan.memory
    where = "on the GPU" if plan.place == "cuda" else "here" if plan.is_this_machine else "as asked for"
    limit = "" if plan.limit is None else f", of {in_bytes(plan.limit)} free {where}"
    limit = limit if plan.is_this_machine else limit.replace(" free", "")
    yield from _title("Memory", f"{in_bytes(memory.peak)} at its peak{limit}")
    moments = "1 to 2 moments" if plan.config.training.optimizer.name == "muon" else "2 moments"
    batch = plan.config.training.batch_size
    sequences = "1 sequence" if batch == 1 else f"{batch} sequences"
    rows: list[tuple[str, float, str]] = [
        ("weights", memory.weights, ""),
        ("gradients", memory.gradients, ""),
        ("optimizer", memory.optimizer, moments),
        ("activations", memory.activations, sequences),
        ("logits and loss", memory.logits, ""),
        ("backward workspace", memory.workspace, ""),
        ("evaluation, on top", memory.evaluation, ""),
        ("Python and libraries", memory.process, ""),
    ]
    yield from _shares([row for row in rows if row[1]], in_bytes)
    if memory.cache:
        yield _row("cache, while sampling", in_bytes(memory.cache), "in memory that is free then")
    if plan.trial is not None and plan.trial.peak_bytes is not None:
        yield _row("measured in the trial", in_bytes(plan.trial.peak_bytes), "a few steps, a part of an evaluation")
    if plan.largest is not None:
        yield f"  there is room for {flags(plan.config, plan.largest)}"


def _time(plan: Plan) -> Iterator[str]:
    times, trial, training = plan.times, plan.trial, plan.config.training
    if times is None or trial is None:
        yield from _title("Time", "not measured")
        return
    yield from _title("Time", f"{in_time(times.total)} on this machine, as busy as it is now")
    n = plan.n_evaluations
    rows: list[tuple[str, float, str]] = [
        ("preparation", times.preparation, "" if trial.is_whole_text else "from a part of the text"),
        ("steps", times.steps, f"{training.steps:,} x {in_time(trial.step)}"),
        ("evaluations", times.evaluations, f"{n:,} x {in_time(trial.evaluation)}"),
        ("samples", times.samples, f"{n:,} x {in_time(trial.sample)}"),
        ("checkpoints", times.checkpoints, ""),
    ]
    yield from _shares(rows, in_time)
    rate, epochs = plan.tokens_per_step / trial.step, plan.tokens_per_step * training.steps / trial.n_train_tokens
    yield _row("tokens a second", f"{rate:,.0f}", f"± {trial.step_spread:.0%}, the text {digits(epochs)} times")
    threads = f", {trial.threads} thread{'s' * (trial.threads > 1)}" if trial.device == "cpu" else ""
    achieved, peak = plan.flops_per_second or 0.0, trial.flops_per_second
    yield _row("MFU", f"{plan.utilization or 0:.0%}", f"{in_flops(achieved)}/s of {in_flops(peak)}/s measured")
    yield _row("", "", f"{trial.precision} on {trial.device}{threads}")
    if training.evaluation.patience is not None:
        yield f"  less if {training.evaluation.patience} evaluations without a new best end it early"


def _next(plan: Plan, name: str) -> Iterator[str]:
    yield ""
    if plan.trial is None:
        yield "arithmetic only: a trial (half a minute) would add time and utilization"
    yield "Attention is counted over all T x T pairs; memory is estimated within a fifth."


def _title(name: str, summary: str) -> Iterator[str]:
    yield ""
    yield f"[bold]{name:<12}[/]{summary}"


def _row(name: str, value: str, note: str = "") -> str:
    return f"  {name:<{NAME}}{value:>{VALUE}}  {note}".rstrip()


def _shares(rows: list[tuple[str, float, str]], show: Callable[[float], str]) -> Iterator[str]:
    """Yield a row for each part, with its share of all of them as a bar."""
    total = sum(value for _, value, _ in rows) or 1
    for name, value, note in rows:
        share = value / total
        percent = "<1%" if 0 < share < 0.005 else f"{share:.0%}"
        bar = "█" * round(share * BAR)
        drawn = f"  [dim]{bar}[/]{' ' * (BAR - len(bar))}  {note}" if note else f"  [dim]{bar}[/]" if bar else ""
        yield f"  {name:<{NAME}}{show(value):>{VALUE}} {percent:>5}{drawn}"
