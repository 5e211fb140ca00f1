"""The data loader by hand: datasets, samplers, collating, and worker processes that make batches ahead of time."""

from groundup.engine.loader.collate import default_collate
from groundup.engine.loader.dataloader import DataLoader
from groundup.engine.loader.dataset import (
    ArrayDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from groundup.engine.loader.samplers import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
)
from groundup.engine.loader.seeds import sample_generator
from groundup.engine.loader.workers import WorkerError, WorkerInfo, get_worker_info, shard

__all__ = [
    "ArrayDataset",
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerError",
    "WorkerInfo",
    "default_collate",
    "get_worker_info",
    "random_split",
    "sample_generator",
    "shard",
]
