"""A tensor library by hand: arrays from NumPy, and autograd, modules, optimizers and data loading of our own."""

from groundup.engine.autograd import apply, enable_grad, is_grad_enabled, no_grad
from groundup.engine.creation import arange, from_numpy, full, ones, ones_like, tensor, zeros, zeros_like
from groundup.engine.dtypes import float32, float64, int64
from groundup.engine.errors import DTypeError, GradientError, ShapeError
from groundup.engine.random import Generator, manual_seed, rand, randint, randn, randperm
from groundup.engine.tensor import Tensor
