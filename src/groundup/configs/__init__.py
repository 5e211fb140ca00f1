"""What can be set: frozen, keyword-only dataclasses on the standard library alone."""

from groundup.configs.bands import Band as Band
from groundup.configs.bands import Bands as Bands
from groundup.configs.bands import settings_of as settings_of
from groundup.configs.codec import from_dict as from_dict
from groundup.configs.codec import from_json as from_json
from groundup.configs.codec import to_dict as to_dict
from groundup.configs.codec import to_json as to_json
from groundup.configs.generation import GenerationConfig as GenerationConfig
from groundup.configs.model import PRESETS as PRESETS
from groundup.configs.model import GPTConfig as GPTConfig
from groundup.configs.model import preset as preset
from groundup.configs.optimizer import OptimizerConfig as OptimizerConfig
from groundup.configs.run import DataConfig as DataConfig
from groundup.configs.run import RunConfig as RunConfig
from groundup.configs.training import CheckpointConfig as CheckpointConfig
from groundup.configs.training import ComputeConfig as ComputeConfig
from groundup.configs.training import EvaluationConfig as EvaluationConfig
from groundup.configs.training import HealthConfig as HealthConfig
from groundup.configs.training import ScheduleConfig as ScheduleConfig
from groundup.configs.training import TrainConfig as TrainConfig
