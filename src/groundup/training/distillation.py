"""Distillation runs: from a config and a teacher to the student, the task, and what the teacher says or writes."""

import json
from collections.abc import Callable
from dataclasses import replace

import torch

from groundup.configs.distillation import SAME_TOKENIZER, DistillConfig
from groundup.data.teacher_logits import TeacherLogits, size
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.models.student import Student, matching_block
from groundup.tasks.distillation import Distillation, DistillationBatch
from groundup.tasks.language_modeling import LanguageModeling
from groundup.tokenization.base import Tokenizer, fingerprint
from groundup.tokenization.pretrained import load_tokenizer
from groundup.training.lifecycle import Prepare, Ready
from groundup.training.preparation import Prepared, build_model, make_tokenizer, prepare_data
from groundup.training.run_folder import Run, write_atomically
from groundup.training.teaching import Report, Teacher, soft_targets, written_text
from groundup.weights.fingerprint import model_fingerprint
from groundup.weights.pretrained import Pretrained

OpenTeacher = Callable[[str], Pretrained]
"""From the name of a teacher to the model: `groundup.resolve.open_model`."""
DEFAULT_TOP_K = 32
"""Entries kept of each position where nothing is said."""


def preparing(open_teacher: OpenTeacher) -> Prepare[DistillConfig, Student, DistillationBatch]:
    """Return what `lifecycle.begin` and `go_on` make a distillation run of, with teachers that `open_teacher` opens."""

    def prepare(
        run: Run, config: DistillConfig, device: torch.device, report: Report
    ) -> Ready[Student, DistillationBatch]:
        return prepare_distillation(run, config, device, report, open_teacher=open_teacher)

    return prepare


def prepare_distillation(
    run: Run, config: DistillConfig, device: torch.device, report: Report, *, open_teacher: OpenTeacher
) -> Ready[Student, DistillationBatch]:
    """Open the teacher, let it read or write what the run needs of it, and make the student.

    Raises:
        InputError: a teacher that cannot be opened or is not the one that the run began with, another tokenizer than
            the teacher's, more entries than the vocabulary has, no room for them, or a text that cannot be used.
    """
    report(f"loading {config.teacher} …")
    teacher = same_teacher(run, config.teacher, open_teacher(config.teacher))
    share_tokenizer(run, config, teacher.opened.tokenizer)
    prepared = prepare_data(run, config.data, report=report)
    gpt = build_model(config.model, prepared.tokenizer, seed=config.training.seed)
    student = build_student(config, gpt, teacher.opened.model)
    top_k = entries_kept(config, prepared.tokenizer)
    if config.written.n_texts:
        prepared = replace(prepared, train=written_text(run, config, teacher, prepared, device, report))
    language = LanguageModeling(
        train=prepared.train,
        validation=prepared.validation,
        tokenizer=prepared.tokenizer,
        context_length=config.model.context_length,
        training=config.training,
        floor=prepared.floor,
        end_id=prepared.end_id,
    )
    said = soft_targets(config, teacher, prepared, device, report, top_k=top_k) if config.soft.weight else None
    task = Distillation(
        language,
        soft=config.soft,
        hidden=config.hidden,
        said=said,
        teacher=teacher.opened.model if config.hidden.weight else None,
        end_id=prepared.end_id,
    )
    loss = teacher_loss(run, language, teacher.opened.model, device)
    page = _page(run, config, prepared, teacher.opened.model, student, said)
    page[1] += f", validation loss {loss:.4f}"
    return Ready(model=student, task=task, page=page)


def same_teacher(run: Run, name: str, opened: Pretrained) -> Teacher:
    """Write down in teacher.json which model a run learns from; later, refuse another one.

    Raises:
        InputError: the weights that `name` gives now are not those that the run began with, or nobody can tell.
    """
    opened.model.requires_grad_(False).eval()
    path, found = run.path / "teacher.json", model_fingerprint(opened.model)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
    except FileNotFoundError:
        if run.checkpoint_steps():
            raise InputError(
                f"expected {path}, which says who {run.path} learns from, found none: restore it from a copy"
            ) from None
        write_atomically(path, _json({"name": name, "source": opened.source, "fingerprint": found}))
        return Teacher(opened=opened, fingerprint=found)
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"expected {path} as it was written, found something else: restore it from a copy") from None
    if told != found:
        raise InputError(
            f"expected {name} to be the teacher that {run.path} began with, found other weights, from {opened.source}: "
            "put that model back, or start anew"
        )
    return Teacher(opened=opened, fingerprint=found)


