"""Runs side by side: a table for each task, with quality first and then what it cost, and how to read it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.configs.run_tasks import run_task
from groundup.errors import InputError
from groundup.planning.quantities import digits, in_bytes, in_time
from groundup.reports.run_figures import RunFigures, read_figures
from groundup.reports.tables import Cell, Column, Table

TASKS = {
    "classify": "Classification",
    "text": "Text",
    "chat": "Conversations",
    "prefer": "Preferences",
    "train": "Trained from random weights",
    "images": "Images",
}
"""Headings, in their order."""
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "auc": "AUC",
    "calibration_error": "ECE",
    "log_loss": "log loss",
    "perplexity": "perplexity",
    "base_perplexity": "perplexity of the base",
    "bits_per_byte": "bits/byte",
    "loss": "loss",
}
"""Figures in their order, with what stands above them. Others follow under their own names."""
AS_PERCENT = ("accuracy", "macro_f1")
"""Fractions that people read as percentages."""
BESIDE_PERPLEXITY = ("loss", "base_loss", "base_bits_per_byte")
"""Figures of a test that say in other units what its perplexities say."""
PER_TOKEN = ("text", "chat")
"""Tasks whose losses are of the base's own tokens."""
NO_FIGURES = ("step", "seconds")
"""What a validation record holds besides figures."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of one task."""

    task: str
    """As configs name it."""
    names: tuple[str, ...]
    """What the runs are called here, each differently."""
    runs: tuple[RunFigures, ...]
    """In the order they were given."""

    @property
    def title(self) -> str:
        """A heading."""
        return TASKS.get(self.task, self.task)

    @property
    def main_metric(self) -> str:
        """The test figure that stands for quality; the validation perplexity or loss where there is no test."""
        tested = {name for run in self.runs if run.test for name in run.test.metrics}
        seen = {name for run in self.runs for one in run.evaluations for name in one}
        return next(iter(_ordered(tested)), "perplexity" if "perplexity" in seen else "loss")

    @property
    def is_tested(self) -> bool:
        """Whether `main_metric` is of a test."""
        return any(run.test is not None and run.test.metrics for run in self.runs)


def read_groups(folders: Sequence[Path]) -> list[Group]:
    """Read runs, and put those of one task together.

    Raises:
        InputError: no run, one that is given twice, a folder that is no run, or a damaged one.
    """
    if not folders:
        raise InputError("expected the folders of runs, found none: groundup report runs/one runs/another")
    places: dict[Path, Path] = {}
    for folder in folders:
        if (place := folder.absolute().resolve()) in places:
            raise InputError(f"expected each run once, found {folder} twice: leave one out")
        places[place] = folder
    runs = [read_figures(folder) for folder in folders]
    names = dict(zip(folders, short_names(list(places)), strict=True))
    groups = []
    for task in sorted({run.task for run in runs}, key=lambda task: ([*TASKS, task].index(task), task)):
        found = tuple(run for run in runs if run.task == task)
        groups.append(Group(task=task, names=tuple(names[run.path] for run in found), runs=found))
    return groups


def short_names(places: Sequence[Path]) -> list[str]:
    """Return what to call different folders: the last part of each, or as many as tell it from the others.

    Example:
        >>> short_names([Path("/runs/a/lora"), Path("/runs/b/lora"), Path("/runs/full")])
        ['a/lora', 'b/lora', 'full']
    """
    names = []
    for place in places:
        endings = ["/".join(place.parts[-n:]) for n in range(1, len(place.parts) + 1)]
        others = [other.as_posix() for other in places if other != place]
        names.append(next(one for one in endings if not any(f"/{other}".endswith(f"/{one}") for other in others)))
    return names


def table_of(group: Group) -> Table:
    """Return the table of a group, a row a run; what no run of it has gets no column, what some lack is a –."""
    columns: list[tuple[Column, Callable[[RunFigures], Cell]]] = [
        (Column(title="base", is_number=False), lambda run: _cell(run.base, short_base)),
        (Column(title="method", is_number=False), lambda run: _cell(run.method)),
        *_quality(group),
        (Column(title="trainable"), lambda run: _cell(run.trainable, "{:,}".format)),
        (Column(title="share"), lambda run: _cell(run.share, in_share)),
        (Column(title="peak memory"), lambda run: _cell(run.peak_bytes, in_bytes)),
        (Column(title="time"), lambda run: _cell(run.seconds, in_time)),
        (Column(title=f"{run_task(group.task).counts}/s"), lambda run: _cell(run.tokens_per_second, "{:,.0f}".format)),
        (Column(title="checkpoint"), lambda run: _cell(run.checkpoint_bytes, in_bytes)),
    ]
    if group.task == "train":
        columns = columns[2:]  # they begin with random weights, all of which learn
    cells = [[read(run) for _, read in columns] for run in group.runs]
    kept = [i for i in range(len(columns)) if any(row[i] != Cell() for row in cells)]
    rows = tuple((Cell(name), *(row[i] for i in kept)) for name, row in zip(group.names, cells, strict=True))
    return Table(columns=(Column(title="run", is_number=False), *(columns[i][0] for i in kept)), rows=rows)


