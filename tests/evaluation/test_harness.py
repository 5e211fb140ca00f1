"""lm-eval reading our models: equal to its own HFLM on the same weights, offline; what settings and bad input get."""

import json
import math
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.evaluation.harness import as_language_model, evaluate_with_harness
from groundup.evaluation.harness_model import HarnessModel, generation_config, rolling_windows
from groundup.models.gpt import GPT
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer
from groundup.weights.huggingface_export import save_huggingface
from groundup.weights.pretrained import Pretrained


def tiny(context_length: int = 48) -> Pretrained:
    """Return a model of GPT-2's family, sharp enough that the likeliest token is far from the next."""
    torch.manual_seed(0)
    tokenizer = ByteBPE([(b"t", b"h"), (b" ", b"a")], special_tokens=[END_OF_TEXT])
    config = GPTConfig(
        vocab_size=tokenizer.vocab_size, context_length=context_length, d_model=32, n_layers=2, n_heads=2,
        activation="gelu_tanh",
    )  # fmt: skip
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return Pretrained(model=model, tokenizer=tokenizer, source="tiny")


def asked(*args: Any) -> SimpleNamespace:
    return SimpleNamespace(args=args)


def test_a_text_is_as_likely_whole_as_in_two_parts():
    model = HarnessModel(tiny())
    [whole] = model.loglikelihood_rolling([asked("the cat sat")])
    (same, _), (both, _), (first, _), (second, _) = model.loglikelihood(
        [asked("", "the cat sat"), asked("the", " cat sat"), asked("the", " cat"), asked("the cat", " sat")]
    )
    assert whole == pytest.approx(same, abs=1e-4)  # float32
    assert both == pytest.approx(first + second, abs=1e-4)


def test_a_space_at_the_end_of_a_context_belongs_to_the_answer():
    model = HarnessModel(tiny())
    one, other = model.loglikelihood([asked("the cat ", "and"), asked("the cat", " and")])
    assert one == pytest.approx(other)


def test_the_likeliest_answer_is_what_it_writes():
    found = tiny()
    with torch.no_grad():  # no bytes but those of ASCII, and no end
        for token in range(found.tokenizer.vocab_size):
            if token == found.tokenizer.end_id or not found.tokenizer.token_bytes(token).isascii():
                found.model.token_embedding.weight[token] = 0
    model = HarnessModel(found, batch_size=2)
    answers = [*map(chr, range(128)), "th", " a"]
    for context in ("mouse", "b", "how many?"):
        [written] = model.generate_until([asked(context, {"max_gen_toks": 1})])
        scored = model.loglikelihood([asked(context, answer) for answer in answers])
        assert [answer for answer, (_, is_greedy) in zip(answers, scored, strict=True) if is_greedy] == [written]


def test_texts_end_before_a_stop_text_whatever_is_asked_beside_them():
    found = tiny()
    model = HarnessModel(found, batch_size=2)
    free = [asked(context, {"max_gen_toks": n}) for n in (6, 3) for context in ("the cat", "a", "how many?")]
    texts = model.generate_until(free)
    assert [model.generate_until([one]) for one in free] == [[text] for text in texts]
    stop = texts[0][2]
    assert model.generate_until([asked("the cat", {"max_gen_toks": 6, "until": [stop]})]) == [texts[0].split(stop)[0]]


def test_a_begin_token_stands_before_every_text_once():
    found = tiny()
    begin = found.tokenizer.end_id
    model = HarnessModel(replace(found, bos=(begin,)))
    plain, spelled, empty = model.loglikelihood(
        [asked("the", " cat"), asked(END_OF_TEXT + "the", " cat"), asked("", "the cat")]
    )
    first = model.loglikelihood([asked("", "the")])[0][0]
    assert plain == spelled
    assert empty[0] == pytest.approx(first + plain[0], abs=1e-4)  # float32


