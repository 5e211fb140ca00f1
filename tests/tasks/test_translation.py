"""Translation: losses as torch defines them, however a step is cut or padded; figures by hand; a toy is learned."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from groundup.configs import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.configs.generation import GenerationConfig
from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.data.encoded_pairs import EncodedPairs
from groundup.data.pairs import Pairs
from groundup.data.pairs_reverse import reverse_pair
from groundup.errors import InputError
from groundup.generation.translate import Translator, translate
from groundup.models.seq2seq import Seq2Seq
from groundup.tasks import translation as module
from groundup.tasks.translation import Translation, measure_pairs
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.training.loop import fit
from groundup.training.run_folder import Run
from groundup.training.step import Stepper

BYTES = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])
CONFIG = TrainConfig(batch_size=6, device="cpu", precision="float32")


def pairs(n: int = 30, seed: int = 0, longest: int = 9) -> Pairs:
    found = [reverse_pair(seed, i, length=1 + i % longest) for i in range(n)]
    return Pairs(source=tuple(s for s, _ in found), target=tuple(t for _, t in found))


def translator(**fields: object) -> Translator:
    torch.manual_seed(0)
    sizes = {"source_vocab_size": 257, "target_vocab_size": 257, "d_model": 16, "n_heads": 2, "context_length": 12}
    layers = {"n_encoder_layers": 1, "n_decoder_layers": 1, "norm_order": "pre", "dropout": 0.0}
    model = Seq2Seq(Seq2SeqConfig(**{**sizes, **layers, **fields}))
    return Translator(model=model, source_tokenizer=BYTES, target_tokenizer=BYTES)


def task(of: Translator, **fields: object) -> Translation:
    arguments = {"train": pairs(), "validation": pairs(12, seed=1), "max_tokens": 12, "training": CONFIG, **fields}
    return Translation(translator=of, **arguments)


def loss_by_hand(of: Translator, which: Pairs, smoothing: float) -> torch.Tensor:
    """Read one pair at a time: no padding anywhere."""
    total = torch.zeros((), dtype=torch.float64)
    for source, target in which:
        wanted = of.encode_target(target)
        logits = of.model(torch.tensor([of.encode_source(source)]), torch.tensor([[of.begin_id, *wanted[:-1]]]))[0]
        total = total + F.cross_entropy(
            logits.double(), torch.tensor(wanted), reduction="sum", label_smoothing=smoothing
        )
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("blocks", [False, True], ids=["whole", "by blocks"])
def test_the_loss_is_cross_entropys_sum_without_padding(
    smoothing: float, blocks: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOGITS_IN_A_STEP", 0 if blocks else 1 << 30)
    of = translator()
    made = task(of, label_smoothing=smoothing, training=replace(CONFIG, batch_size=30))
    [batch] = made.train_batch(0)
    found = made.loss(of.model, batch)
    expected = loss_by_hand(of, pairs(), smoothing)
    assert made.n_targets(batch) == sum(len(text) + 1 for text in pairs().target)
    assert made.n_tokens(batch) == 2 * made.n_targets(batch)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)  # float32, batched in another shape


def test_padding_changes_no_gradient():
    """A pair learned beside longer ones has the gradient that it has alone."""
    of = translator()
    made = task(of, training=replace(CONFIG, batch_size=30))
    [batch] = made.train_batch(0)
    together = torch.autograd.grad(made.loss(of.model, batch), list(of.model.parameters()))
    alone = torch.autograd.grad(loss_by_hand(of, pairs(), 0.0), list(of.model.parameters()))
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)  # sums over 30 pairs in float32


def test_a_step_does_not_depend_on_how_it_is_cut():
    of = translator()
    parts = [
        task(of, batch_tokens=90, training=replace(CONFIG, batch_size=12 // n, accumulation_steps=n)) for n in (1, 3)
    ]
    for step in range(4):
        batches = [made.train_batch(step) for made in parts]
        ids = [sorted(torch.cat([batch.pairs for batch in found]).tolist()) for found in batches]
        assert ids[0] == ids[1]
        assert len(batches[1]) == min(3, len(ids[1]))
    gradients = []
    for made in parts:
        stepper = Stepper(of.model, made, made._training, torch.device("cpu"))
        gradients.append([stepper.gradient(1).loss, *(p.grad.clone() for p in of.model.parameters())])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)  # the same sums in another order


def test_figures_by_hand():
    of = translator()
    made = task(of, decoded_pairs=5)
    figures = made.evaluate(of.model)
    held = pairs(12, seed=1)
    n = sum(len(text) + 1 for text in held.target)
    assert figures["loss"] == pytest.approx(loss_by_hand(of, held, 0.0).item() / n, rel=1e-5)  # float32 logits
    said = translate(of, held.source[:5], GenerationConfig(strategy="greedy", max_new_tokens=99)).texts
    longest = max(map(len, held.target[:5])) + 1 + module.TOKENS_BEYOND
    assert figures["exact_match"] == sum(a == b for a, b in zip(said, held.target, strict=False)) / 5
    assert "bleu" not in figures  # one word each
    assert of.model.training
    assert all(len(text) <= longest for text in said if text in held.target)


def test_bleu_where_there_are_words():
    of = translator(context_length=24)
    few = Pairs(source=("ab", "c"), target=("a b c d e", "f g h i j"))
    figures = task(of, train=few, validation=few, max_tokens=24, decoded_pairs=2).evaluate(of.model)
    assert 0.0 <= figures["bleu"] < 100.0


def test_only_the_first_validation_tokens_are_scored():
    of = translator()
    few = replace(CONFIG, evaluation=EvaluationConfig(max_tokens=9))  # 2 + 3 + 4 tokens
    found = task(of, training=few).evaluate(of.model)
    first = Pairs(source=pairs(3, seed=1).source, target=pairs(3, seed=1).target)
    assert found["loss"] == pytest.approx(loss_by_hand(of, first, 0.0).item() / 9, rel=1e-5)


def test_accuracy_of_a_model_that_knows_nothing():
    of = translator()
    with torch.no_grad():
        of.model.target_embedding.weight.zero_()  # all logits are 0: token 0 is the first of the largest
    rows = tuple(np.array([0, 0, 5, 256], np.int32) for _ in range(3))
    encoded = EncodedPairs(source=rows, target=rows, pairs=pairs(3), n_too_long=0)
    figures = measure_pairs(of.model, encoded, 256)
    assert figures == {"loss": pytest.approx(math.log(257)), "token_accuracy": 0.5}


def test_rows_are_described_and_shown():
    of = translator()
    made = task(of)
    [batch] = made.train_batch(0)
    lines = made.describe(batch).splitlines()
    assert len(lines) == 6
    first = made.train.pairs.source[batch.pairs[0]]
    assert lines[0] == f'row 1  "{first}" -> "{first[::-1]}"'
    shown = made.sample(of.model, 0).split("\n\n")
    assert len(shown) == module.SHOWN_PAIRS
    assert shown[0].startswith("source  " + pairs(12, seed=1).source[0])
    quiet = replace(CONFIG, evaluation=EvaluationConfig(sample_tokens=0))
    assert task(of, training=quiet).sample(of.model, 0) == ""


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(InputError, match="pairs to learn from of at most 1 tokens on a side, found 30 longer ones"):
        task(translator(), max_tokens=1)
    with pytest.raises(InputError, match="which is 1,000 times the pairs"):
        task(translator(), training=replace(CONFIG, batch_size=30_001))


def test_a_toy_is_learned(tmp_path: Path):
    """Strings of up to 3 letters of 26, backwards: a loss under 1 needs the order, for 2.4 of 4 targets are letters."""
    of = translator(d_model=32, position="learned")
    training = TrainConfig(
        steps=150, batch_size=32, learning_rate=1e-2, device="cpu", precision="float32",
        schedule=ScheduleConfig(warmup_steps=10), evaluation=EvaluationConfig(every_steps=150, sample_tokens=0),
        checkpoints=CheckpointConfig(every_steps=1_000, every_minutes=None),
    )  # fmt: skip
    made = task(of, train=pairs(600, longest=3), validation=pairs(60, seed=1, longest=3), training=training)
    found = fit(of.model, made, training, Run.create(tmp_path / "run", training))
    assert found.metrics["loss"] < 0.7
