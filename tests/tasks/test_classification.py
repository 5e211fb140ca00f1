"""Classification: losses as torch defines them, cut in any way; evaluation by hand; a toy task is learned by `fit`."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from groundup.configs import CheckpointConfig, EvaluationConfig, GPTConfig, ScheduleConfig, TrainConfig
from groundup.configs.finetune_runs import HeadConfig
from groundup.data.labelled import Labelled
from groundup.errors import InputError
from groundup.models.classifier import Classifier
from groundup.models.gpt import GPT
from groundup.tasks.classification import Classification, balanced_weights
from groundup.tasks.labelling import encode_texts, label_logits
from groundup.training.loop import fit
from groundup.training.run_folder import Run
from groundup.training.step import Stepper

NAMES = ("ham", "spam", "other")
CONFIG = TrainConfig(batch_size=4, device="cpu", precision="float32")


def encode(text: str) -> list[int]:
    return [ord(character) - 96 for character in text]


def labelled(n: int = 30, *, seed: int = 0) -> Labelled:
    """Texts of letters; label 0 is twice as common as the others together."""
    rng = np.random.default_rng(seed)
    texts = ("".join(chr(97 + i) for i in rng.integers(8, size=rng.integers(1, 12))) for _ in range(n))
    return Labelled(texts=tuple(texts), labels=tuple([0, 0, 0, 0, 1, 2][i % 6] for i in range(n)), names=NAMES)


def classification(
    head: HeadConfig | None = None, *, train: Labelled | None = None, **fields: object
) -> Classification:
    arguments: dict[str, object] = {"validation": labelled(20, seed=1), "max_tokens": 12, "training": CONFIG} | fields
    train = labelled() if train is None else train
    return Classification(train=train, encode=encode, head=head or HeadConfig(), pad_id=0, **arguments)


def classifier(head: HeadConfig | None = None, n_labels: int = 3) -> Classifier:
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(vocab_size=30, context_length=12, d_model=16, n_layers=2, n_heads=2))
    model = Classifier(gpt, n_labels, head or HeadConfig())
    torch.nn.init.normal_(model.head.weight)  # logits that differ
    return model


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_the_loss_of_all_texts_is_cross_entropys_weighted_mean(smoothing: float, class_weights: str):
    """In one batch of the whole training set; in any part, the same sum over the same weights."""
    head = HeadConfig(class_weights=class_weights, label_smoothing=smoothing)
    train = labelled()
    task, model = classification(head, train=train, training=TrainConfig(batch_size=30)), classifier()
    weights = torch.tensor([30 / (3 * 20), 30 / (3 * 5), 30 / (3 * 5)]) if class_weights == "balanced" else None
    logits = label_logits(model, encode_texts(train.texts, encode, max_tokens=12, pad_id=0).rows, 0).float()
    expected = F.cross_entropy(logits, torch.tensor(train.labels), weight=weights, label_smoothing=smoothing)
    [batch] = task.train_batch(0)
    found = task.loss(model, batch) / task.n_targets(batch)
    torch.testing.assert_close(found, expected)  # float32, texts in another order
    [part, *_] = classification(head, train=train).train_batch(0)
    summed = F.cross_entropy(
        logits[part.texts], part.labels, weight=weights, label_smoothing=smoothing, reduction="sum"
    )  # fmt: skip
    torch.testing.assert_close(task.loss(model, part), summed)


def test_balanced_weights_make_labels_count_the_same():
    train = labelled()
    weights = balanced_weights(train)
    assert (weights * torch.tensor(train.counts)).tolist() == pytest.approx([10.0] * 3)


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(8, 1), (4, 2), (1, 8)])
def test_a_step_learns_the_same_however_it_is_cut(batch_size: int, accumulation_steps: int):
    head = HeadConfig(class_weights="balanced", label_smoothing=0.1)
    config = TrainConfig(batch_size=batch_size, accumulation_steps=accumulation_steps)
    task, whole = classification(head, training=config), classification(head, training=TrainConfig(batch_size=8))
    batches, [expected] = task.train_batch(3), whole.train_batch(3)
    assert len(batches) == accumulation_steps
    assert torch.cat([batch.texts for batch in batches]).equal(expected.texts)
    assert sum(map(task.n_targets, batches)) == 8
    assert sum(map(task.n_tokens, batches)) == whole.n_tokens(expected)
    gradients = []
    for one, parts in ((task, batches), (whole, [expected])):
        model = classifier()
        Stepper(model, one, config, torch.device("cpu")).accumulate(parts)
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    # float32 sums in another order, of gradients up to 30: the head's weights are large here.
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=5e-5)


def test_batches_hold_the_texts_they_name_and_their_labels():
    train = labelled()
    task = classification(train=train)
    for step in range(20):
        [batch] = task.train_batch(step)
        assert batch.labels.tolist() == [train.labels[i] for i in batch.texts]
        for tokens, is_token, i in zip(batch.tokens, batch.is_token, batch.texts, strict=True):
            assert tokens[is_token].tolist() == encode(train.texts[i])
        assert task.n_tokens(batch) == int(batch.is_token.sum())


def test_evaluation_is_cross_entropys_mean_and_repeats():
    head = HeadConfig(class_weights="balanced", label_smoothing=0.1)
    validation = labelled(20, seed=1)
    task, model = classification(head), classifier()
    logits = label_logits(model, encode_texts(validation.texts, encode, max_tokens=12, pad_id=0).rows, 0)
    labels = torch.tensor(validation.labels)
    found = task.evaluate(model)
    assert model.training  # left as it was
    # Weighted as in training, by the training set's weights, and not smoothed.
    expected = F.cross_entropy(logits, labels, weight=balanced_weights(labelled()))
    assert found["loss"] == pytest.approx(expected.item(), rel=1e-6)
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert list(found) == ["loss", "accuracy", "macro_f1", "auc", "calibration_error"]
    assert found == task.evaluate(model)


def test_evaluation_takes_as_many_texts_as_max_tokens_hold():
    validation = labelled(40, seed=1)
    model, seen = classifier(), []
    model.register_forward_hook(lambda _, args, __: seen.append(args[1].sum(1).tolist()))
    for max_tokens in (60, 60, 10**6, 1):
        training = TrainConfig(evaluation=EvaluationConfig(max_tokens=max_tokens))
        classification(validation=validation, training=training).evaluate(model)
    first, again, everything, least = map(list, seen)
    assert first == again
    assert 49 <= sum(first) <= 60  # the next text, of at most 11, does not fit
    assert sorted(everything) == sorted(map(len, validation.texts))
    assert len(least) == 1


def test_what_one_label_does_not_tell_is_left_out():
    """An AUC of texts with one label is not a number, and would stop the run."""
    validation = Labelled(texts=("abc", "de"), labels=(1, 1), names=NAMES)
    found = classification(validation=validation).evaluate(classifier())
    assert "auc" not in found
    assert all(map(math.isfinite, found.values()))


def test_broken_weights_are_left_to_the_loop_to_explain():
    model = classifier()
    torch.nn.init.constant_(model.head.weight, math.nan)
    found = classification().evaluate(model)
    assert list(found) == ["loss"]
    assert math.isnan(found["loss"])


def test_samples_show_the_surest_mistakes_first():
    validation = labelled(30, seed=1)
    task, model = classification(validation=validation), classifier()
    lines = task.sample(model, 1).split("\n")
    assert len(lines) == 8
    assert task.sample(model, 2) == "\n".join(lines)
    logits = label_logits(model, encode_texts(validation.texts, encode, max_tokens=12, pad_id=0).rows, 0)
    probabilities = logits.softmax(1)
    of_label = probabilities[range(30), list(validation.labels)]
    is_wrong = probabilities.argmax(1) != torch.tensor(validation.labels)
    surest = min((i for i in range(30) if is_wrong[i]), key=lambda i: of_label[i])
    said = int(probabilities[surest].argmax())
    assert lines[0] == (
        f"WRONG  {NAMES[validation.labels[surest]]}, said {NAMES[said]} ({probabilities[surest, said]:.0%})  "
        f'"{validation.texts[surest]}"'
    )
    kinds = [line.split()[0] for line in lines]
    assert kinds == sorted(kinds)  # WRONG before right
    assert kinds.count("WRONG") == min(8, int(is_wrong.sum()))


def test_no_sample_on_request():
    training = TrainConfig(evaluation=EvaluationConfig(sample_tokens=0))
    assert classification(training=training).sample(classifier(), 1) == ""


def test_a_batch_is_described_row_by_row():
    train = labelled()
    task = classification(train=train)
    [batch] = task.train_batch(0)
    for i, (line, text) in enumerate(zip(task.describe(batch).split("\n"), batch.texts.tolist(), strict=True), 1):
        label = NAMES[train.labels[text]]
        assert line == f"row {i}  {label:<5}  {json.dumps(train.texts[text])}"


def test_long_texts_are_cut_and_counted():
    task = classification(max_tokens=4)
    assert task.n_cut == sum(len(text) > 4 for text in labelled().texts) > 0
    assert task.n_cut_validation == sum(len(text) > 4 for text in labelled(20, seed=1).texts) > 0
    assert all(batch.tokens.shape[1] <= 4 for step in range(9) for batch in task.train_batch(step))


def test_a_line_break_in_a_text_stays_on_its_line():
    train = Labelled(texts=("a\nb", "c"), labels=(0, 1), names=NAMES)
    task = Classification(
        train=train, validation=train, encode=lambda _: [1], head=HeadConfig(), training=CONFIG, max_tokens=9, pad_id=0
    )
    [batch] = task.train_batch(0)
    assert task.describe(batch).count("\n") == 3  # four rows
    assert task.sample(classifier(), 1).count("\n") == 1


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"validation": Labelled(texts=(), labels=(), names=NAMES)}, "found 30 and 0"),
        ({"train": Labelled(texts=(), labels=(), names=NAMES)}, "found 0 and 20"),
        ({"training": TrainConfig(batch_size=30_001)}, "at most 30,000, which is 1,000 times the texts, found 30,001"),
        (
            {
                "train": Labelled(texts=("a", "b"), labels=(0, 2), names=NAMES),
                "head": HeadConfig(class_weights="balanced"),
            },
            "found none of 'spam'",
        ),
    ],
)
def test_bad_input_is_refused_before_training(fields: dict[str, object], found: str):
    with pytest.raises(InputError) as caught:
        classification(**fields)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_a_toy_task_is_learned(tmp_path: Path, pooling: str):
    """Two letters somewhere in a text tell its label: no single place does, so the whole text has to be read."""

    def toy(n: int, seed: int) -> Labelled:
        rng, texts = np.random.default_rng(seed), []
        for i in range(n):
            letters = [*"yz"[i % 2] * 2, *rng.choice([*"abcdefgh"], size=rng.integers(10))]
            rng.shuffle(letters)
            texts.append("".join(letters))
        return Labelled(texts=tuple(texts), labels=tuple(i % 2 for i in range(n)), names=("y", "z"))

    head = HeadConfig(pooling=pooling)
    config = TrainConfig(
        steps=60,
        batch_size=16,
        learning_rate=1e-2,
        device="cpu",
        precision="float32",
        schedule=ScheduleConfig(warmup_steps=5),
        evaluation=EvaluationConfig(every_steps=60),
        checkpoints=CheckpointConfig(every_steps=60),
    )
    task = classification(head, train=toy(200, 0), validation=toy(100, 1), training=config)
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(vocab_size=30, context_length=12, d_model=16, n_layers=2, n_heads=2))
    model = Classifier(gpt, 2, head)
    before = task.evaluate(model)
    outcome = fit(model, task, config, Run.create(tmp_path / "run", config))
    assert before["accuracy"] < 0.7
    assert outcome.metrics["accuracy"] >= 0.95  # guessing: 0.5; seen: 0.98 to 1
    assert (tmp_path / "run" / "samples" / "step-60.txt").read_text().count("\n") == 8
