"""Language modelling: the step's data does not depend on how it is cut, losses are sums, samples and floors."""

import json
import math
from pathlib import Path

import pytest
import torch

from groundup.configs import EvaluationConfig, GenerationConfig, GPTConfig, TrainConfig
from groundup.data.corpora import find_corpus
from groundup.data.tokens import open_tokens, prepare_tokens
from groundup.errors import InputError
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.generation import generate_text
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import LanguageModeling, TokenBatch
from groundup.tokenization.base import END_OF_TEXT, Tokenizer
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 20
CHARACTERS = CharacterTokenizer.from_text([TEXT])


def language_modeling(
    folder: Path,
    *,
    text: str = TEXT,
    tokenizer: Tokenizer = CHARACTERS,
    context_length: int = 8,
    floor: float | None = None,
    validation_fraction: float = 0.1,
    **training: object,
) -> LanguageModeling:
    (folder / "text.txt").write_text(text, encoding="utf-8")
    corpus = find_corpus(str(folder / "text.txt"))
    prepare_tokens(corpus, tokenizer, folder / "tokens", validation_fraction=validation_fraction)
    return LanguageModeling(
        train=open_tokens(folder / "tokens", "train"),
        validation=open_tokens(folder / "tokens", "validation"),
        tokenizer=tokenizer,
        context_length=context_length,
        training=TrainConfig(**training),
        floor=floor,
    )


def small_model(vocab_size: int = CHARACTERS.vocab_size) -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=vocab_size, context_length=8, d_model=16, n_layers=1, n_heads=2))


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(8, 1), (4, 2), (1, 8)])
def test_a_step_learns_from_the_same_windows_however_it_is_cut(
    tmp_path: Path, batch_size: int, accumulation_steps: int
):
    task = language_modeling(tmp_path, batch_size=batch_size, accumulation_steps=accumulation_steps)
    inputs, targets = task.windows.batch(5, 8)
    batches = task.train_batch(5)
    assert len(batches) == accumulation_steps
    assert torch.cat([batch.inputs for batch in batches]).equal(torch.from_numpy(inputs))
    assert torch.cat([batch.targets for batch in batches]).equal(torch.from_numpy(targets))
    assert sum(task.n_targets(batch) for batch in batches) == 8 * 8


def test_loss_is_the_sum_of_negative_log_probabilities(tmp_path: Path):
    task, model = language_modeling(tmp_path, batch_size=3), small_model()
    [batch] = task.train_batch(0)
    probabilities = model(batch.inputs).softmax(-1).gather(-1, batch.targets[..., None])
    # float32 softmax and logarithm taken apart: a few units in the last place of each of 24 terms.
    assert task.loss(model, batch).item() == pytest.approx(-probabilities.log().sum().item(), rel=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("autocast", [True, False])
def test_the_loss_of_a_large_vocabulary_is_the_same_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tied: bool, autocast: bool
):
    torch.manual_seed(0)
    task = language_modeling(tmp_path, batch_size=3)
    shape = {"vocab_size": CHARACTERS.vocab_size, "context_length": 8, "d_model": 16, "n_layers": 1, "n_heads": 2}
    model = GPT(GPTConfig(**shape, tie_embeddings=tied))
    [batch] = task.train_batch(0)
    found = []
    for limit in (1 << 23, 3 * 8 * CHARACTERS.vocab_size - 1):
        monkeypatch.setattr("groundup.tasks.language_modeling.LOGITS_IN_A_STEP", limit)
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = task.loss(model, batch)
        loss.backward()
        found.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
    # float32: the same terms in another order. bfloat16: gradients of logits are rounded to 2^-9, scaled or not.
    torch.testing.assert_close(found[0][0], found[1][0])
    largest = max(gradient.abs().max().item() for gradient in found[0][1:])
    for one, other in zip(found[0][1:], found[1][1:], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=(1e-2 if autocast else 1e-6) * largest)


def test_only_large_vocabularies_go_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    task, model = language_modeling(tmp_path, batch_size=3), small_model()
    [batch] = task.train_batch(0)
    monkeypatch.setattr("groundup.tasks.language_modeling.LOGITS_IN_A_STEP", 3 * 8 * CHARACTERS.vocab_size)
    monkeypatch.setattr("groundup.tasks.language_modeling.chunked_cross_entropy", None)  # calling it would fail
    assert task.loss(model, batch).isfinite()
    monkeypatch.setattr("groundup.tasks.language_modeling.LOGITS_IN_A_STEP", 3 * 8 * CHARACTERS.vocab_size - 1)
    with pytest.raises(TypeError):
        task.loss(model, batch)


def test_evaluation_is_the_same_each_time_and_reads_max_tokens(tmp_path: Path):
    task, model = language_modeling(tmp_path, evaluation=EvaluationConfig(max_tokens=40)), small_model()
    first = task.evaluate(model)
    assert first == task.evaluate(model)
    assert set(first) == {"loss", "perplexity", "bits_per_byte"}
    whole = evaluate_tokens(
        model,
        open_tokens(tmp_path / "tokens", "validation").ids,
        context_length=8,
        byte_lengths=byte_lengths_of(CHARACTERS),
        max_tokens=40,
    )
    assert first["loss"] == pytest.approx(whole.loss, rel=1e-6)  # batches of another size: other sums in float32
    assert first["perplexity"] == pytest.approx(math.exp(first["loss"]))
    assert first["bits_per_byte"] == pytest.approx(first["loss"] / math.log(2))  # one byte a character here


