"""A report on a quantized model written by hand, to be shown."""

import math
from dataclasses import replace

from groundup.configs.quantization import QuantizationConfig
from groundup.evaluation.degradation import Degradation
from groundup.evaluation.layer_errors import LayerError
from groundup.evaluation.perplexity import Perplexity
from groundup.evaluation.precision_search import Choice
from groundup.evaluation.sensitivity import Sensitivity
from groundup.evaluation.throughput import Throughput
from groundup.reports.quantization_report import QuantizationReport, Search

NASTY = "<script>alert(1)</script> & \x1b[31mred \udc80"
KINDS = ("attention.query", "attention.key", "attention.value", "attention.output",
         "feed_forward.gate", "feed_forward.up", "feed_forward.down")  # fmt: skip
NAMES = ["token_embedding", *(f"blocks.{i}.{kind}" for i in range(30) for kind in KINDS)]
ERRORS = tuple(
    LayerError(name=name, error=0.02 + 0.03 * (1 + math.sin(i)), n_bytes=4_000_000, n_bytes_quantized=625_000)
    for i, name in enumerate(NAMES)
)
FOUND = QuantizationReport(
    model="smollm2",
    config=QuantizationConfig(to="int4", method="gptq"),
    n_parameters=134_515_008,
    bytes_before=538_060_032,
    bytes_after=84_000_000,
    degradation=Degradation(
        before=Perplexity(loss=3.0, n_tokens=8192, n_bytes=26_000),
        after=Perplexity(loss=3.0 + math.log(1.0212), n_tokens=8192, n_bytes=26_000),
        increase_interval=(0.0171, 0.0254),
        n_windows=31,
        largest_logit_difference=3.21,
        kl=0.0213,
        agreement=0.9312,
    ),
    text="the last tenth of shakespeare",
    context_length=512,
    calibration="the first nine tenths of shakespeare",
    errors=ERRORS,
    speeds=(
        Throughput(prefill=512.0, decode=18.0, n_prompt=128, n_drawn=32),
        Throughput(prefill=490.0, decode=90.0, n_prompt=128, n_drawn=32),
    ),
    seconds=93.0,
)
SEARCHED = replace(
    FOUND,
    search=Search(
        most_increase=0.02,
        costs=tuple(
            Sensitivity(name=name, kl=0.001 / (i + 1), n_bytes_saved=3_375_000) for i, name in enumerate(NAMES)
        ),
        choice=Choice(names=tuple(NAMES[:3]), increase=0.0188, tried={0: 0.0312, 2: 0.0207, 3: 0.0188}),
        finer="int8",
        n_tokens=8192,
    ),
)
PLAIN = replace(FOUND, config=QuantizationConfig(to="int8"), calibration=None, speeds=None)
HOSTILE = replace(FOUND, model=NASTY, text=NASTY, calibration=NASTY)
