"""Quantizing a model, from its name to a folder: what it saves and what it costs is measured, and kept with it."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import nn

from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.evaluation.degradation import compare_logits
from groundup.evaluation.layer_errors import bytes_of, layer_errors
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.evaluation.precision_search import choose_layers
from groundup.evaluation.sensitivity import replaced, sensitivities
from groundup.evaluation.throughput import Throughput, measure_throughput
from groundup.generation import prepare_for_inference, suggest_precision
from groundup.layers.embedding import TokenEmbedding
from groundup.models.gpt import GPT
from groundup.quantization.convert import quantize_model
from groundup.quantization.one_layer import quantize_layer, quantize_table
from groundup.reports.quantization_page import html_of, markdown_of
from groundup.reports.quantization_report import QuantizationReport, Search, figures_of
from groundup.reports.quantization_texts import ReadText, read_text
from groundup.resolve import Place, find_model, open_model
from groundup.training.run_folder import Run
from groundup.weights.gguf import GGUFFile
from groundup.weights.new_folder import new_folder, refuse_in_use
from groundup.weights.pretrained import Pretrained
from groundup.weights.quantized_folder import save_quantized

N_TOKENS = 8_192
"""Tokens of a text on which a model is measured, unless said otherwise: about a minute for 135M parameters."""
CONTEXT_LENGTH = 512
"""Tokens of a window, or what the model sees if that is less."""
TEXT_FOR_EACH = 4
"""Tokens of a text for each that is read to quantize: parts of it are drawn."""
SURE = 0.8
"""Of the increase that is allowed, what a search goes up to: it is judged on other text, whose increase is another."""
Report = Callable[[str], None]
"""Is told what is being done."""


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What came of it."""

    report: QuantizationReport
    """Before and after."""
    folder: Path | None
    """Where it is. None: more was lost than allowed, and nothing was kept."""
    converses: bool
    """Whether the model was taught to."""


def quantize(
    name: str,
    config: QuantizationConfig,
    folder: Path,
    *,
    evaluate: str | None = None,
    calibrate: str | None = None,
    n_tokens: int = N_TOKENS,
    most_increase: float | None = None,
    search: bool = False,
    speed: bool = True,
    report: Report = lambda line: None,
) -> Quantized:
    """Quantize the model called `name`, measure it before and after, and write it with its report to `folder`.

    Memory holds the model once, and its quantized layers. Nothing is written before the end: what is interrupted, or
    finds a full disk, leaves nothing.

    Args:
        name: whatever `groundup.load` opens, in floating point.
        config: how.
        folder: new, or empty.
        evaluate: text to measure on: the last tenth of a corpus by name, a file or folder. None: see `read_text`.
        calibrate: text to quantize or search by, where that is needed: all but a last tenth. None: as `evaluate`.
        n_tokens: tokens to measure on.
        most_increase: by which part perplexity may rise: 0.03 is 3 %. None: by any.
        search: give more bits to the layers that cost most, as many as it takes to stay within `most_increase` on the
            text behind the one that is measured on: what decides does not judge.
        speed: also measure tokens a second, which holds both models once more, laid out for drawing text.
        report: is told what is being done.

    Raises:
        InputError: no such model or text, a model that cannot be quantized, no place, a search without `most_increase`.
    """
    if search and most_increase is None:
        raise InputError("expected most_increase to search for layers that keep to it, found none: say 0.03 for 3 %")
    refuse_in_use(folder)
    report(f"opening {name} …")
    found, place = open_model(name), find_model(name)
    texts = _texts(found, place, config, n_tokens, (evaluate, calibrate), behind=search)
    after, seconds = _quantized(found.model, config, texts.read, report)
    searched = None
    if search and most_increase is not None:
        searched = _give_more_bits(found, after, texts, config, most_increase, report)
        if searched.finer == "float":
            config = replace(config, skip=(*config.skip, *searched.choice.names))
    done = _Done(
        name=Path(name).name or name, config=config, seconds=seconds, search=searched, widened=_few_bits(place)
    )
    told = _measured(found, after, texts, done, report)
    kept = most_increase is None or told.degradation.increase <= most_increase
    if kept and speed:
        report("measuring speed …")
        told = replace(told, speeds=_speeds(found.model, after))
    if kept:
        report(f"writing {folder} …")
        _save(replace(found, model=after), told, folder)
    return Quantized(report=told, folder=folder if kept else None, converses=found.chat_template is not None)


@dataclass(frozen=True)
class _Texts:
    """Texts that are read."""

    judged: ReadText
    """On which the model is measured, before and after."""
    behind: ReadText | None
    """What follows it, to search on."""
    read: ReadText | None
    """To quantize or to search by."""


@dataclass(frozen=True, kw_only=True)
class _Done:
    """What was done, of which the report says what came of it."""

    name: str
    config: QuantizationConfig
    seconds: float
    search: Search | None
    widened: str | None


