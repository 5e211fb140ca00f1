"""Masked language modelling: the loss of hidden tokens alone, cut in any way; a fixed mask to measure with."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from groundup.configs import CheckpointConfig, EvaluationConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskingConfig
from groundup.data.corpora import find_corpus
from groundup.data.tokens import open_tokens, prepare_tokens
from groundup.errors import InputError
from groundup.models.encoder import Encoder
from groundup.tasks import masked_lm
from groundup.tasks.masked_lm import MaskedLM
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.mask_token import mask_id, with_mask
from groundup.tokenization.word_numbers import word_numbers
from groundup.training.loop import fit
from groundup.training.run_folder import Run
from groundup.training.step import Stepper

BPE = with_mask(ByteBPE([(b"t", b"h"), (b"th", b"e"), (b" ", b"the"), (b" ", b"b")], [END_OF_TEXT]))
TRAINING = TrainConfig(
    batch_size=6, device="cpu", precision="float32", evaluation=EvaluationConfig(max_tokens=200, sample_tokens=1)
)
CONTEXT = 24


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty short documents and one that is longer than the context."""
    folder = tmp_path_factory.mktemp("texts")
    for i in range(60):
        (folder / f"{i:02}.txt").write_text(f"the {i} birds" + " sing" * (i % 3))
    (folder / "10b.txt").write_text("the birds " * 9)
    prepare_tokens(find_corpus(str(folder)), BPE, folder / "tokens", validation_fraction=0.3)
    return folder / "tokens"


def task(
    tokens: Path, masking: MaskingConfig | None = None, training: TrainConfig = TRAINING, **other: object
) -> MaskedLM:
    arguments: dict[str, object] = {"tokenizer": BPE, "context_length": CONTEXT, "end_id": BPE.end_id} | other
    return MaskedLM(
        train=open_tokens(tokens, "train"), validation=open_tokens(tokens, "validation"),
        masking=masking or MaskingConfig(), training=training, **arguments,
    )  # fmt: skip


def encoder() -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(
        vocab_size=BPE.vocab_size, context_length=CONTEXT, d_model=16, n_layers=1, n_heads=2, dropout=0.0
    )
    return Encoder(config)


def test_a_batch_holds_whole_texts_behind_the_end_token_and_the_hidden_tokens_of_them(tokens: Path):
    found = task(tokens)
    for step in range(8):
        [batch] = found.train_batch(step)
        assert (batch.tokens[:, 0] == BPE.end_id).all()
        assert not (batch.places % batch.tokens.shape[1] == 0).any()  # what stands before a text is never hidden
        assert batch.is_token.flatten()[batch.places].all()
        assert not torch.isin(batch.targets, torch.tensor(list(BPE.special_tokens.values()))).any()
        restored = batch.tokens.flatten().clone()
        restored[batch.places] = batch.targets
        texts = [
            BPE.decode(row[real][1:].tolist())
            for row, real in zip(restored.view_as(batch.tokens), batch.is_token, strict=True)
        ]
        assert all(text.startswith(("the", "bird", " the", "s", " b")) for text in texts), texts
        assert all(text in "the birds " * 9 or "sing" in text or text.split()[1].isdigit() for text in texts)
        assert (found.n_targets(batch), found.n_tokens(batch)) == (len(batch.targets), int(batch.is_token.sum()))
    assert found.n_texts > 40


def test_the_loss_is_cross_entropy_at_hidden_places_alone(tokens: Path, monkeypatch: pytest.MonkeyPatch):
    found, model = task(tokens), encoder()
    torch.nn.init.normal_(model.output_bias)
    [batch] = found.train_batch(0)
    logits = model(batch.tokens, is_token=batch.is_token).flatten(0, 1)[batch.places]
    expected = F.cross_entropy(logits, batch.targets, reduction="sum")
    torch.testing.assert_close(found.loss(model, batch), expected)  # float32, other row counts
    expected.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    monkeypatch.setattr(masked_lm, "LOGITS_IN_A_STEP", 1)  # by blocks, with the bias as a column
    by_blocks = found.loss(model, batch)
    torch.testing.assert_close(by_blocks, expected)
    by_blocks.backward()
    for name, p in model.named_parameters():
        if name in gradients:
            # Float32 sums of 20 rows in another order, gradients up to 5.
            torch.testing.assert_close(p.grad, gradients[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(6, 1), (3, 2), (1, 6), (2, 3)])
def test_a_step_learns_the_same_however_it_is_cut(tokens: Path, batch_size: int, accumulation_steps: int):
    cut = task(tokens, training=replace(TRAINING, batch_size=batch_size, accumulation_steps=accumulation_steps))
    batches, [whole] = cut.train_batch(4), task(tokens).train_batch(4)
    assert len(batches) == accumulation_steps
    assert torch.cat([batch.targets for batch in batches]).equal(whole.targets)
    gradients = []
    for one, parts in ((cut, batches), (task(tokens), [whole])):
        model = encoder()
        Stepper(model, one, TRAINING, torch.device("cpu")).accumulate(parts)
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-5)  # float32 sums in another order


