"""Named runs that learn to predict hidden tokens: functions that return a `MaskedConfig`, with their reasons."""

from collections.abc import Callable

from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskedConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.configs.run import DataConfig
from groundup.configs.training import EvaluationConfig, ScheduleConfig, TrainConfig


def tales_mask() -> MaskedConfig:
    """Small stories with hidden words, whose exact posterior is known: an encoder beside the best that can be done."""
    return MaskedConfig(
        # As recipe tales: every word is one token, and a tale has under 120 of them, so each is read whole.
        # 27,000 tales are read two or three times, but never with the same words hidden.
        data=DataConfig(corpus="tales", tokenizer="bpe", bpe_vocab_size=1_536, max_bytes=12_000_000),
        # The parts of recipe tales, without its causality. Rotary positions: a hidden word learns first from its
        # neighbours, and "the one before" is one rotation for all places.
        model=EncoderConfig(
            context_length=128,
            n_segments=0,
            d_model=128,
            n_layers=2,
            n_heads=8,
            position="rotary",
            norm_order="pre",
            norm_epsilon=1e-5,
            embedding_norm=False,
            activation="gelu_tanh",
            dropout=0.0,
        ),
        training=TrainConfig(
            steps=4_000,
            batch_size=16,  # of about 92 tokens each, of which 14 are hidden: 220 things to learn from in a step
            # AdamW stays where every word is guessed by its frequency (a loss of 5.2) for hundreds of steps at any rate
            # that was tried; Muon has left it after 50.
            learning_rate=1e-2,
            optimizer=OptimizerConfig(name="muon"),
            precision="float32",
            log_every=20,
            schedule=ScheduleConfig(name="linear", warmup_steps=30, final_fraction=0.0),
            evaluation=EvaluationConfig(every_steps=500, max_tokens=16_384),
        ),
    )


RECIPES: dict[str, Callable[[], MaskedConfig]] = {"tales-mask": tales_mask}
"""Every one by the name the command line uses."""