def _texts(
    found: Pretrained,
    place: Place,
    config: QuantizationConfig,
    n_tokens: int,
    corpora: tuple[str | None, str | None],
    *,
    behind: bool,
) -> _Texts:
    """Return the texts of the corpora to evaluate and to calibrate on; `behind`: also one to search on."""
    run = Run.open(place.path) if place.kind == "run" and place.path is not None else None
    evaluate, calibrate = corpora
    judged, rest = read_text(found, "validation", n_tokens=(1 + behind) * n_tokens, corpus=evaluate, run=run), None
    if behind:  # the token in the middle is predicted in the first, and only seen in the second
        middle = max(1, (len(judged.ids) - 1) // 2)
        judged, rest = replace(judged, ids=judged.ids[: middle + 1]), replace(judged, ids=judged.ids[middle:])
    if not (config.needs_text or behind):
        return _Texts(judged, rest, None)
    corpus = evaluate if calibrate is None else calibrate
    n_read = TEXT_FOR_EACH * config.calibration_tokens
    return _Texts(judged, rest, read_text(found, "train", n_tokens=n_read, corpus=corpus, run=run))


def _few_bits(place: Place) -> str | None:
    """Return the formats of few bits of a file in which a model lies."""
    return GGUFFile(place.path).few_bits if place.kind == "gguf" and place.path is not None else None


def _quantized(model: GPT, config: QuantizationConfig, read: ReadText | None, report: Report) -> tuple[GPT, float]:
    """Return a copy that is quantized and shares everything else, and the seconds that took."""
    report("quantizing …")
    begin = perf_counter()
    after = _sharing_copy(model)
    quantize_model(after, config, None if read is None else _tensor(read), lambda line: report(f"quantizing: {line}"))
    return after, perf_counter() - begin


def _measured(found: Pretrained, after: GPT, texts: _Texts, done: _Done, report: Report) -> QuantizationReport:
    """Return the report on quality and size."""
    text, window = texts.judged, _window(found.model)
    lost = compare_logits(
        found.model,
        after,
        text.ids,
        context_length=window,
        byte_lengths=byte_lengths_of(found.tokenizer),
        end_id=text.end_id,
        report=report,
    )
    report("measuring each layer …")
    return QuantizationReport(
        model=done.name,
        config=done.config,
        n_parameters=found.model.n_parameters(),
        bytes_before=bytes_of(found.model),
        bytes_after=bytes_of(after),
        degradation=lost,
        text=text.name,
        context_length=window,
        calibration=None if texts.read is None else texts.read.name,
        errors=tuple(layer_errors(found.model, after, _tensor(text)[None, :window])),
        speeds=None,
        seconds=done.seconds,
        search=done.search,
        widened=done.widened,
    )


def _sharing_copy(model: GPT) -> GPT:
    """Return a copy whose modules are its own, and whose weights are the model's."""
    shared = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})


def _give_more_bits(
    found: Pretrained,
    after: GPT,
    texts: _Texts,
    config: QuantizationConfig,
    most: float,
    report: Report,
) -> Search:
    """Put finer layers into `after`, in the place of those that cost most: int8 where it is in int4, else as they were.

    What layers cost is measured on the text for that, and how many are enough on what follows the one that judges in
    the end.
    """
    before, text, read = found.model, texts.behind, texts.read
    assert text is not None
    assert read is not None
    lengths = byte_lengths_of(found.tokenizer)

    def loss_of(model: GPT) -> float:
        return evaluate_tokens(
            model, text.ids, context_length=_window(model), byte_lengths=lengths, end_id=text.end_id
        ).loss

    costs = sensitivities(before, after, _tensor(read), report=lambda line: report(f"searching: {line}"))
    finer = {one.name: _finer(before.get_submodule(one.name), config) for one in costs}
    report("searching: measuring the model as it was")
    loss_before = loss_of(before)

    def increase(left: tuple[str, ...]) -> float:
        report(f"searching: measuring with {len(left)} of {len(costs)} layers finer")
        with replaced(after, {name: finer[name] for name in left}):
            return math.expm1(min(loss_of(after) - loss_before, 700))

    choice = choose_layers(costs, increase, most=most * SURE)
    for name in choice.names:
        after.set_submodule(name, finer[name])
    return Search(
        most_increase=most,
        costs=tuple(costs),
        choice=choice,
        finer="int8" if config.to == "int4" else "float",
        n_tokens=len(text.ids) - 1,
    )


def _finer(layer: nn.Module, config: QuantizationConfig) -> nn.Module:
    """Return a layer in 8 bits where others have 4, else the layer as it is."""
    if config.to == "int8":
        return layer
    in_int8 = QuantizationConfig(to="int8")
    if isinstance(layer, TokenEmbedding):
        return quantize_table(layer, in_int8)
    assert isinstance(layer, nn.Linear)
    return quantize_layer(layer, in_int8)


def _speeds(before: GPT, after: GPT) -> tuple[Throughput, Throughput]:
    prepared = [prepare_for_inference(model, suggest_precision(model)) for model in (before, after)]
    one, other = measure_throughput(prepared)
    return one, other


def _save(found: Pretrained, told: QuantizationReport, folder: Path) -> None:
    """Write model and report, whole or not at all."""
    with new_folder(folder) as beside:
        save_quantized(found, beside, told.config, note=figures_of(told))
        for name, text in markdown_of(told).items():
            (beside / name).write_text(text, encoding="utf-8")
        (beside / "report.html").write_text(html_of(told), encoding="utf-8")


def _tensor(text: ReadText) -> torch.Tensor:
    return torch.from_numpy(np.asarray(text.ids).astype(np.int64))


def _window(model: GPT) -> int:
    return min(CONTEXT_LENGTH, model.context_length)