def test_what_is_hidden_is_a_function_of_seed_and_step(tokens: Path):
    def hidden(seed: int, step: int) -> list[int]:
        [batch] = task(tokens, training=replace(TRAINING, seed=seed)).train_batch(step)
        return [*batch.tokens.flatten().tolist(), -1, *batch.places.tolist()]

    assert hidden(1, 3) == hidden(1, 3)
    assert len({tuple(hidden(seed, step)) for seed in (1, 2) for step in (3, 4)}) == 4


def test_whole_words_are_hidden_whole(tokens: Path):
    found = task(tokens, MaskingConfig(whole_words=True, mask_share=1.0, random_share=0.0))
    n_long = 0
    for step in range(5):
        [batch] = found.train_batch(step)
        chosen = torch.zeros(batch.tokens.numel(), dtype=torch.bool)
        chosen[batch.places] = True
        restored = batch.tokens.flatten().clone()
        restored[batch.places] = batch.targets
        for row, seen, real in zip(
            restored.view_as(batch.tokens), chosen.view_as(batch.tokens), batch.is_token, strict=True
        ):
            numbers = word_numbers(BPE, row[real][1:].tolist())
            for word in np.unique(numbers):
                of_word = seen[real][1:][torch.from_numpy(numbers == word)]
                assert of_word.all() or not of_word.any()
                n_long += bool(of_word.all()) and len(of_word) > 1
    assert n_long > 5
    measured = found.measured
    assert measured.n_hidden > 0


def test_it_is_measured_behind_masks_always_the_same_ones(tokens: Path):
    found = task(tokens, MaskingConfig(mask_share=0.0, random_share=1.0))
    again = task(tokens, training=replace(TRAINING, seed=99))
    assert all((a == b).all() for a, b in zip(found.measured.is_hidden, again.measured.is_hidden, strict=True))
    assert sum(len(text) - 1 for text in found.measured.texts) <= 200
    model = encoder()
    figures = found.evaluate(model)
    assert figures == found.evaluate(model)
    assert model.training  # left as it was
    logits, targets = [], []
    for text, hidden in zip(found.measured.texts, found.measured.is_hidden, strict=True):
        seen = torch.from_numpy(np.where(hidden, mask_id(BPE), text))[None]
        with torch.no_grad():
            logits.append(model(seen)[0, torch.from_numpy(hidden)])
        targets.append(torch.from_numpy(text[hidden]))
    expected = F.cross_entropy(torch.cat(logits), torch.cat(targets)).item()
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)  # float32, in batches of another size
    assert figures["accuracy"] == pytest.approx((torch.cat(logits).argmax(-1) == torch.cat(targets)).float().mean())


def test_a_small_model_learns_it_and_shows_what_it_would_fill_in(tokens: Path, tmp_path: Path):
    training = replace(
        TRAINING, steps=60, learning_rate=1e-2, schedule=ScheduleConfig(warmup_steps=5),
        optimizer=OptimizerConfig(name="muon"), evaluation=EvaluationConfig(every_steps=60, max_tokens=200),
        checkpoints=CheckpointConfig(every_steps=60),
    )  # fmt: skip
    found, model = task(tokens, training=training), encoder()
    before = found.evaluate(model)
    outcome = fit(model, found, training, Run.create(tmp_path / "run", training))
    assert outcome.metrics["accuracy"] > before["accuracy"] + 0.3
    assert outcome.metrics["loss"] < before["loss"] / 2
    sample = found.sample(model, 60)
    assert sample.count("[") >= 3
    assert sample.startswith(BPE.decode(found.measured.texts[0][1:3].tolist())[:1]) or sample.startswith("[")


def test_without_sample_tokens_nothing_is_shown(tokens: Path):
    quiet = replace(TRAINING, evaluation=EvaluationConfig(max_tokens=200, sample_tokens=0))
    assert task(tokens, training=quiet).sample(encoder(), 0) == ""


def test_a_batch_is_described_as_it_is_seen(tokens: Path):
    found = task(tokens, MaskingConfig(mask_share=1.0, random_share=0.0))
    [batch] = found.train_batch(0)
    lines = found.describe(batch).splitlines()
    assert len(lines) == 6
    assert all("[MASK]" in json.loads(line.partition("  ")[2]) for line in lines)


def test_what_cannot_be_learned_is_one_line(tokens: Path):
    with pytest.raises(InputError, match=r"special token \[MASK\]"):
        task(tokens, tokenizer=ByteBPE([], [END_OF_TEXT]))
    with pytest.raises(InputError, match="context_length must be at least 2, found 1"):
        task(tokens, context_length=1)
    with pytest.raises(InputError, match=r"batch_size \* accumulation_steps to be at most .*1,000 times the texts"):
        task(tokens, training=replace(TRAINING, batch_size=10**6))
