"""Modules: layers with parameters, and what holds them together; names and defaults are those of torch.nn."""

from groundup.engine.nn import init
from groundup.engine.nn.activations import GELU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from groundup.engine.nn.containers import ModuleDict, ModuleList, Sequential
from groundup.engine.nn.convolution import Conv2d, Flatten, MaxPool2d
from groundup.engine.nn.dropout import Dropout
from groundup.engine.nn.embedding import Embedding
from groundup.engine.nn.hooks import RemovableHandle
from groundup.engine.nn.linear import Linear
from groundup.engine.nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, NLLLoss
from groundup.engine.nn.module import Module
from groundup.engine.nn.normalization import LayerNorm, RMSNorm
from groundup.engine.nn.parameter import Parameter
from groundup.engine.nn.state_dict import LoadedKeys, StateDictError

__all__ = [
    "GELU",
    "BCEWithLogitsLoss",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "LayerNorm",
    "Linear",
    "LoadedKeys",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "RemovableHandle",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "StateDictError",
    "Tanh",
    "init",
]