def notes_of(group: Group) -> list[str]:
    """Return what a reader of the table must know."""
    notes = []
    tested = [run.test for run in group.runs if run.test is not None]
    sizes = sorted({test.n for test in tested if test.n is not None})
    if sizes:
        counted = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        intervals = ", with 95% confidence intervals" if any(test.intervals for test in tested) else ""
        if group.task == "text":
            notes.append(f"Measured on {counted} held-out tokens: those of validation, which chose the best weights.")
        else:
            of = "tokens" if group.task == "train" else "examples"
            notes.append(f"Measured on {counted} test {of}{intervals}.")
    if any(run.evaluations for run in group.runs):
        notes.append("Validation figures are those of each run's best evaluation.")
    if other := _differences([run.data for run in group.runs]):
        fields = ", ".join(f"data.{name}" for name in other)
        things = "images" if group.task == "images" else "texts"
        notes.append(f"The runs differ in {fields}: their figures may be of different {things}.")
    if group.task in PER_TOKEN and len({run.base for run in group.runs}) > 1:
        notes.append("The runs have different bases: losses and perplexities are of different tokens.")
    for name, run in zip(group.names, group.runs, strict=True):
        if run.test is None and run.step is not None and run.n_steps is not None and run.step < run.n_steps:
            notes.append(f"{name} stands at step {run.step:,} of {run.n_steps:,}.")
        elif run.step is not None and run.test_step is not None and run.step > run.test_step:
            end = "" if run.n_steps is None else f" of {run.n_steps:,}"
            notes.append(f"{name} stands at step {run.step:,}{end}; its test and costs are of step {run.test_step:,}.")
        elif not run.evaluations and run.test is None:
            notes.append(f"{name} has not been evaluated.")
    return notes


def short_base(base: str) -> str:
    """Return what to call a base: of a path, its last part.

    Example:
        >>> short_base("/runs/mine"), short_base("openai-community/gpt2")
        ('mine', 'openai-community/gpt2')
    """
    return Path(base).name if Path(base).is_absolute() else base


def in_share(share: float) -> str:
    """Return a fraction as a percentage with two digits that say something.

    Example:
        >>> in_share(1.0), in_share(0.0634), in_share(0.00342), in_share(0.000086)
        ('100%', '6.3%', '0.34%', '0.0086%')
    """
    percent = share * 100
    if percent >= 9.95 or percent == 0:
        return f"{percent:.0f}%"
    places = 1
    while percent < 0.995 * 10 ** (1 - places) and places < 8:
        places += 1
    return f"{percent:.{places}f}%"


def in_figures(metric: str, value: float) -> str:
    """Return a figure as its kind is read.

    Example:
        >>> in_figures("accuracy", 0.98662), in_figures("auc", 0.99871), in_figures("perplexity", 17.348)
        ('98.7%', '0.999', '17.3')
    """
    if metric in AS_PERCENT:
        return f"{value:.1%}"
    return digits(value) if metric.endswith("perplexity") else f"{value:.3f}"


def title_of(metric: str) -> str:
    """Return what stands above a metric."""
    return METRICS.get(metric, metric.replace("_", " "))


def measured_part(group: Group) -> str:
    """Return what the test of a group is of: a text that is learned has no third part."""
    return "held-out" if group.task == "text" else "test"


def _quality(group: Group) -> list[tuple[Column, Callable[[RunFigures], Cell]]]:
    found = {name for run in group.runs if run.test for name in run.test.metrics}
    tested = _ordered(found.difference(BESIDE_PERPLEXITY) if "perplexity" in found else found)
    seen = _ordered({name for run in group.runs for name in (run.best or {}) if name not in NO_FIGURES})
    shown = [name for name in seen if name == "loss" or not tested]
    return [
        *(
            (Column(title=f"{measured_part(group)} {title_of(name)}"), lambda run, name=name: _test_cell(run, name))
            for name in tested
        ),
        *((Column(title=f"val. {title_of(name)}"), lambda run, name=name: _best_cell(run, name)) for name in shown),
    ]


def _test_cell(run: RunFigures, name: str) -> Cell:
    if run.test is None or name not in run.test.metrics:
        return Cell()
    ends = run.test.intervals.get(name)
    note = "" if ends is None else "–".join(in_figures(name, end).removesuffix("%") for end in ends)
    return Cell(in_figures(name, run.test.metrics[name]), note)


def _best_cell(run: RunFigures, name: str) -> Cell:
    best = run.best or {}
    return Cell(in_figures(name, best[name])) if name in best else Cell()


def _cell(value: object, show: Callable[..., str] = str) -> Cell:
    return Cell() if value is None else Cell(show(value))


def _ordered(names: Iterable[str]) -> list[str]:
    known = list(METRICS)
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def _differences(configs: Sequence[dict[str, object]]) -> list[str]:
    """Return the names of fields in which configs differ."""
    names = sorted({name for config in configs for name in config})
    return [name for name in names if any(config.get(name) != configs[0].get(name) for config in configs[1:])]
