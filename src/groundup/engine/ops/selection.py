"""Operations that choose numbers by condition: where and masked_fill."""

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.broadcasting import unbroadcast
from groundup.engine.ops.rules import Array, Result
