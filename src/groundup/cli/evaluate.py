"""`groundup evaluate`: a run on its validation text, a file of texts on references, a model on the field's harness."""

from dataclasses import dataclass, fields
from pathlib import Path

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least
from groundup.errors import InputError

_BELONG_TO = {
    "max_tokens": "run",
    "references": "hypotheses",
    "baseline": "hypotheses",
    "metrics": "hypotheses",
    "tokenizer": "hypotheses",
    "lowercase": "hypotheses",
    "resamples": "hypotheses",
    "limit": "harness",
    "few_shot": "harness",
    "chat": "harness",
    "batch_size": "harness",
}
"""Which of the three ways an option belongs to."""
_SAYS = {"run": "a RUN without --harness", "hypotheses": "--hypotheses FILE", "harness": "MODEL --harness TASK"}


@tyro.conf.configure(tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a run, a file of texts or, on the tasks of lm-eval, any model.

    RUN: loss, perplexity and bits per byte on its validation text; of a run that translates, BLEU on its test pairs;
    of a run on images, accuracy on its test images, class by class, with the confusion matrix as a picture.
    --hypotheses FILE --references FILE …: BLEU, chrF, ROUGE and others, with intervals. MODEL --harness TASK …: what
    lm-eval measures.
    """

    run: tyro.conf.Positional[str] = ""
    """Folder of a run; with --harness any model: a name that groundup models lists, a folder, a .gguf file."""
    max_tokens: int | None = None
    """Validation tokens to score. None: all of them."""
    hypotheses: Path | None = None
    """Texts of a system, one a line."""
    references: tuple[Path, ...] = ()
    """What they should say: one file or more, line n for line n."""
    baseline: Path | None = None
    """Texts of another system: is the first better, or lucky with these texts?"""
    metrics: tuple[str, ...] = ("bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact", "wer", "cer")
    """What to measure; also chrf++ and rougeLsum."""
    tokenizer: str = "13a"
    """How BLEU cuts texts: 13a, intl, zh, char, none."""
    lowercase: bool = False
    """Case does not count (for ROUGE it never does)."""
    resamples: int = 1_000
    """Times that texts are drawn with replacement, for intervals and comparison."""
    harness: tuple[str, ...] = ()
    """Tasks of lm-eval, by name or as task files (.yaml)."""
    limit: int | None = None
    """Examples of each task. None: all."""
    few_shot: int | None = None
    """Worked examples before each question. None: what the task says."""
    chat: bool = False
    """Lay questions out by the model's chat template."""
    batch_size: int = 8
    """Texts read at once."""

    def __post_init__(self) -> None:
        """Refuse impossible values, and options that would do nothing, with one InputError."""
        for name in ("max_tokens", "limit"):
            if getattr(self, name) is not None:
                at_least(self, name, 1)
        if self.few_shot is not None:
            at_least(self, "few_shot", 0)
        at_least(self, "resamples", 1)
        at_least(self, "batch_size", 1)
        if bool(self.run) == (self.hypotheses is not None):
            found = "both" if self.run else "neither"
            raise InputError(f"expected a RUN or --hypotheses FILE, found {found}: groundup evaluate --help shows how")
        if self.harness and not self.run:
            raise InputError("expected a MODEL with --harness, found --hypotheses: leave one out")
        way = "hypotheses" if self.hypotheses is not None else "harness" if self.harness else "run"
        for field in fields(self):
            belongs = _BELONG_TO.get(field.name, way)
            if belongs != way and getattr(self, field.name) != field.default:
                option = f"--{field.name.replace('_', '-')}"
                raise InputError(f"expected {_SAYS[belongs]} with {option}, found {_SAYS[way]}: leave {option} out")
        if self.hypotheses is not None and not self.references:
            raise InputError("expected --references FILE with --hypotheses, found none: name at least one")


def command(arguments: list[str]) -> int:
    """Parse, measure, print one row per figure."""
    chosen = parse(Evaluate, arguments, program="groundup evaluate")
    if chosen.hypotheses is not None:
        _print_scores(chosen, chosen.hypotheses)
    elif chosen.harness:
        _print_harness(chosen)
    elif _task(Path(chosen.run)) == "images":
        _print_images(Path(chosen.run), chosen.max_tokens)
    else:
        figures = _figures(Path(chosen.run), chosen.max_tokens)
        width = max(20, *map(len, figures)) + 2
        for name, value in figures.items():
            print(f"{name:<{width}}{value:,}" if isinstance(value, int) else f"{name:<{width}}{value:.4f}")
    return 0


def _task(folder: Path) -> object:
    from groundup.training.run_folder import Run

    return Run.open(folder).config.get("task")


def _print_images(folder: Path, max_tokens: int | None) -> None:
    from groundup.evaluation.classification_text import classification_text
    from groundup.training.images import evaluate_image_run

    if max_tokens is not None:
        raise InputError(
            "expected a run that learned a text with --max-tokens, found one on images: leave --max-tokens out"
        )
    found = evaluate_image_run(folder)
    print(f"{found.source}; weights of step {found.step:,}\n\n{classification_text(found.report, 'images')}\n")
    for picture in found.pictures:
        print(f"wrote {picture}")


def _figures(folder: Path, max_tokens: int | None) -> dict[str, float]:
    task = _task(folder)
    if task == "translate":
        from groundup.training.translated import evaluate_translation_run

        if max_tokens is not None:
            raise InputError(
                "expected a run that learned a text with --max-tokens, found one that translates: leave it out"
            )
        return evaluate_translation_run(folder)
    if task == "mask":
        from groundup.training.masked import evaluate_masked_run

        return evaluate_masked_run(folder, max_tokens=max_tokens)
    from groundup.training.trained import evaluate_run

    return evaluate_run(folder, max_tokens=max_tokens)


def _print_scores(chosen: Evaluate, hypotheses: Path) -> None:
    from groundup.evaluation.text_scores import chosen_metrics, score_files, scores_text

    metrics = chosen_metrics(chosen.metrics, tokenizer=chosen.tokenizer, lowercase=chosen.lowercase)
    n_texts, scores = score_files(
        metrics, hypotheses, chosen.references, baseline=chosen.baseline, resamples=chosen.resamples
    )
    beside = "" if chosen.baseline is None else f", beside {chosen.baseline}"
    print(f"{n_texts:,} texts of {hypotheses}{beside}; figures in percent, ↓: lower is better")
    print(scores_text(scores))


def _print_harness(chosen: Evaluate) -> None:
    from groundup.evaluation.harness import evaluate_with_harness
    from groundup.resolve import open_model

    figures = evaluate_with_harness(
        open_model(chosen.run),
        chosen.harness,
        limit=chosen.limit,
        n_few_shot=chosen.few_shot,
        batch_size=chosen.batch_size,
        chat=chosen.chat,
    )
    print(f"{'task':<28}{'metric':<24}{'value':>10}{'standard error':>17}")
    for one in figures:
        error = "-" if one.standard_error is None else f"{one.standard_error:.4f}"
        print(f"{one.task:<28}{one.metric:<24}{one.value:>10.4f}{error:>17}")