def share_tokenizer(run: Run, config: DistillConfig, tokenizer: Tokenizer) -> None:
    """Give the run its teacher's tokenizer; refuse a config that asks for another.

    Probabilities of one vocabulary say nothing about the tokens of another.

    Raises:
        InputError: another tokenizer, or one that does not survive being written to a file.
    """
    wanted = config.data.tokenizer
    if wanted != SAME_TOKENIZER and fingerprint(made := make_tokenizer(config.data)) != fingerprint(tokenizer):
        raise InputError(
            f"expected the student to have its teacher's vocabulary of {tokenizer.vocab_size:,} tokens, found "
            f"DataConfig.tokenizer {wanted}, of {made.vocab_size:,} others: leave it out"
        )
    if not run.tokenizer.exists():
        tokenizer.save(run.tokenizer)
    kept = load_tokenizer(run.tokenizer)
    if fingerprint(kept) != fingerprint(tokenizer) or kept.end_id != tokenizer.end_id:
        raise InputError(
            f"expected {run.tokenizer} to be the tokenizer of {config.teacher}, found another: start anew, with a "
            "teacher whose tokenizer can be written to a file"
        )


def entries_kept(config: DistillConfig, tokenizer: Tokenizer) -> int:
    """Return how many probabilities are kept of each position.

    Raises:
        InputError: more than there are.
    """
    V, wanted = tokenizer.vocab_size, config.soft.top_k
    if wanted is not None and wanted > V:
        raise InputError(
            f"expected SoftTargetConfig.top_k to be at most {V}, all tokens of the teacher, found {wanted}: lower it"
        )
    return min(DEFAULT_TOP_K, V) if wanted is None else wanted


def build_student(config: DistillConfig, gpt: GPT, teacher: GPT) -> Student:
    """Return the student, with what turns its hidden states into the teacher's width, drawn by the run's seed.

    Raises:
        InputError: blocks that it has not.
    """
    if not config.hidden.weight:
        return Student(gpt)
    blocks = config.hidden.blocks
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return Student(
            gpt,
            blocks=tuple(range(1, len(gpt.blocks) + 1)) if blocks is None else blocks,
            teacher_width=teacher.config.d_model,
        )


def teacher_loss(run: Run, language: LanguageModeling, teacher: GPT, device: torch.device) -> float:
    """Return what the teacher reaches on the text that the student is measured on, in its windows; measured once a run.

    Raises:
        InputError: a damaged teacher.json.
    """
    path = run.path / "teacher.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    if "loss" not in told:
        home = teacher.device
        told["loss"] = language.evaluate(teacher.to(device))["loss"]
        teacher.to(home)
        write_atomically(path, _json(told))
    loss: float = told["loss"]
    return loss


def _page(
    run: Run, config: DistillConfig, prepared: Prepared, teacher: GPT, student: Student, said: TeacherLogits | None
) -> list[str]:
    """Return who teaches whom, what, and from which text, in a few lines."""
    gpt, training = student.gpt, config.training
    tokens_per_step = training.sequences_per_step * config.model.context_length
    written = f", written by the teacher ({config.written.n_texts:,} texts)" if config.written.n_texts else ""
    n_teacher, n_student = teacher.n_parameters(), gpt.n_parameters()
    return [
        f"run         {run.path}",
        f"teacher     {config.teacher}: {n_teacher:,} parameters",
        f"student     {n_student:,} parameters ({n_student / n_teacher:.1%}): {config.model.n_layers} layers, "
        f"{config.model.d_model} wide, {config.model.n_heads} heads, context {config.model.context_length}",
        f"corpus      {config.data.corpus}: {prepared.train.n_tokens:,} tokens to learn{written}, "
        f"{prepared.validation.n_tokens:,} held out; {prepared.tokenizer.vocab_size:,} different ones",
        *_lessons(config, student, teacher, said),
        f"training    {training.steps:,} steps of {tokens_per_step:,} tokens "
        f"({training.steps * tokens_per_step / prepared.train.n_tokens:.2g} epochs)",
    ]


def _lessons(config: DistillConfig, student: Student, teacher: GPT, said: TeacherLogits | None) -> list[str]:
    soft, lines = config.soft, []
    if said is not None:
        lines.append(
            f"learns      {soft.weight:.0%} soft targets at temperature {soft.temperature:g}, the {said.key.top_k} "
            f"likeliest of each position: {size(said.key.n_bytes)} in {said.arrays.folder}"
        )
    if student.blocks:
        depths = (len(student.gpt.blocks), len(teacher.blocks))
        pairs = ", ".join(f"{block} like {matching_block(block, *depths)}" for block in student.blocks)
        lines.append(
            f"            hidden states of blocks {pairs} of the teacher's, with weight {config.hidden.weight:g}"
        )
    return lines or ["learns      the text alone: neither soft targets nor hidden states have a weight"]


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
