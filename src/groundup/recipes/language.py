"""Named runs of language models: functions that return a `RunConfig`, with the reason for their numbers beside them."""

from collections.abc import Callable
from dataclasses import replace

from groundup.configs.bands import Band, Bands, settings_of
from groundup.configs.model import GPTConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig


def tales() -> RunConfig:
    """Small stories with a known entropy; what `groundup demo` trains, about two minutes on two cores."""
    config = RunConfig(
        # Every word of the tales becomes one token (the trainer stops before 1,536: no pair is left to merge), so a
        # tale has under 120 of them, and a window of 256 shows most tales whole.
        # 12 MB are more than the run reads, so no tale comes twice: 4 MB, read 2.5 times, left twice the excess.
        data=DataConfig(corpus="tales", tokenizer="bpe", bpe_vocab_size=1_536, max_bytes=12_000_000),
        # Two layers are the fewest that can copy a word from earlier in the text (Olsson et al. 2022, "In-context
        # learning and induction heads"); a third learned no more from the same tokens, and cost a third more time.
        # Eight narrow heads, because a tale refers back to many things at once: with four of them, one thing or another
        # (the look of the object, say) was sometimes still guessed at the end of the run.
        model=GPTConfig(context_length=256, d_model=128, n_layers=2, n_heads=8, position="rotary", bias=False),
        training=TrainConfig(
            steps=2_000,
            batch_size=4,  # 4 * 256 = 1,024 tokens a step: many small steps learn to copy sooner than few large ones
            learning_rate=1e-2,  # high, for a small model and a short run; 1.5e-2 ended less alike from run to run
            precision="float32",  # the demo's promise was measured in it, and must not hang on what a machine prefers
            schedule=ScheduleConfig(warmup_steps=150, final_fraction=0.01),
            log_every=20,
            evaluation=EvaluationConfig(every_steps=400, max_tokens=16_384),
            checkpoints=CheckpointConfig(every_steps=500),
        ),
    )
    # Three seeds, one thread, float32 (`python -m benchmarks bands`).
    return _expecting(
        config,
        Band(step=400, low=0.52, high=0.588),
        Band(step=800, low=0.396, high=0.478),
        Band(step=1_200, low=0.365, high=0.43),
        Band(step=1_600, low=0.367, high=0.38),
        Band(step=2_000, low=0.358, high=0.37),
    )


def shakespeare_char() -> RunConfig:
    """TinyShakespeare by characters: a 0.8M-parameter GPT, minutes on two cores."""
    config = RunConfig(
        data=DataConfig(corpus="shakespeare", tokenizer="characters"),
        # The published small CPU setting of this benchmark: 4 layers, 128 wide, context 64, batch 12, 2,000 steps.
        model=GPTConfig(context_length=64, d_model=128, n_layers=4, n_heads=4, bias=False),
        training=TrainConfig(
            steps=2_000,
            batch_size=12,
            learning_rate=1e-3,
            optimizer=OptimizerConfig(beta2=0.99),  # few tokens a step: a longer memory of the second moment
            schedule=ScheduleConfig(warmup_steps=100, final_fraction=0.1),
        ),
    )
    # Three seeds, one thread, float32 (`python -m benchmarks bands`).
    return _expecting(
        config,
        Band(step=250, low=2.428, high=2.478),
        Band(step=500, low=2.238, high=2.309),
        Band(step=750, low=2.041, high=2.218),
        Band(step=1_000, low=2.020, high=2.070),
        Band(step=1_250, low=1.948, high=1.987),
        Band(step=1_500, low=1.889, high=1.934),
        Band(step=1_750, low=1.857, high=1.894),
        Band(step=2_000, low=1.813, high=1.887),
    )


