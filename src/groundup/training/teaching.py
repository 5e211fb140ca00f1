"""What a run takes from its teacher before it begins: probabilities of a text, kept on disk, and texts of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from groundup.configs.distillation import DistillConfig
from groundup.data.grown_arrays import Block, Column, open_arrays, write_arrays
from groundup.data.teacher_logits import TeacherLogits, TeacherLogitsKey, open_teacher_logits, write_teacher_logits
from groundup.data.tokens import TokenFile
from groundup.download import cache_folder, local_path
from groundup.errors import InputError
from groundup.evaluation.perplexity import byte_lengths_of, count_bytes
from groundup.generation.opening import opening
from groundup.models.gpt import GPT
from groundup.tasks.teacher_reading import read_by_teacher
from groundup.tasks.teacher_writing import IDS, prompts_of, written_by_teacher
from groundup.training.preparation import Prepared
from groundup.training.run_folder import Run
from groundup.training.run_lock import locked
from groundup.weights.pretrained import Pretrained

Report = Callable[[str], None]
"""Is told in lines what takes a while."""
WRITTEN = "written"
"""Folder of a run, of the tokens that its teacher wrote."""


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Who is learned from in a run."""

    opened: Pretrained
    """The model, on the CPU, frozen."""
    fingerprint: str
    """Of its weights."""


def soft_targets(
    config: DistillConfig, teacher: Teacher, prepared: Prepared, device: torch.device, report: Report, *, top_k: int
) -> TeacherLogits:
    """Open what the teacher says of the text, or let it read the text first: once for all runs that want the same.

    It reads at most twice as many tokens at once as the student: with windows that overlap by half, it then has at
    least as much past for each token as the student has, where its own context allows.

    Raises:
        InputError: no room, a place that cannot be written, or another process that writes there.
    """
    model = teacher.opened.model
    key = TeacherLogitsKey(
        teacher=teacher.fingerprint,
        tokens=prepared.train.sha256,
        n_tokens=prepared.train.n_tokens,
        vocab_size=prepared.tokenizer.vocab_size,
        end_id=prepared.end_id,
        context_length=min(model.context_length, 2 * config.model.context_length),
        top_k=top_k,
        temperature=config.soft.temperature,
        precision=config.soft.precision,
    )
    folder = cache_folder() / "teacher-logits" if config.soft.folder is None else local_path(config.soft.folder)
    if (said := open_teacher_logits(folder, key)) is not None:
        return said
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"expected to write in {folder}, found: {error.strerror or error}") from None
    with locked(folder, report=report), _on(model, device):
        if not (folder / key.name).exists():  # another process may have written it while this one waited
            blocks = partial(_read, model, prepared, key)
            write_teacher_logits(folder, key, blocks, report=report)
    said = open_teacher_logits(folder, key)
    assert said is not None
    return said


def written_text(
    run: Run, config: DistillConfig, teacher: Teacher, prepared: Prepared, device: torch.device, report: Report
) -> TokenFile:
    """Let the teacher write the texts of a run, or open what it wrote before: a token file like any other.

    Raises:
        InputError: texts that are longer than the teacher's context, no room, or a damaged folder.
    """
    model, folder, wanted = teacher.opened.model, run.path / WRITTEN, config.written
    if wanted.max_tokens > model.context_length:
        raise InputError(
            f"expected WrittenConfig.max_tokens to be at most {model.context_length}, what {config.teacher} can see, "
            f"found {wanted.max_tokens}: lower it"
        )
    dtype = "<u2" if prepared.tokenizer.vocab_size <= 65_536 else "<u4"
    if not folder.exists():
        report(f"the teacher writes {wanted.n_texts:,} texts …")
        begins = opening(prepared.tokenizer, int(prepared.train.ids[0]))
        prompts = prompts_of(prepared.train.ids, wanted, end_id=prepared.end_id, opening=begins)
        with _on(model, device):
            write_arrays(
                folder,
                {IDS: Column(dtype, 1)},
                lambda first: written_by_teacher(
                    model,
                    prompts,
                    wanted,
                    end_id=prepared.end_id,
                    vocab_size=prepared.tokenizer.vocab_size,
                    seed=config.training.seed,
                    first=first,
                ),
                told={"teacher": teacher.fingerprint, "seed": config.training.seed},
                report=lambda n_tokens: report(f"            {n_tokens:,} tokens written"),
            )
    arrays = open_arrays(folder)
    arrays.verify()
    ids = np.asarray(arrays.column(IDS))[:, 0]
    return TokenFile(
        path=folder / f"{IDS}.bin",
        ids=ids,
        n_tokens=arrays.n_rows,
        n_bytes=count_bytes(ids, byte_lengths_of(prepared.tokenizer)),
        vocab_size=prepared.tokenizer.vocab_size,
        tokenizer=prepared.train.tokenizer,
        sha256=arrays.sha256[IDS],
    )


def _read(model: GPT, prepared: Prepared, key: TeacherLogitsKey, first: int) -> Iterator[Block]:
    return read_by_teacher(model, prepared.train.ids, key, first=first)


@contextmanager
def _on(model: GPT, device: torch.device) -> Iterator[None]:
    """Have the teacher on `device` while it works, and where it was afterwards."""
    home = model.device
    model.to(device)
    try:
        yield
    finally:
        model.to(home)
