"""Named runs that learn to translate: functions that return a `TranslationConfig`, the reasons beside the numbers."""

from collections.abc import Callable

from groundup.configs.optimizer import OptimizerConfig
from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.configs.training import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.configs.translation import PairsConfig, TranslationConfig


def dates() -> TranslationConfig:
    """Dates as people write them to ISO dates: a toy whose answer is known, under three minutes on two cores."""
    return TranslationConfig(
        data=PairsConfig(corpus="dates", tokenizer="bytes"),
        model=Seq2SeqConfig(
            context_length=64,
            d_model=96,
            n_encoder_layers=2,
            n_decoder_layers=2,
            n_heads=4,
            norm_order="pre",
            dropout=0.0,
        ),
        training=TrainConfig(
            steps=1_500,
            batch_size=128,
            learning_rate=3e-3,
            precision="float32",
            schedule=ScheduleConfig(warmup_steps=100, final_fraction=0.01),
            evaluation=EvaluationConfig(every_steps=500),
        ),
    )


def reverse() -> TranslationConfig:
    """Strings of up to 20 letters backwards: what attention does alone, order and nothing else."""
    return TranslationConfig(
        data=PairsConfig(corpus="reverse", tokenizer="bytes"),
        model=Seq2SeqConfig(
            context_length=32,
            d_model=96,
            n_encoder_layers=2,
            n_decoder_layers=2,
            n_heads=4,
            norm_order="pre",
            dropout=0.0,
        ),
        training=TrainConfig(
            steps=1_500,
            batch_size=128,
            learning_rate=3e-3,
            precision="float32",
            schedule=ScheduleConfig(warmup_steps=100, final_fraction=0.01),
            evaluation=EvaluationConfig(every_steps=500),
        ),
    )


def sort() -> TranslationConfig:
    """Strings of up to 20 letters in the order of the alphabet: counting, by attention."""
    config = reverse()
    return TranslationConfig(
        data=PairsConfig(corpus="sort", tokenizer="bytes"), model=config.model, training=config.training
    )


def multi30k_en_de() -> TranslationConfig:
    """English captions to German, 29,000 of them: real translation at a laptop's size, an hour on two cores."""
    return TranslationConfig(
        data=PairsConfig(corpus="multi30k", source="en", target="de", bpe_vocab_size=8_000, batch_tokens=4_096),
        model=Seq2SeqConfig(
            context_length=128,
            d_model=256,
            n_encoder_layers=3,
            n_decoder_layers=3,
            n_heads=4,
            norm_order="pre",
            dropout=0.3,
        ),
        label_smoothing=0.1,
        training=TrainConfig(
            steps=6_000,
            batch_size=512,
            learning_rate=2e-3,
            optimizer=OptimizerConfig(beta2=0.98),
            schedule=ScheduleConfig(warmup_steps=400, final_fraction=0.01),
            evaluation=EvaluationConfig(every_steps=500),
            checkpoints=CheckpointConfig(every_steps=500),
        ),
    )


RECIPES: dict[str, Callable[[], TranslationConfig]] = {
    "dates": dates,
    "reverse": reverse,
    "sort": sort,
    "multi30k-en-de": multi30k_en_de,
}
"""Every one by the name the command line uses."""