def test_the_floor_is_in_the_unit_of_the_loss(tmp_path: Path):
    text = "né" * 200  # three bytes in two characters
    task = language_modeling(tmp_path, text=text, tokenizer=CharacterTokenizer("né"), floor=0.5)
    assert task.floor == pytest.approx(0.5 * math.log(2) * 1.5, rel=0.02)  # the first token is not predicted


def test_without_a_known_entropy_there_is_no_floor(tmp_path: Path):
    assert language_modeling(tmp_path).floor is None


def test_samples_begin_with_the_prompt_and_repeat(tmp_path: Path):
    evaluation = EvaluationConfig(sample_prompt="the ", sample_tokens=30)
    task, model = language_modeling(tmp_path, evaluation=evaluation), small_model()
    text = task.sample(model, 1)
    assert text.startswith("the ")
    assert len(text) == 34
    assert task.sample(model, 2) == text
    assert model.training  # sampling leaves the mode as it was


def test_samples_of_one_text_begin_with_a_line_break_and_not_with_a_token_it_never_held(tmp_path: Path):
    tokenizer = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])
    task = language_modeling(tmp_path, tokenizer=tokenizer, evaluation=EvaluationConfig(sample_tokens=5))
    assert task.sample(small_model(tokenizer.vocab_size), 1).startswith("\n")


def test_samples_of_documents_begin_after_the_end_of_text_token(tmp_path: Path):
    tokenizer = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])
    (tmp_path / "texts").mkdir()
    for name in "ab":
        (tmp_path / "texts" / f"{name}.txt").write_text(TEXT)
    prepare_tokens(find_corpus(str(tmp_path / "texts")), tokenizer, tmp_path / "tokens", validation_fraction=0.1)
    train, validation = (open_tokens(tmp_path / "tokens", side) for side in ("train", "validation"))
    task = LanguageModeling(
        train=train, validation=validation, tokenizer=tokenizer, context_length=8, training=TrainConfig()
    )
    model = small_model(tokenizer.vocab_size)
    config = GenerationConfig(max_new_tokens=200, seed=TrainConfig().seed)
    assert task.sample(model, 1) == generate_text(model, tokenizer, [""], config)[0]


def test_a_text_without_line_breaks_can_be_sampled(tmp_path: Path):
    task = language_modeling(tmp_path, text="ab" * 200, tokenizer=CharacterTokenizer("ab"))
    assert len(task.sample(small_model(2), 1)) == 201


def test_ids_beyond_the_tokenizer_are_never_sampled(tmp_path: Path):
    task = language_modeling(tmp_path, text="ab" * 200, tokenizer=CharacterTokenizer("ab"))
    assert len(task.sample(small_model(vocab_size=64), 1)) == 201


def test_no_sample_on_request(tmp_path: Path):
    task = language_modeling(tmp_path, evaluation=EvaluationConfig(sample_tokens=0))
    assert task.sample(small_model(), 1) == ""


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"text": "abcabc", "tokenizer": CharacterTokenizer("abc")}, "context_length"),
        (
            {"batch_size": 10**15, "accumulation_steps": 2},
            "at most 100,000, which is 1,000 times the text, found 2,000",
        ),
        ({"evaluation": EvaluationConfig(sample_prompt="Ω")}, "Ω"),
        ({"evaluation": EvaluationConfig(sample_prompt="the quick")}, "sample_prompt of at most 8 tokens"),
        ({"validation_fraction": 0.0005}, "at least 2 validation tokens, found 1"),
    ],
)
def test_bad_input_is_refused_before_training(tmp_path: Path, fields: dict[str, object], found: str):
    with pytest.raises(InputError) as caught:
        language_modeling(tmp_path, **fields)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_document_teaches_does_not_depend_on_its_neighbours(tmp_path: Path):
    """With end_id, gradients reach only the tokens of the same document; without it, those before it too."""

    def reached(end_id: int | None) -> list[bool]:
        language_modeling(tmp_path / str(end_id), context_length=8)
        task = LanguageModeling(
            train=open_tokens(tmp_path / str(end_id) / "tokens", "train"),
            validation=open_tokens(tmp_path / str(end_id) / "tokens", "validation"),
            tokenizer=CHARACTERS,
            context_length=8,
            training=TrainConfig(),
            end_id=end_id,
        )
        model = small_model()
        inputs = torch.tensor([[3, 4, 5, 0, 6, 7, 8, 9]])  # 0 begins the second document
        targets = torch.full_like(inputs, -100)  # cross-entropy ignores these
        targets[0, -1] = 2
        task.loss(model, TokenBatch(inputs, targets)).backward()
        # The position embedding has one row for each place: a row without gradient was not attended to.
        return [bool(row.abs().sum() > 0) for row in model.position_embedding.weight.grad[:8]]

    for end_id in (0, None):
        (tmp_path / str(end_id)).mkdir()
    assert reached(0) == [False, False, False, True, True, True, True, True]
    assert reached(None) == [True] * 8


def test_a_batch_is_described_row_by_row(tmp_path: Path):
    task = language_modeling(tmp_path, batch_size=3)
    batch = task.train_batch(0)[0]
    lines = task.describe(batch).split("\n")
    assert len(lines) == 3
    for i, (line, inputs, targets) in enumerate(zip(lines, batch.inputs, batch.targets, strict=True), 1):
        label, _, text = line.partition("  ")
        assert label == f"row {i}"
        assert json.loads(text) == CHARACTERS.decode([*inputs.tolist(), int(targets[-1])])


def test_a_huge_batch_is_described_in_part(tmp_path: Path):
    task = language_modeling(tmp_path, batch_size=100)
    lines = task.describe(task.train_batch(0)[0]).split("\n")
    assert len(lines) == 65
    assert lines[-1] == "… 36 more rows"
