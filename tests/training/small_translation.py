"""A run that learns to translate, with everything that could drift, in a second."""

from pathlib import Path

from groundup.configs import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.configs.translation import PairsConfig, TranslationConfig

STEPS = 12


def config(**data: object) -> TranslationConfig:
    """Accumulation, dropout, smoothing, batches by tokens, evaluation with translations, a checkpoint at each step."""
    return TranslationConfig(
        data=PairsConfig(**{"corpus": "reverse", "tokenizer": "bytes", "max_pairs": 40, "batch_tokens": 200, **data}),
        model=Seq2SeqConfig(
            context_length=22, d_model=16, n_encoder_layers=1, n_decoder_layers=1, n_heads=2, norm_order="pre"
        ),
        label_smoothing=0.1,
        decoded_pairs=3,
        training=TrainConfig(
            steps=STEPS,
            batch_size=4,
            accumulation_steps=2,
            learning_rate=1e-2,
            device="cpu",
            precision="float32",
            log_every=1,
            schedule=ScheduleConfig(warmup_steps=3),
            evaluation=EvaluationConfig(every_steps=4, max_tokens=200, sample_tokens=8),
            checkpoints=CheckpointConfig(every_steps=1, mark_every_steps=5),
        ),
    )


def write_pairs(folder: Path, n: int = 40) -> str:
    """Write two line-aligned files; return what their names begin with."""
    (folder / "train.en").write_text("".join(f"{i} green bottles\n" for i in range(n)))
    (folder / "train.de").write_text("".join(f"{i} Flaschen\n" for i in range(n)))
    return str(folder / "train")
