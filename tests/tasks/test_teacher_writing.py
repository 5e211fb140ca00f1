"""Texts that a teacher writes: as many as asked, each with its prompt, the same whatever block one begins with."""

import numpy as np
import torch
from tests.tasks.distilling import END, V, model, text

from groundup.configs.distillation import WrittenConfig
from groundup.tasks import teacher_writing
from groundup.tasks.teacher_writing import IDS, prompts_of, written_by_teacher


def written(config: WrittenConfig, *, end_id: int | None = END, first: int = 0) -> list[list[int]]:
    prompts = prompts_of(text(), config, end_id=end_id, opening=[END])
    blocks = written_by_teacher(model(24, seed=1), prompts, config, end_id=end_id, vocab_size=V, seed=5, first=first)
    return [block[IDS][:, 0].tolist() for block in blocks]


def test_documents_begin_with_the_end_token_and_the_texts_own_words():
    config = WrittenConfig(n_texts=6, prompt_tokens=2, max_tokens=12)
    (ids,) = written(config)
    starts = [i for i, token in enumerate(ids) if token == END]
    texts = [ids[a:b] for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)]
    assert len(texts) == 6
    assert all(1 <= len(one) <= 12 for one in texts)
    for one, prompt in zip(texts, prompts_of(text(), config, end_id=END, opening=[END]), strict=True):
        assert one[: len(prompt)] == prompt


def test_blocks_are_the_same_whichever_one_begins_with(monkeypatch):
    monkeypatch.setattr(teacher_writing, "TEXTS_AT_ONCE", 4)
    config = WrittenConfig(n_texts=10, max_tokens=6)
    whole = written(config)
    assert len(whole) == 3
    assert written(config, first=1) == whole[1:]
    assert len({tuple(ids) for ids in whole}) == 3  # no two blocks draw alike
    torch.manual_seed(9)
    assert written(config) == whole


def test_one_long_text_gives_prompts_evenly_spaced_and_texts_of_full_length():
    config = WrittenConfig(n_texts=3, prompt_tokens=4, max_tokens=10)
    ids = text()
    prompts = prompts_of(ids, config, end_id=None, opening=[])
    assert prompts == [ids[at : at + 4].tolist() for at in (0, 98, 196)]
    (found,) = written(config, end_id=None)
    assert len(found) == 3 * 10


def test_a_prompt_ends_with_its_document():
    ids = np.array([0, 5, 0, 6, 7, 8])
    assert prompts_of(ids, WrittenConfig(n_texts=9, prompt_tokens=2), end_id=0, opening=[0]) == [[0, 5], [0, 6, 7]]
