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
from groundup.resolve import find_model, open_model
from groundup.training.run_folder import Run
from groundup.weights.new_folder import new_folder, refuse_in_use
from groundup.weights.pretrained import Pretrained
from groundup.weights.quantized_folder import save_quantized

N_TOKENS = 8_192
"""Tokens of a text on which a model is measured, unless said otherwise: about a minute for 135M parameters."""
CONTEXT_LENGTH = 512
"""Tokens of a window, or what the model sees if that is less."""
TEXT_FOR_EACH = 4
"""Tokens of a text for each that is read to quantize: parts of it are drawn."""
SURE = 0.999
"""Of the increase that is allowed, what a search goes up to: sums in another order must not exceed it in the end."""
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
        search: give more bits to the layers that cost most, as many as it takes to stay within `most_increase`.
        speed: also measure tokens a second, which holds both models once more, laid out for drawing text.
        report: is told what is being done.

    Raises:
        InputError: no such model or text, a model that cannot be quantized, no place, a search without `most_increase`.
    """
    if search and most_increase is None:
        raise InputError("expected most_increase to search for layers that keep to it, found none: say 0.03 for 3 %")
    refuse_in_use(folder)
    report(f"opening {name} …")
    found, run = open_model(name), _run_of(name)
    text = read_text(found, "validation", n_tokens=n_tokens, corpus=evaluate, run=run)
    read = None
    if config.needs_text or search:
        corpus = evaluate if calibrate is None else calibrate
        read = read_text(found, "train", n_tokens=TEXT_FOR_EACH * config.calibration_tokens, corpus=corpus, run=run)
    after, seconds = _quantized(found.model, config, read, report)
    searched = None
    if read is not None and search and most_increase is not None:
        searched = _give_more_bits(found, after, (text, read), config, most_increase, report)
        if searched.finer == "float":
            config = replace(config, skip=(*config.skip, *searched.choice.names))
    told = replace(_measured(found, after, text, report), model=Path(name).name or name, config=config,
                   seconds=seconds, search=searched, calibration=None if read is None else read.name)  # fmt: skip
    converses = found.chat_template is not None
    if most_increase is not None and not told.degradation.increase <= most_increase:
        return Quantized(report=told, folder=None, converses=converses)
    if speed:
        report("measuring speed …")
        told = replace(told, speeds=_speeds(found.model, after))
    report(f"writing {folder} …")
    _save(replace(found, model=after), told, folder)
    return Quantized(report=told, folder=folder, converses=converses)


def _run_of(name: str) -> Run | None:
    place = find_model(name)
    return Run.open(place.path) if place.kind == "run" and place.path is not None else None


def _quantized(model: GPT, config: QuantizationConfig, read: ReadText | None, report: Report) -> tuple[GPT, float]:
    """Return a copy that is quantized and shares everything else, and the seconds that took."""
    report("quantizing …")
    begin = perf_counter()
    after = _sharing_copy(model)
    quantize_model(after, config, None if read is None else _tensor(read), lambda line: report(f"quantizing: {line}"))
    return after, perf_counter() - begin


def _measured(found: Pretrained, after: GPT, text: ReadText, report: Report) -> QuantizationReport:
    """Return a report on quality and size; what was done is not in it yet."""
    window = _window(found.model)
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
        model=found.source,
        config=QuantizationConfig(),
        n_parameters=found.model.n_parameters(),
        bytes_before=bytes_of(found.model),
        bytes_after=bytes_of(after),
        degradation=lost,
        text=text.name,
        context_length=window,
        calibration=None,
        errors=tuple(layer_errors(found.model, after, _tensor(text)[None, :window])),
        speeds=None,
        seconds=0.0,
    )


def _sharing_copy(model: GPT) -> GPT:
    """Return a copy whose modules are its own, and whose weights are the model's."""
    shared = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})


def _give_more_bits(
    found: Pretrained,
    after: GPT,
    texts: tuple[ReadText, ReadText],
    config: QuantizationConfig,
    most: float,
    report: Report,
) -> Search:
    """Put finer layers into `after`, in the place of those that cost most: int8 where it is in int4, else as they were.

    What layers cost is measured on the text for that, and how many are enough on the one that judges in the end.
    """
    before, (text, read) = found.model, texts
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
        most_increase=most, costs=tuple(costs), choice=choice, finer="int8" if config.to == "int4" else "float"
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
