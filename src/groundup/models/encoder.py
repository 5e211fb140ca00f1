"""Encoder: one Transformer that reads a whole text both ways and predicts its hidden tokens; BERT, by config.

Shapes: B batch, T tokens, D width, V vocabulary.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.encoder import EncoderConfig
from groundup.errors import InputError
from groundup.layers.activations import BY_HAND, FUSED
from groundup.layers.blocks import EncoderBlock
from groundup.layers.dropout import Dropout
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.normalization import build_norm
from groundup.layers.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from groundup.models.gpt import INITIAL_DEVIATION


class Encoder(nn.Module):
    """Tokens in, what each of them says in its place out, and logits of the tokens there (Devlin et al. 2018).

    Initial weights are normal with deviation 0.02, biases zero. They come from torch's default generator: seed it to
    get the same weights. With sinusoidal positions the embedding is multiplied by √D (Vaswani et al. 2017, section
    3.4); else the fixed vectors, of size 1, would drown tokens of size 0.02.

    Does not: BERT's pooler and the prediction of the next sentence, which RoBERTa found to be of no use (Liu et al.
    2019, section 4.2).

    Args:
        config: sizes and parts; `vocab_size` must be set.
        fused: use torch's kernels; False uses the formulas written out in layers/. Both give the same.

    Raises:
        InputError: if config.vocab_size is None.

    Example:
        >>> model = Encoder(EncoderConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=4)).eval()
        >>> tokens = torch.tensor([[1, 2, 3], [4, 5, 0]])
        >>> is_token = torch.tensor([[True, True, True], [True, True, False]])
        >>> model(tokens, is_token=is_token).shape
        torch.Size([2, 3, 10])
        >>> torch.allclose(model(tokens, is_token=is_token)[1, :2], model(tokens[1:, :2])[0], atol=1e-6)
        True
    """

    def __init__(self, config: EncoderConfig, *, fused: bool = True) -> None:
        super().__init__()
        if config.vocab_size is None:
            raise InputError(
                "EncoderConfig.vocab_size must be set to build an Encoder, found None; use the tokenizer's"
            )
        self.config = config
        D, V = config.d_model, config.vocab_size
        sinusoidal = config.position == "sinusoidal"
        self.token_embedding = TokenEmbedding(V, D, scale=math.sqrt(D) if sinusoidal else 1.0, fused=fused)
        self.segment_embedding = TokenEmbedding(config.n_segments, D, fused=fused) if config.n_segments else None
        self.position_embedding: LearnedPositions | SinusoidalPositions | None = None
        if config.position == "learned":
            self.position_embedding = LearnedPositions(config.context_length, D)
        elif sinusoidal:
            self.position_embedding = SinusoidalPositions(D, config.context_length)
        rotary = config.position == "rotary"
        self.rotary = RotaryPositions(config.d_head, config.context_length) if rotary else None
        self.embedding_norm: nn.Module = nn.Identity()
        if config.embedding_norm:
            self.embedding_norm = build_norm("layer", D, epsilon=config.norm_epsilon, fused=fused)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(_block(config, fused) for _ in range(config.n_layers))
        self.final_norm: nn.Module = nn.Identity()  # post-norm blocks end normalized
        if config.norm_order == "pre":
            self.final_norm = build_norm("layer", D, epsilon=config.norm_epsilon, fused=fused)
        self.head = PredictionHead(config, fused=fused) if config.head_transform else None
        self.output = None if config.tie_embeddings else nn.Linear(D, V, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(V))
        self._initialize()

    def forward(self, tokens: Tensor, *, is_token: Tensor | None = None, segments: Tensor | None = None) -> Tensor:
        """Return logits of the token at each place: int64 [B, T] -> [B, T, V]; the arguments are `hidden_states`'."""
        return self.project(self.hidden_states(tokens, is_token=is_token, segments=segments))

    def hidden_states(
        self, tokens: Tensor, *, is_token: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor:
        """Return what the last block made of each token: int64 [B, T] -> [B, T, D].

        Args:
            tokens: ids.
            is_token: which of them are real, bool [B, T]. What stands elsewhere changes nothing for those; what comes
                out there means nothing. None: all.
            segments: which kind of text each belongs to, int64 [B, T]. None: all to the first.

        Raises:
            InputError: more tokens than context_length.
            ValueError: segments for a model that has no vectors for them.
        """
        T = tokens.shape[1]
        if self.config.context_length < T:
            raise InputError(
                f"this model sees at most {self.config.context_length} tokens, found {T}; shorten the text"
            )
        if segments is not None and self.segment_embedding is None:
            raise ValueError("expected no segments for a model with n_segments=0, found some")
        x = self.token_embedding(tokens)
        if self.segment_embedding is not None:
            x = x + self.segment_embedding(torch.zeros_like(tokens) if segments is None else segments)
        if self.position_embedding is not None:
            x = self.position_embedding(x)
        x = self.dropout(self.embedding_norm(x))
        rotation = None if self.rotary is None else self.rotary(T)
        mask = None if is_token is None else is_token[:, None, None]  # [B, 1, 1, T]
        for block in self.blocks:
            x = block(x, mask=mask, rotation=rotation)
        hidden: Tensor = self.final_norm(x)
        return hidden

    def project(self, hidden: Tensor) -> Tensor:
        """Return the logits for hidden states: [..., D] -> [..., V]; give it the places that are asked for only."""
        return F.linear(self.transform(hidden), self.output_weight, self.output_bias)

    def transform(self, hidden: Tensor) -> Tensor:
        """Return what `project` multiplies by the output matrix: [..., D] -> [..., D]."""
        return hidden if self.head is None else self.head(hidden)

    @property
    def output_weight(self) -> Tensor:
        """The matrix [V, D] that `project` multiplies by: the token embedding's own when the two are tied."""
        return self.token_embedding.weight if self.output is None else self.output.weight

    @property
    def context_length(self) -> int:
        """Most tokens of a text that it sees at once."""
        return self.config.context_length

    @property
    def vocab_size(self) -> int:
        """Tokens that it knows."""
        assert self.config.vocab_size is not None
        return self.config.vocab_size

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.output_bias.device

    def n_parameters(self) -> int:
        """Count the parameters, tied ones once.

        Example:
            >>> with torch.device("meta"):  # shapes only, no memory
            ...     Encoder(EncoderConfig(vocab_size=30_522)).n_parameters()
            109514298
        """
        return sum(parameter.numel() for parameter in self.parameters())

    def _initialize(self) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif not name.endswith("norm.weight"):  # norms start at one
                nn.init.normal_(parameter, std=INITIAL_DEVIATION)


class PredictionHead(nn.Module):
    """What hidden states pass before they are held against the vocabulary: norm(activation(dense(x))), as in BERT.

    Args:
        config: width, activation and epsilon of the norm.
        fused: use torch's kernels; False uses the formulas written out in layers/.

    Example:
        >>> PredictionHead(EncoderConfig(d_model=8, n_heads=2))(torch.ones(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, config: EncoderConfig, *, fused: bool = True) -> None:
        super().__init__()
        self.dense = nn.Linear(config.d_model, config.d_model)
        self.activation = (FUSED if fused else BY_HAND)["gelu" if config.activation == "swiglu" else config.activation]
        self.norm = build_norm("layer", config.d_model, epsilon=config.norm_epsilon, fused=fused)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return [..., D] for [..., D]."""
        out: Tensor = self.norm(self.activation(self.dense(hidden)))
        return out


def _block(config: EncoderConfig, fused: bool) -> EncoderBlock:
    return EncoderBlock(
        config.d_model,
        config.n_heads,
        config.feed_forward_width,
        activation=config.activation,
        norm_order=config.norm_order,
        norm_epsilon=config.norm_epsilon,
        dropout=config.dropout,
        fused=fused,
    )
