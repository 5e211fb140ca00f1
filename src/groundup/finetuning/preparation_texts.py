"""From the config of a run that learns to write to its model and task: a text, conversations, or preferences."""

from collections.abc import Callable
from pathlib import Path

from groundup.chat.examples import EncodedChats, EncodedPairs, encode_chats, encode_pairs
from groundup.chat.learning import template_of
from groundup.configs.finetune_runs import ChatConfig, ChatDataConfig, PreferConfig, TextConfig
from groundup.data.chats import read_chats, split_chats
from groundup.data.corpora import find_corpus
from groundup.data.preferences import read_preferences, split_preferences
from groundup.data.tokens import TokenFile, open_tokens, prepare_tokens
from groundup.download import local_path
from groundup.errors import InputError
from groundup.finetuning.preparation import check_room, model_page, refuse_idle, tune
from groundup.models.gpt import GPT
from groundup.tasks.conversations import ConversationTuning, ReplyBatch
from groundup.tasks.language_modeling import LanguageModeling, TokenBatch
from groundup.tasks.preference import PreferenceTuning
from groundup.tasks.reference import PairBatch
from groundup.training.devices import choose_device
from groundup.training.lifecycle import Ready
from groundup.training.preparation import before_documents
from groundup.training.run_folder import Run
from groundup.training.same_data import same_data
from groundup.weights.pretrained import Pretrained

Encoded = EncodedChats | EncodedPairs
"""What is left of a file's lines within a context."""
Report = Callable[[str], None]
"""Is told in lines what takes a while."""


def prepare_text(run: Run, config: TextConfig, base: Pretrained, report: Report) -> Ready[GPT, TokenBatch]:
    """Make the tokens of the text, in the base's own vocabulary, and let the method's part of the base learn.

    Raises:
        InputError: a corpus that cannot be found or used, or a context that the base has not.
    """
    check_room(config.context_length, "TextConfig.context_length", config, base)
    train, validation, end_id = domain_tokens(run, config, base, report)
    tune(base, config.tuning, seed=config.training.seed)
    refuse_idle(base.model)
    task = LanguageModeling(
        train=train,
        validation=validation,
        tokenizer=base.tokenizer,
        context_length=config.context_length,
        training=config.training,
        end_id=end_id,
    )
    tokens_per_step = config.training.sequences_per_step * config.context_length
    page = [
        f"run         {run.path}",
        f"text        {config.data.corpus}: {train.n_tokens:,} tokens to learn, {validation.n_tokens:,} held out",
        *model_page(config.base, config.tuning, base.model, config.training),
        f"training    {config.training.steps:,} steps of {tokens_per_step:,} tokens "
        f"({config.training.steps * tokens_per_step / train.n_tokens:.2g} epochs)",
    ]
    return Ready(model=base.model, task=task, page=page)


def prepare_chat(run: Run, config: ChatConfig, base: Pretrained, report: Report) -> Ready[GPT, ReplyBatch]:
    """Lay conversations out by the base's own template, and let the method's part of the base learn the replies.

    Raises:
        InputError: a base without a template, conversations that cannot be used, or that are not those the run began
            with.
    """
    check_room(config.context_length, "ChatConfig.context_length", config, base)
    sides = split_chats(read_chats(_file(config.data)), config.data.validation_fraction, config.data.seed)
    same_data(run, [sides.train, sides.validation])
    most = min(config.data.max_tokens, config.context_length)
    template = template_of(base)
    train, validation = (
        encode_chats(base.tokenizer, template, side, max_tokens=most) for side in (sides.train, sides.validation)
    )
    tune(base, config.tuning, seed=config.training.seed)
    refuse_idle(base.model)
    task = ConversationTuning(
        train=train.examples,
        validation=validation.examples,
        tokenizer=base.tokenizer,
        context_length=config.context_length,
        training=config.training,
        packed=base.model.rotary is not None and base.model.prefix is None,
    )
    page = [
        f"run         {run.path}",
        f"file        {config.data.file}: {len(train.examples):,} conversations to learn in {len(task.rows):,} rows, "
        f"{len(validation.examples):,} held out",
        *_losses(train, validation, most, "conversations"),
        *model_page(config.base, config.tuning, base.model, config.training),
        f"training    {config.training.steps:,} steps of {config.training.sequences_per_step} rows",
    ]
    return Ready(model=base.model, task=task, page=page)


def prepare_preference(run: Run, config: PreferConfig, base: Pretrained, report: Report) -> Ready[GPT, PairBatch]:
    """Measure what the base gives both replies of each pair, then let the method's part of it learn to prefer.

    Raises:
        InputError: a base without a template, pairs that cannot be used, or that are not those the run began with.
    """
    sides = split_preferences(read_preferences(_file(config.data)), config.data.validation_fraction, config.data.seed)
    same_data(run, [[[p.prompt, p.chosen, p.rejected] for p in side] for side in (sides.train, sides.validation)])
    check_room(most := config.data.max_tokens, "ChatDataConfig.max_tokens", config, base)
    template = template_of(base)
    train, validation = (
        encode_pairs(base.tokenizer, template, side, max_tokens=most) for side in (sides.train, sides.validation)
    )
    report("measuring what the base gives each reply …")
    task = PreferenceTuning(
        train=train.pairs,
        validation=validation.pairs,
        reference=base.model,
        tokenizer=base.tokenizer,
        training=config.training,
        beta=config.beta,
        folder=run.path,
        device=choose_device(config.training.device),
    )
    tune(base, config.tuning, seed=config.training.seed)
    refuse_idle(base.model)
    page = [
        f"run         {run.path}",
        f"file        {config.data.file}: {len(train.pairs):,} pairs to learn, {len(validation.pairs):,} held out",
        *_losses(train, validation, most, "pairs"),
        *model_page(config.base, config.tuning, base.model, config.training),
        f"training    {config.training.steps:,} steps of {config.training.sequences_per_step} pairs",
    ]
    return Ready(model=base.model, task=task, page=page)


def domain_tokens(
    run: Run, config: TextConfig, base: Pretrained, report: Report
) -> tuple[TokenFile, TokenFile, int | None]:
    """Return the tokens to learn, those held out, and the one before each document; made once for a run, then opened.

    Raises:
        InputError: a corpus that cannot be found, or damaged files.
    """
    if not run.tokens.exists():
        corpus = find_corpus(config.data.corpus, max_bytes=config.data.max_bytes)
        report(f"encoding {corpus.name} …")
        prepare_tokens(corpus, base.tokenizer, run.tokens, validation_fraction=config.data.validation_fraction)
    train = open_tokens(run.tokens, "train", tokenizer=base.tokenizer)
    validation = open_tokens(run.tokens, "validation", tokenizer=base.tokenizer)
    for tokens in (train, validation):
        tokens.verify()
    return train, validation, before_documents(base.tokenizer, train, config.data)


def _file(config: ChatDataConfig) -> Path:
    if not config.file:
        raise InputError("expected a .jsonl file to learn from, found none: give one with --data FILE")
    return local_path(config.file)


def _losses(train: Encoded, validation: Encoded, most: int, what: str) -> list[str]:
    """Return lines about what was cut or left out."""
    n_cut, n_left_out = train.n_cut + validation.n_cut, train.n_left_out + validation.n_left_out
    lines = [f"            {n_cut:,} {what} longer than {most} tokens are cut there"] if n_cut else []
    return lines + ([f"            {n_left_out:,} {what} left out: nothing to learn before that"] if n_left_out else [])