def test_conversations_are_laid_out_by_the_models_template():
    found = tiny()
    template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    )
    model = HarnessModel(replace(found, chat_template=template))
    turns = [{"role": "user", "content": "two"}, {"role": "assistant", "content": "four"}]
    assert model.apply_chat_template(turns) == "<user>two<assistant>four>"
    assert model.apply_chat_template(turns, add_generation_prompt=False) == "<user>two<assistant>four"
    assert model.chat_template(True) == template
    with pytest.raises(InputError, match="expected a model with a chat template, found tiny without: leave out chat"):
        HarnessModel(found).apply_chat_template(turns)


@settings(max_examples=25, derandomize=True)
@given(n=st.integers(0, 40), context_length=st.integers(1, 12))
def test_rolling_windows_predict_every_id_once_and_fit(n: int, context_length: int):
    windows = list(rolling_windows(range(n), -1, context_length))
    assert [token for _, after in windows for token in after] == list(range(n))
    for before, after in windows:
        assert 1 <= len(before) <= len(before) + len(after) <= context_length + 1
        assert list(before) == ([-1] if after[0] == 0 else list(range(after[0] - len(before), after[0])))
    if len(windows) > 1:
        assert sum(map(len, windows[-1])) == context_length + 1


@pytest.mark.parametrize(
    ("given_settings", "expected"),
    [
        ({}, {"strategy": "greedy", "max_new_tokens": 256, "stop": ()}),
        ({"until": "\n\n"}, {"stop": ("\n\n",)}),
        ({"max_new_tokens": 7, "max_tokens": 9}, {"max_new_tokens": 7}),
        ({"temperature": 0.5, "top_p": 0.9}, {"strategy": "sample", "temperature": 0.5, "top_p": 0.9}),
        ({"do_sample": False, "temperature": 0.5, "top_p": 0.9}, {"strategy": "greedy", "top_p": None}),
        ({"do_sample": True}, {"strategy": "sample", "temperature": 1.0}),
        ({"repetition_penalty": 1.2}, {"strategy": "greedy", "repetition_penalty": 1.2}),
    ],
)
def test_settings_of_tasks_are_ours(given_settings: dict[str, Any], expected: dict[str, Any]):
    found = generation_config(given_settings)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_setting_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="expected generation_kwargs that are known, found num_beams: leave them out"):
        generation_config({"num_beams": 4})


def test_no_room_for_a_context_is_refused():
    with pytest.raises(InputError, match=r"expected fewer tokens to draw than the 48.*found 256: set max_gen_toks"):
        HarnessModel(tiny()).generate_until([asked("the cat", {})])


def test_a_vocabulary_without_a_begin_token_is_refused():
    model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
    with pytest.raises(InputError, match=r"expected a model with a begin or end token.*found abc without"):
        HarnessModel(Pretrained(model=model, tokenizer=CharacterTokenizer("abc"), source="abc"))


def test_a_missing_lm_eval_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    message = r"expected lm-eval to be installed, found it missing: pip install 'groundup\[harness\]'"
    with pytest.raises(InputError, match=message):
        as_language_model(HarnessModel(tiny()))
    with pytest.raises(InputError, match=message):
        evaluate_with_harness(tiny(), ["hellaswag"])


TASKS = {
    "choice": """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "whole": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}, {metric: bits_per_byte}]
""",
    "written": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{text}}"
