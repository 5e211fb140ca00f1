"""Events of the profiler find their module, kind and pass; made-up events, and real ones."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import TrainConfig
from groundup.errors import InputError
from groundup.planning.attribution import (
    BACKWARD,
    BETWEEN,
    DATA,
    KINDS,
    MODULE,
    OUTSIDE,
    Share,
    Spans,
    by_kind,
    by_module,
    by_operation,
)
from groundup.planning.profile import Profile, profile_run
from groundup.planning.profile_page import page


@dataclass
class Made:
    """An event without torch."""

    name: str
    cpu_parent: "Made | None" = None
    sequence_nr: int = -1
    self_cpu_time_total: float = 1e6
    self_device_time_total: float = 3e6


def seconds(shares: list[Share]) -> dict[str, tuple[float, float]]:
    return {share.name: (share.forward, share.backward) for share in shares}


def test_a_backward_operation_belongs_where_its_forward_operation_does():
    module = Made(f"{MODULE}blocks.attention")
    inner = Made(f"{MODULE}blocks.attention.query", module)
    forward = Made("aten::mm", inner, sequence_nr=7)
    backward = Made(f"{BACKWARD}: MmBackward0", sequence_nr=7)
    gradient = Made("aten::mm", backward)
    spans = Spans([module, inner, forward, backward, gradient], n_steps=1)
    assert seconds(by_module(spans)) == {"blocks.attention.query": (2.0, 2.0), "blocks.attention": (1.0, 0.0)}
    assert seconds(by_operation(spans)) == {"aten::mm": (1.0, 1.0)}
    assert seconds(by_kind(spans, 6.0)) == {
        "matrix products": (1.0, 2.0), "other": (2.0, 0.0), BETWEEN: (1.0, 0.0)}  # fmt: skip


def test_of_operations_with_one_number_the_last_made_the_gradient():
    data = Made(DATA)
    chunk = Made("aten::chunk", data, sequence_nr=3)  # needs no gradient: it carries the next number
    module = Made(f"{MODULE}token_embedding")
    embedding = Made("aten::embedding", module, sequence_nr=3)
    backward = Made(f"{BACKWARD}: EmbeddingBackward0", sequence_nr=3)
    found = seconds(by_module(Spans([data, chunk, module, embedding, backward], n_steps=1)))
    assert found == {"token_embedding": (2.0, 1.0), "data": (2.0, 0.0)}


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("aten::scaled_dot_product_attention", "aten::softmax"), "attention"),
        (("aten::layer_norm", "aten::native_layer_norm"), "norms"),
        (("aten::cross_entropy_loss", "aten::log_softmax"), "loss"),
        (("aten::linear", "aten::addmm"), "matrix products"),
        (("aten::gelu",), "activations"),
        (("groundup: optimizer", "Optimizer.step#AdamW.step", "aten::mul_"), "optimizer"),
        (("groundup: data", "aten::chunk"), "data"),
        (("aten::add",), "other"),
        (("aten::linalg_vector_norm",), "other"),
    ],
)
def test_kinds(names: tuple[str, ...], kind: str):
    events: list[Made] = []
    for name in names:
        events.append(Made(name, events[-1] if events else None))
    inner = Spans(events, n_steps=1).spans[-1]
    assert inner.kind == kind


def test_figures_are_of_one_step_and_of_the_gpu_where_there_is_one():
    events = [Made("aten::add") for _ in range(4)]
    on_cpu, on_gpu = (by_operation(Spans(events, n_steps=2, on_device=on)) for on in (False, True))
    assert (on_cpu[0].seconds, on_cpu[0].calls, on_gpu[0].seconds) == (2.0, 2.0, 6.0)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    folder = tmp_path_factory.mktemp("profile")
    (folder / "text.txt").write_text("abcdefgh\n" * 500, encoding="utf-8")
    config = RunConfig(
        data=DataConfig(corpus=str(folder / "text.txt")),
        model=GPTConfig(context_length=16, d_model=16, n_layers=2, n_heads=2),
        training=TrainConfig(batch_size=2, accumulation_steps=2, device="cpu", precision="float32"),
    )
    return profile_run(config, folder, folder / "trace.json", steps=2)


def test_every_module_that_computes_is_found_forward_and_backward(real: Profile):
    modules = {share.name: share for share in real.modules}
    for name in (
        "token_embedding",
        "blocks.attention",
        "blocks.attention_norm",
        "blocks.feed_forward.up",
        "final_norm",
    ):
        assert modules[name].forward > 0, name
        assert modules[name].backward > 0, name
    assert modules["data"].backward == modules["optimizer"].backward == 0
    assert modules[OUTSIDE].backward > 0  # the loss
    assert {share.name for share in real.kinds} == {*KINDS, "optimizer", "data", "other", BETWEEN}


def test_the_three_tables_share_out_the_same_time(real: Profile):
    modules, kinds = (sum(share.seconds for share in table) for table in (real.modules, real.kinds))
    between = next(share.seconds for share in real.kinds if share.name == BETWEEN)
    assert modules == pytest.approx(kinds - between)
    assert kinds == pytest.approx(max(real.profiled, modules))


def test_the_trace_is_one_that_viewers_read(real: Profile):
    text = real.trace.read_text(encoding="utf-8")
    assert '"traceEvents"' in text
    assert "groundup: module blocks.attention" in text


def test_the_page_fits_in_80_columns(real: Profile):
    for line in page(real, "a-recipe").splitlines():
        plain = line.replace("[bold]", "").replace("[dim]", "").replace("[/]", "")
        assert len(plain) <= 80 or plain.startswith("trace: "), plain
        assert plain == plain.rstrip()


def test_a_trace_is_never_overwritten(real: Profile, tmp_path: Path):
    with pytest.raises(InputError, match=r"expected a new file for the trace, found .* in use"):
        profile_run(RunConfig(), tmp_path, real.trace)
    with pytest.raises(InputError, match="expected a folder for the trace, found nothing at"):
        profile_run(RunConfig(), tmp_path, tmp_path / "no" / "trace.json")