def shakespeare_char_fast() -> RunConfig:
    """TinyShakespeare by characters to a validation loss of 1.88, soonest: a quarter of a minute on one core."""
    return RunConfig(
        data=DataConfig(corpus="shakespeare", tokenizer="characters"),
        # Each choice was measured alone, with three seeds: docs/decisions/002_shakespeare_records.md.
        model=GPTConfig(
            context_length=32,  # with twice the batch; 64 and half of it do as well, 24 does worse
            # Three layers, wider than shakespeare-char's four, with a narrow feed-forward layer: the same time a step.
            d_model=160,
            n_layers=3,
            n_heads=4,
            d_ff=256,
            position="rotary",
            rotary_base=100.0,  # wavelengths of 6 to 500 positions: longer ones tell 32 positions nothing
            qk_norm=True,
            activation="relu_squared",
            bias=False,  # and LayerNorm, not RMSNorm, which torch computes more slowly on a CPU
        ),
        training=TrainConfig(
            steps=175,
            batch_size=32,  # Muon's cost does not grow with the batch: larger and fewer steps are the faster ones
            learning_rate=8e-3,
            optimizer=OptimizerConfig(name="muon", momentum=0.85),  # a short memory of gradients, for a short run
            schedule=ScheduleConfig(name="linear", warmup_steps=20, final_fraction=0.0),
            evaluation=EvaluationConfig(every_steps=175),
        ),
    )


def shakespeare_char_best() -> RunConfig:
    """TinyShakespeare by characters as low as half an hour of two cores with bfloat16 goes: 1.44 (one seed)."""
    return RunConfig(
        data=DataConfig(corpus="shakespeare", tokenizer="characters"),
        # 3.2M parameters: four times those of shakespeare-char, which is what half an hour of two cores can train.
        model=GPTConfig(
            context_length=256,
            d_model=256,
            n_layers=6,
            n_heads=4,
            d_ff=512,  # half the usual width: 1.6 times the tokens in the same time
            position="rotary",
            qk_norm=True,
            activation="relu_squared",
            zero_init_outputs=True,
            dropout=0.1,  # the text is read about four times
            bias=False,
        ),
        training=TrainConfig(
            steps=2_100,
            batch_size=8,  # 2,048 tokens a step: many small steps
            learning_rate=6e-3,
            optimizer=OptimizerConfig(name="muon", beta2=0.99, adamw_rate=0.5),
            schedule=ScheduleConfig(name="linear", warmup_steps=50, final_fraction=0.0),
            evaluation=EvaluationConfig(every_steps=350),
            checkpoints=CheckpointConfig(every_steps=350),
        ),
    )


def shakespeare_gpt2() -> RunConfig:
    """TinyShakespeare in GPT-2's 50,257 tokens: the real vocabulary at a laptop's size."""
    config = RunConfig(
        data=DataConfig(corpus="shakespeare", tokenizer="gpt2"),
        # Dropout, because 300,000 tokens are few and a vocabulary of 50,257 memorizes them quickly.
        model=GPTConfig(context_length=128, d_model=128, n_layers=4, n_heads=4, dropout=0.2),
        training=TrainConfig(
            steps=600,
            batch_size=8,
            # A single text never trains the end-of-text token, so samples begin with a line break.
            evaluation=EvaluationConfig(every_steps=100, max_tokens=16_384, patience=3, sample_prompt="\n"),
        ),
    )
    # Three seeds, one thread, float32 (`python -m benchmarks bands`).
    return _expecting(
        config,
        Band(step=100, low=6.134, high=6.472),
        Band(step=200, low=5.574, high=5.842),
        Band(step=300, low=5.351, high=5.532),
        Band(step=400, low=5.224, high=5.454),
        Band(step=500, low=5.183, high=5.354),
        Band(step=600, low=5.151, high=5.339),
    )


def _expecting(config: RunConfig, *bands: Band) -> RunConfig:
    """Return `config` with the validation losses that were measured with it."""
    return replace(config, bands=Bands(points=bands, measured_with=settings_of(config)))


RECIPES: dict[str, Callable[[], RunConfig]] = {
    "tales": tales,
    "shakespeare-char": shakespeare_char,
    "shakespeare-char-fast": shakespeare_char_fast,
    "shakespeare-char-best": shakespeare_char_best,
    "shakespeare-gpt2": shakespeare_gpt2,
}
"""Every one by the name the command line uses."""
