"""How a pretrained model is trained where nothing else is said: by task and by what of it learns."""

from groundup.configs.finetuning import Method
from groundup.configs.optimizer import OptimizerConfig
from groundup.configs.training import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig

RATES: dict[Method, float] = {"full": 5e-5, "last": 3e-4, "lora": 1e-3, "prompt": 3e-2, "prefix": 1e-2}
"""Peak learning rates. What is new (an adapter, a vector) has far to go; what is pretrained has much to lose."""


def finetune_training(method: Method, *, steps: int, batch_size: int, evaluations: int = 4) -> TrainConfig:
    """Return how to train: a short warmup, a linear fall to zero, little weight decay.

    Args:
        method: what learns.
        steps: optimizer steps.
        batch_size: examples, or rows, of a step.
        evaluations: how often validation data are looked at.

    Example:
        >>> training = finetune_training("lora", steps=180, batch_size=16)
        >>> training.learning_rate, training.schedule.warmup_steps, training.evaluation.every_steps
        (0.001, 18, 45)
    """
    return TrainConfig(
        steps=steps,
        batch_size=batch_size,
        learning_rate=RATES[method],
        optimizer=OptimizerConfig(beta2=0.999, weight_decay=0.01),
        schedule=ScheduleConfig(name="linear", warmup_steps=max(1, steps // 10), final_fraction=0.0),
        evaluation=EvaluationConfig(every_steps=max(1, -(-steps // evaluations)), max_tokens=32_768, sample_tokens=60),
        checkpoints=CheckpointConfig(every_steps=max(1, -(-steps // evaluations)), keep_last=1),
    )