generation_kwargs: {until: ["."], max_gen_toks: 8}
metric_list: [{metric: exact_match}, {metric: chrf}]
""",
}


def write_tasks(folder: Path) -> list[str]:
    draw = random.Random(0)
    words = ["the", "cat", "sat", "on", "a", "mat,", "then", "three", "dogs", "ran!", "Über", "naïve", "中文"]

    def text(n: int) -> str:
        return " ".join(draw.choices(words, k=n))

    rows = [
        {"question": text(draw.randint(1, 30)), "choices": [" " + text(k) for k in (1, 1, 2, 4)], "answer": i % 4,
         "text": text(draw.randint(1, 60))}
        for i in range(12)
    ]  # fmt: skip
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    paths = []
    for name, body in TASKS.items():
        path = folder / f"{name}.yaml"
        head = f"task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder / 'rows.jsonl'}}}}}\n"
        path.write_text(f"{head}test_split: test\n{body.lstrip()}")
        paths.append(str(path))
    return paths


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.mark.slow  # lm_eval, transformers and datasets take ten seconds and more to import
@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.usefixtures("offline")
def test_tasks_of_every_kind_score_as_with_lm_evals_own_reader_of_transformers(tmp_path: Path):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    found = tiny()
    save_huggingface(found.model, found.tokenizer, tmp_path / "hf_model")
    theirs = HFLM(pretrained=str(tmp_path / "hf_model"), device="cpu", dtype="float32", batch_size=4)
    ours = as_language_model(HarnessModel(found, batch_size=3))

    paths = write_tasks(tmp_path)
    expected = simple_evaluate(model=theirs, tasks=paths, task_manager=TaskManager(include_defaults=False))["results"]
    figures = evaluate_with_harness(found, paths)
    assert {one.task for one in figures} == set(TASKS)
    for one in figures:
        # float32 in another order of sums: 1e-4 of a perplexity; shares of right answers are the same.
        assert one.value == pytest.approx(expected[one.task][f"{one.metric},none"], rel=1e-4), one
        error = expected[one.task][f"{one.metric}_stderr,none"]
        assert one.standard_error == (None if error == "N/A" else pytest.approx(error, rel=1e-3))

    contexts = ["", "the", "the cat ", "x" * 100, "Über 中文", END_OF_TEXT + "the"]
    pairs = [asked(context, answer) for context in contexts for answer in ("a", " cat", " on the mat" * 3, " naïve")]
    for (total, is_greedy), (their_total, theirs_is) in zip(
        ours.loglikelihood(pairs), theirs.loglikelihood(pairs), strict=True
    ):
        assert total == pytest.approx(their_total, rel=1e-4)  # float32 in another order of sums
        assert is_greedy == theirs_is
    texts = [asked(text) for text in ("", "a", "the cat " * 40, "x" * 48, "y" * 49, "中文")]
    assert ours.loglikelihood_rolling(texts) == pytest.approx(theirs.loglikelihood_rolling(texts), rel=1e-4)
    drawing = {"until": ["\n"], "max_gen_toks": 9}
    prompts = [asked(context, dict(drawing)) for context in contexts[1:]]
    assert ours.generate_until(prompts) == theirs.generate_until(prompts)


@pytest.mark.slow  # imports lm_eval
@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.usefixtures("offline")
def test_tasks_that_cannot_be_had_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    [choice, *_] = write_tasks(tmp_path)
    with pytest.raises(InputError, match=r"expected a task of lm-eval or a task file, found no file .*none.yaml"):
        evaluate_with_harness(tiny(), [str(tmp_path / "none.yaml")])
    (tmp_path / "rows.jsonl").unlink()
    (tmp_path / "broken.yaml").write_text("task: [")
    for path in (choice, str(tmp_path / "broken.yaml")):
        with pytest.raises(InputError, match=r"expected tasks whose data is here or can be downloaded, found .*yaml: "):
            evaluate_with_harness(tiny(), [path])

    from lm_eval import tasks

    none_of_its_own = tasks.TaskManager(include_defaults=False)  # thousands of files, half a minute
    monkeypatch.setattr(tasks, "TaskManager", lambda **_: none_of_its_own)
    with pytest.raises(InputError, match="unknown task 'hella_swag': give a name that lm-eval knows"):
        evaluate_with_harness(tiny(), ["hella_swag"])


def test_log_probabilities_are_natural():
    found = tiny()
    with torch.no_grad():
        found.model.token_embedding.weight.zero_()  # every token is equally likely
    [(total, _)] = HarnessModel(found).loglikelihood([asked("x", "y")])
    assert total == pytest.approx(-math.log(found.model.vocab_size))
