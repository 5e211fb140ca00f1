"""Shows beam search beside greedy decoding and sampling: log-probabilities, the n best, and the length penalty."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import groundup
from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.generation.beam_search import beam_search
from groundup.generation.decode import decode
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/10_pretrained_generation_demo")
PROMPT = "The old man opened the door and"
LONGEST, N_SAMPLES, N_SHOWN = 16, 8, 4
Written = tuple[str, int, float]  # text, tokens, log-probability


class Author:
    """Writes after the prompt, up to a full stop."""

    def __init__(self, model: GPT, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer, self.prompt = model, tokenizer, tokenizer.encode(PROMPT)

    def spell(self, tokens: list[int]) -> str:
        """Return the text without the space before it."""
        return self.tokenizer.decode(tokens).strip()

    def draw(self, config: GenerationConfig, n: int) -> list[Written]:
        """Draw `n` texts at once, token by token; the likeliest first."""
        rows: list[tuple[list[int], list[float]]] = [([], []) for _ in range(n)]
        prompts = [self.prompt] * n
        for draws in decode(self.model, prompts, config, is_finished=lambda row: "." in self.spell(rows[row][0])):
            for one in draws:
                rows[one.row][0].append(one.token)
                rows[one.row][1].append(one.logprob)
        return sorted(((self.spell(ids), len(ids), sum(values)) for ids, values in rows), key=lambda one: -one[2])

    def search(self, n_beams: int, penalty: float = 0.0, n_best: int = 1) -> list[Written]:
        """Search with beams; the best first."""
        beam = BeamConfig(n_beams=n_beams, n_best=n_best, length_penalty=penalty)
        config = GenerationConfig(strategy="beam", max_new_tokens=LONGEST, beam=beam)
        found = beam_search(self.model, [self.prompt], config, is_finished=lambda tokens: "." in self.spell(tokens))[0]
        return [(self.spell(one.tokens), len(one.tokens), sum(one.logprobs)) for one in found]


def main(out: Path = OUT) -> None:
    writer = Author(*groundup.load("smollm2"))
    groups = {
        "8 beams": writer.search(8, n_best=N_SHOWN),
        "2 beams": writer.search(2),
        "greedy": writer.draw(GenerationConfig(max_new_tokens=LONGEST, strategy="greedy"), 1),
        "sampling": writer.draw(GenerationConfig(max_new_tokens=LONGEST), N_SAMPLES)[:N_SHOWN],
    }
    print(f"{PROMPT!r}, up to a full stop or {LONGEST} tokens; {N_SHOWN} best of 8 beams and of {N_SAMPLES} samples")
    print("              log-probability   tokens   text")
    for name, texts in groups.items():
        for text, n_tokens, logprob in texts:
            print(f"{name:<14}{logprob:>15.2f}{n_tokens:>9}   {text}")

    print("\nlength penalty   log-probability / tokens ^ penalty = score   text, 8 beams")
    best = {penalty: writer.search(8, penalty)[0] for penalty in (0.0, 0.8, 1.0)}
    for penalty, (text, n_tokens, logprob) in best.items():
        print(f"{penalty:>14}{logprob:>18.2f}{n_tokens:>9}{logprob / n_tokens**penalty:>20.2f}   {text}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(12.5, 4.6), width_ratios=(1, 1.1))
    rows = [(name, *one) for name, texts in groups.items() for one in texts]
    for i, name in enumerate(groups):
        places = [place for place, row in enumerate(rows) if row[0] == name]
        left.barh(places, [rows[place][3] for place in places], color=f"C{i}", label=name)
    left.set(title=f"“{PROMPT} …”", xlabel="log-probability of the text")
    left.set_yticks(range(len(rows)), [row[1] for row in rows])
    left.yaxis.tick_right()
    left.invert_yaxis()
    left.spines["left"].set_visible(False)
    left.legend(loc="upper left")
    penalties = np.linspace(0, 1.5, 31)
    for text, n_tokens, logprob in dict.fromkeys([*groups["8 beams"], *best.values()]):
        right.plot(penalties, -logprob / n_tokens**penalties, label=f"{n_tokens} tokens: {text:.36}")
    right.set(title="The longer a text, the more a penalty lifts it: the top line wins", xlabel="length penalty")
    right.set(ylabel="score (log scale)", yscale="log", xlim=(0, 1.5), yticks=[0.3, 1, 3, 10])
    right.set_yticklabels(["−0.3", "−1", "−3", "−10"])
    right.invert_yaxis()
    right.legend(loc="lower right")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "beams.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
