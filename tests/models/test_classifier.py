"""The classifier: pooling by hand, padding that changes nothing, transformers' classifiers with the same weights."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from groundup.configs import GPTConfig
from groundup.configs.finetune_runs import HeadConfig
from groundup.data.padding import pad_rows
from groundup.errors import InputError
from groundup.models.classifier import Classifier
from groundup.models.gpt import GPT
from groundup.weights.huggingface import gpt_from_tensors

Pooling = Literal["last", "mean", "attention"]
POOLINGS: tuple[Pooling, ...] = ("last", "mean", "attention")
SIZES: dict[str, Any] = {"vocab_size": 20, "context_length": 12, "d_model": 16, "n_layers": 2, "n_heads": 2}
LLAMA: dict[str, Any] = {
    "position": "rotary",
    "norm": "rms",
    "activation": "swiglu",
    "bias": False,
    "n_kv_heads": 1,
    "tie_embeddings": False,
}
ROWS = [[3, 4, 5, 6, 7], [8, 9], [10], [11, 12, 13]]


def classifier(pooling: Pooling = "last", *, dropout: float = 0.0, **config: object) -> Classifier:
    torch.manual_seed(0)
    model = Classifier(GPT(GPTConfig(**SIZES | config)), 3, HeadConfig(pooling=pooling, dropout=dropout))
    if model.pooling_query is not None:
        torch.nn.init.normal_(model.pooling_query)  # it begins as the mean
    return model.eval()


def padded(rows: list[list[int]], *, pad_id: int = 0, more: int = 0) -> tuple[Tensor, Tensor]:
    tokens, is_token = (torch.from_numpy(array) for array in pad_rows(rows, pad_id))
    return (
        torch.nn.functional.pad(tokens, (0, more), value=pad_id),
        torch.nn.functional.pad(is_token, (0, more), value=False),
    )


@torch.no_grad()
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("config", [{}, LLAMA], ids=["gpt2", "llama"])
def test_each_pooling_is_its_formula(pooling: Pooling, config: dict[str, object]):
    model = classifier(pooling, **config)
    logits = model(*padded(ROWS))
    for row, found in zip(ROWS, logits, strict=True):
        hidden = model.gpt.hidden_states(torch.tensor([row]))[0]  # [T, D], without padding
        if pooling == "last":
            pooled = hidden[-1]
        elif pooling == "mean":
            pooled = hidden.sum(0) / len(row)
        else:
            sizes = torch.stack([(h * model.pooling_query).sum() / 4.0 for h in hidden]).exp()  # √16 = 4
            pooled = sum(size * h for size, h in zip(sizes / sizes.sum(), hidden, strict=True))
        # The same float32 sums in another order; logits are about 0.1.
        expected = torch.nn.functional.linear(pooled, model.head.weight, model.head.bias)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("config", [{}, LLAMA], ids=["gpt2", "llama"])
def test_padding_changes_neither_logits_nor_gradients(pooling: Pooling, config: dict[str, object]):
    def result(pad_id: int, more: int) -> tuple[Tensor, dict[str, Tensor]]:
        model = classifier(pooling, **config)
        logits = model(*padded(ROWS, pad_id=pad_id, more=more))
        logits.square().sum().backward()
        return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    logits, gradients = result(0, 0)
    for pad_id, more in ((19, 0), (0, 5), (7, 3)):
        others, others_gradients = result(pad_id, more)
        # Kernels sum rows of another length in another order: rounding of numbers up to 1.
        torch.testing.assert_close(others, logits, rtol=0, atol=1e-6)
        torch.testing.assert_close(others_gradients, gradients, rtol=0, atol=1e-6)


@torch.no_grad()
def test_attention_pooling_begins_as_the_mean():
    torch.manual_seed(0)
    fresh = Classifier(GPT(GPTConfig(**SIZES)), 3, HeadConfig(pooling="attention")).eval()
    mean = classifier("mean")
    mean.load_state_dict(fresh.state_dict(), strict=False)
    torch.testing.assert_close(fresh(*padded(ROWS)), mean(*padded(ROWS)), rtol=0, atol=0)


def test_every_weight_that_is_read_gets_a_gradient():
    for pooling in POOLINGS:
        model = classifier(pooling)
        model(*padded(ROWS)).square().sum().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_initial_weights_come_from_the_seed_with_deviation_0_02():
    config = GPTConfig(**SIZES | {"d_model": 256})
    heads = []
    for seed in (0, 0, 1):
        gpt = GPT(config)
        torch.manual_seed(seed)
        heads.append(Classifier(gpt, 40, HeadConfig(pooling="mean")).head)
    assert heads[0].weight.equal(heads[1].weight)
    assert not heads[0].weight.equal(heads[2].weight)
    assert heads[0].weight.std().item() == pytest.approx(0.02, rel=0.03)  # of 10,240 draws: four standard errors
    assert not heads[0].bias.any()


def test_dropout_stands_before_the_head_and_only_in_training():
    model = classifier(dropout=0.5)
    tokens, is_token = padded(ROWS * 8)
    seen: list[Tensor] = []
    model.head.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    model(tokens, is_token)
    model.train()(tokens, is_token)
    still, dropped = seen
    kept = dropped != 0
    # 512 entries, each zero with probability 1/2: standard deviation 0.022.
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(dropped[kept], 2 * still[kept])


@torch.no_grad()
@pytest.mark.parametrize("pooling", POOLINGS)
def test_logits_are_float32_under_autocast_and_in_other_formats(pooling: Pooling):
    model = classifier(pooling)
    exact = model(*padded(ROWS))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(*padded(ROWS))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0, atol=1e-2)  # 8 bits of hidden states of size 1, weights of 0.02
    assert not rounded.bfloat16().float().equal(rounded)  # the head itself was not rounded
    model.gpt.bfloat16()
    assert model(*padded(ROWS)).dtype == torch.float32
    assert model.bfloat16()(*padded(ROWS)).dtype == torch.float32
    assert model.double()(*padded(ROWS)).dtype == torch.float64


def test_one_label_is_refused():
    with pytest.raises(InputError, match="at least 2 labels"):
        Classifier(GPT(GPTConfig(**SIZES)), 1, HeadConfig())


def test_a_text_beyond_the_context_is_refused():
    with pytest.raises(InputError, match="at most 12 tokens, found 13"):
        classifier()(*padded([[1] * 13]))


def from_transformers(kind: str) -> tuple[Any, Classifier]:
    """A classifier of transformers with random weights, and ours with the same."""
    import transformers

    torch.manual_seed(0)
    if kind == "llama":
        theirs = transformers.LlamaForSequenceClassification(
            transformers.LlamaConfig(
                vocab_size=20,
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=12,
                pad_token_id=0,
                bos_token_id=None,
                eos_token_id=None,
                num_labels=3,
                tie_word_embeddings=True,
            )
        ).eval()
    else:
        theirs = transformers.GPT2ForSequenceClassification(
            transformers.GPT2Config(
                vocab_size=20,
                n_positions=12,
                n_embd=16,
                n_layer=2,
                n_head=2,
                pad_token_id=0,
                bos_token_id=None,
                eos_token_id=None,
                num_labels=3,
            )
        ).eval()
    body = {name: tensor.clone() for name, tensor in theirs.state_dict().items() if not name.startswith("score")}
    ours = Classifier(gpt_from_tensors(theirs.config.to_dict(), body, source=kind), 3, HeadConfig()).eval()
    with torch.no_grad():
        ours.head.weight.copy_(theirs.score.weight)  # neither has a bias
    return theirs, ours


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_same_as_transformers_in_logits_and_gradients(kind: str):
    theirs, ours = from_transformers(kind)
    tokens, is_token = padded(ROWS)
    labels = torch.tensor([0, 2, 1, 2])
    expected = theirs(input_ids=tokens, attention_mask=is_token.long()).logits
    found = ours(tokens, is_token)
    # float32 rounding, two blocks deep; logits are about 0.1, gradients up to 1.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    for logits in (found, expected):
        torch.nn.functional.cross_entropy(logits, labels).backward()
    gradients = {name: p.grad.clone() for name, p in theirs.named_parameters()}
    score = gradients.pop("score.weight")
    torch.testing.assert_close(ours.head.weight.grad, score, rtol=0, atol=1e-5)
    # Gradients are laid out as weights are, so the same reader names and turns them.
    expected_gradients = gpt_from_tensors(theirs.config.to_dict(), gradients, source=kind).state_dict()
    compared = {name: p.grad for name, p in ours.gpt.named_parameters() if p.grad is not None}
    assert len(compared) == len(list(ours.gpt.parameters()))
    for name, gradient in compared.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=0, atol=1e-5, msg=lambda m, n=name: n + m)
