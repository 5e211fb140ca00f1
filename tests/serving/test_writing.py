"""A page is shown the text that `generate_text` gives, stops within a step, and is told of errors in one line."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

from groundup.configs.generation import GenerationConfig
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.generation import Step, generate_text, prepare_for_inference
from groundup.models.gpt import GPT
from groundup.serving import writing
from groundup.serving.writing import Writer, Written
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer
from groundup.weights.pretrained import Pretrained

TEMPLATE = "{% for message in messages %}{{ message.content }}?{% endfor %}"


def found(*, chat_template: str | None = None) -> Pretrained:
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=4, context_length=16, d_model=16, n_layers=1, n_heads=2)).eval()
    return Pretrained(
        model=model,
        tokenizer=CharacterTokenizer("abc?"),
        source="drawn at random",
        chat_template=chat_template,
        opening=lambda: [2, 1],
    )


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SECONDS_BETWEEN", 0.0)


def write(
    prompt: str = "ab", *, is_chat: bool = False, of: Pretrained | None = None, **drawing: object
) -> list[Written]:
    config = GenerationConfig(**{"max_new_tokens": 6, **drawing})
    return list(Writer(lambda name: of or found()).write("mine", prompt, lambda: config, is_chat=is_chat))


@pytest.mark.parametrize("strategy", ["sample", "greedy", "beam"])
def test_the_text_is_the_prompt_and_what_generate_text_gives(strategy: str):
    one = found()
    config = GenerationConfig(max_new_tokens=6, strategy=strategy, seed=3)
    drawn = generate_text(prepare_for_inference(one.model), one.tokenizer, ["ab"], config)[0]
    moments = write(of=one, strategy=strategy, seed=3)
    assert moments[-1].text == "ab" + drawn
    assert not any(moment.is_error for moment in moments)
    assert moments[-1].status.startswith("6 tokens in ")
    assert moments[-1].status.endswith("tokens/s · length reached")


def test_the_text_only_grows():
    texts = [moment.text for moment in write() if moment.text is not None]
    assert texts[0] == "ab"
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert len(texts) == 1 + 6 + 1  # before the first token, each token, the end


def test_without_a_prompt_it_begins_as_the_model_does():
    assert write("")[1].text == "cb"


def test_an_answer_does_not_repeat_what_was_said():
    one = found(chat_template=TEMPLATE)
    asked = generate_text(prepare_for_inference(one.model), one.tokenizer, ["ab?"], GenerationConfig(max_new_tokens=6))
    assert write("ab", of=one, is_chat=True)[-1].text == asked[0]


def test_end_of_text_is_said():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=257, context_length=16, d_model=16, n_layers=1, n_heads=2)).eval()
    tokenizer = ByteBPE([], special_tokens=["<|endoftext|>"])
    assert tokenizer.end_id == 256
    with torch.no_grad():
        model.output_weight.mul_(0.01)[256] = 0  # no logit above it by much, so it is drawn some time
    moments = write(
        "a", of=Pretrained(model=model, tokenizer=tokenizer, source="random"), max_new_tokens=5000, top_k=None
    )
    assert moments[-1].status.endswith("the text ended")


def test_a_model_is_loaded_once_until_another_is_chosen():
    opened: list[str] = []

    def open_model(name: str) -> Pretrained:
        opened.append(name)
        return found()

    writer = Writer(open_model)
    config = GenerationConfig(max_new_tokens=1)
    for name in ("one", " one ", "two", "one"):
        moments = list(writer.write(name, "a", lambda: config))
        assert moments[-1].text is not None
    assert opened == ["one", "two", "one"]


@pytest.mark.parametrize("strategy", ["sample", "beam"])
def test_stop_ends_the_text_within_a_step(strategy: str):
    asked = 0

    def is_stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    config = GenerationConfig(max_new_tokens=10_000, strategy=strategy)
    moments = list(Writer(lambda name: found()).write("mine", "ab", lambda: config, is_stopped))
    assert moments[-1].status.endswith("stopped")
    assert moments[-1].text is not None
    assert len(moments[-1].text) <= len("ab") + 4


def test_closing_ends_the_text(monkeypatch: pytest.MonkeyPatch):
    ended = []

    def watched(*given: object, **named: object) -> Iterator[object]:
        try:
            yield from stream(*given, **named)  # type: ignore[arg-type]
        finally:
            ended.append(True)

    stream = writing.stream
    monkeypatch.setattr(writing, "stream", watched)
    moments = Writer(lambda name: found()).write("mine", "ab", lambda: GenerationConfig(max_new_tokens=10_000))
    while (next(moments).text or "ab") == "ab":
        assert not ended
    moments.close()
    assert ended == [True]


@pytest.mark.parametrize(
    ("prompt", "is_chat", "template", "said"),
    [
        ("xyz", False, None, "'x'"),
        ("a" * 17, False, None, "at most 16 tokens"),
        ("a", True, None, "taught to converse, found drawn at random"),
        ("  ", True, TEMPLATE, "found an empty prompt"),
        ("a", True, "{{ ().__class__.__mro__ }}", "template"),
    ],
)
def test_an_error_is_one_line_and_the_page_keeps_its_text(prompt: str, is_chat: bool, template: str | None, said: str):
    last = write(prompt, is_chat=is_chat, of=found(chat_template=template))[-1]
    assert last.is_error
    assert said in last.status
    assert "\n" not in last.status
    assert last.text is None


def test_no_model_and_wrong_settings_are_refused_before_anything_is_loaded():
    def refuse() -> GenerationConfig:
        raise InputError("expected a number")

    writer = Writer(lambda name: pytest.fail("loaded"))
    assert list(writer.write("mine", "a", refuse)) == [Written(text=None, status="expected a number", is_error=True)]
    last = list(writer.write(" ", "a", GenerationConfig))[-1]
    assert last.is_error
    assert last.status.startswith("expected a model, found none")


def test_a_defect_is_one_line_in_the_page_and_a_traceback_in_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def broken(*given: object, **named: object) -> Iterator[Step]:
        yield Step(0, "c", 0.0)
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(writing, "stream", broken)
    last = write("ab")[-1]
    assert last == Written(text="abc", status="a defect: RuntimeError: two lines (more in the terminal)", is_error=True)
    assert "Traceback" in capsys.readouterr().err
