"""Named runs that learn to translate: functions that return a `TranslationConfig`, the reasons beside the numbers."""

from collections.abc import Callable
from dataclasses import replace

from groundup.configs.optimizer import OptimizerConfig
from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.configs.training import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.configs.translation import PairsConfig, TranslationConfig


def dates() -> TranslationConfig:
    """Dates as people write them to ISO dates: a toy whose answer is known, under three minutes on two cores."""
    return TranslationConfig(
        # Bytes: a year is copied digit by digit, and no merge of digits has to be undone first.
        data=PairsConfig(corpus="dates", tokenizer="bytes"),
        model=_small(context_length=64),
        training=_short(steps=1_000),  # 99.9 % of unseen dates; after 900 steps 99.5 %
    )


def reverse() -> TranslationConfig:
    """Strings of up to 20 letters backwards: what attention does alone, order and nothing else."""
    return TranslationConfig(
        data=PairsConfig(corpus="reverse", tokenizer="bytes"),
        # Where a letter stands has to be seen from another text. Cross-attention does not see rotary positions: a model
        # with them copies by content, and loses count in "kkkk" (997 of 1,000 right at 20 letters after 5,000 steps).
        model=replace(_small(context_length=32), position="sinusoidal"),
        training=_short(steps=3_500, learning_rate=1.5e-3),  # 99.8 % of 10,000; at twice the rate the loss jumps
    )


def sort() -> TranslationConfig:
    """Strings of up to 20 letters in the order of the alphabet: counting, by attention."""
    return TranslationConfig(
        data=PairsConfig(corpus="sort", tokenizer="bytes"),
        model=_small(context_length=32),
        training=_short(steps=1_500),
    )


def multi30k_en_de() -> TranslationConfig:
    """English captions to German, 29,000 of them: real translation at a laptop's size, an hour on two slow cores."""
    return TranslationConfig(
        # 6,000 tokens for both languages spell a caption in 15 of them, 8,000 in 14.5: a smaller vocabulary costs less.
        # Steps of 2,048 tokens with padding (57 pairs): what an hour can read, 8 epochs, is better spent on many.
        data=PairsConfig(corpus="multi30k", source="en", target="de", bpe_vocab_size=6_000, batch_tokens=2_048),
        model=Seq2SeqConfig(
            context_length=128,  # the longest caption has 58 tokens
            d_model=256,
            n_encoder_layers=3,
            n_decoder_layers=3,
            n_heads=4,
            d_ff=512,  # half the usual width: 1.25 times the tokens in the same time
            position="rotary",
            norm_order="pre",
            dropout=0.15,
        ),
        label_smoothing=0.1,
        training=TrainConfig(
            steps=4_000,
            batch_size=256,
            learning_rate=1.5e-3,
            precision="float32",  # where it was measured nothing was faster
            optimizer=OptimizerConfig(beta2=0.98),  # as Vaswani et al. 2017, section 5.3
            schedule=ScheduleConfig(warmup_steps=300, final_fraction=0.02),
            evaluation=EvaluationConfig(every_steps=1_000),
            checkpoints=CheckpointConfig(every_steps=500),
        ),
    )


def _small(*, context_length: int) -> Seq2SeqConfig:
    """Return a model of 250,000 parameters for the toys."""
    # Rotary positions: after 600 steps of dates 99.5 % come out right, with sinusoidal ones 74 %.
    return Seq2SeqConfig(
        context_length=context_length,
        d_model=64,
        n_encoder_layers=2,
        n_decoder_layers=2,
        n_heads=4,
        position="rotary",
        norm_order="pre",
        dropout=0.0,  # pairs enough that few come twice
    )


def _short(*, steps: int, learning_rate: float = 3e-3) -> TrainConfig:
    """Return the training of the toys: many small steps, at a high rate that falls to nothing."""
    return TrainConfig(
        steps=steps,
        batch_size=128,
        learning_rate=learning_rate,
        precision="float32",  # a model so small computes no faster in another
        schedule=ScheduleConfig(warmup_steps=50, final_fraction=0.0),
        evaluation=EvaluationConfig(every_steps=300),
    )


RECIPES: dict[str, Callable[[], TranslationConfig]] = {
    "dates": dates,
    "reverse": reverse,
    "sort": sort,
    "multi30k-en-de": multi30k_en_de,
}
"""Every one by the name the command line uses."""
