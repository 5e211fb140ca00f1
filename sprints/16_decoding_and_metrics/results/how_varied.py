"""Shows what temperature, top-p and beams do to tales: how true, how varied and how repetitive they come out."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
from rich.console import Console

from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.data.tales import generate, is_valid
from groundup.evaluation.bleu import Bleu
from groundup.evaluation.self_bleu import self_bleu
from groundup.evaluation.text_diversity import distinct_n, repeated_share, words
from groundup.generation.stream import generate_text
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start

OUT = Path("runs/sprints/16_decoding_and_metrics")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
STEPS, N_TEXTS, N_OPENING, N_NEW = 700, 32, 4, 160
TEMPERATURES, TOP_PS, BEAMS = (0.3, 0.6, 0.8, 1.0, 1.2, 1.5), (0.3, 0.6, 0.8, 0.9, 0.95, 1.0), (1, 2, 4, 8)
SWEPT = (TEMPERATURES, TOP_PS, BEAMS)
FIGURES = ("true tales", "distinct-2", "self-BLEU", "repeated")


def pretrain(folder: Path) -> str:
    """Train a small GPT on tales, and return its folder as the name of a model."""
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    training = replace(config.training, steps=STEPS, batch_size=8, schedule=schedule, **CPU)
    data, model = replace(config.data, max_bytes=1_500_000), replace(config.model, d_model=96, context_length=192)
    start(replace(config, data=data, model=model, training=training), folder, console=Console(quiet=True))
    return str(folder)


def ways() -> dict[tuple[str, float], GenerationConfig]:
    """Return the ways of drawing, by what is varied and its value."""
    config = GenerationConfig(max_new_tokens=N_NEW, seed=1)
    found = {("temperature", value): replace(config, temperature=value) for value in TEMPERATURES}
    found |= {("top-p", value): replace(config, top_p=value) for value in TOP_PS}
    for value in BEAMS:
        beam = BeamConfig(n_beams=value)
        found["beams", value] = replace(config, strategy="beam" if value > 1 else "greedy", beam=beam)
    return found


def figures(texts: list[str]) -> dict[str, float]:
    """Return what the metrics say of the texts, in percent."""
    cut = [words(text) for text in texts]
    valid, alike = sum(map(is_valid, texts)) / len(texts), self_bleu(texts, bleu=Bleu(smoothing="floor")) or 0.0
    found = (100 * valid, 100 * (distinct_n(cut, 2) or 0.0), alike, 100 * (repeated_share(cut) or 0.0))
    return dict(zip(FIGURES, found, strict=True))


def main(out: Path = OUT) -> None:
    unseen = list(generate(99, N_TEXTS))
    openings = [" ".join(tale.split()[:N_OPENING]) for tale in unseen]
    with tempfile.TemporaryDirectory() as place:
        found = open_model(pretrain(Path(place) / "tales"))
        prompts = [[*found.opening(), *found.encode(opening)] for opening in openings]
        drawn = {}
        for way, config in ways().items():
            endings = generate_text(found.model, found.tokenizer, prompts, config)
            drawn[way] = [opening + ending for opening, ending in zip(openings, endings, strict=True)]
    rows = {way: figures(texts) for way, texts in drawn.items()}
    people = figures(unseen)
    print(
        f"{N_TEXTS} tales from the first {N_OPENING} words of unseen ones; the grammar's own for comparison, in percent"
    )
    print(f"{'':<18}" + "".join(f"{name:>12}" for name in FIGURES))
    for way, row in {("the grammar's own",): people, **rows}.items():
        print(f"{' '.join(map(str, way)):<18}" + "".join(f"{row[name]:>12.1f}" for name in FIGURES))
    for way in (("beams", 8), ("temperature", 1.0), ("temperature", 1.5)):
        print(f"{way[0]} {way[1]:g}: {drawn[way][0][:110]} …")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(12, 4.2), sharey=True)
    figure.suptitle("Tales of one small GPT, drawn in sixteen ways")
    for panel, name, values in zip(panels, ("temperature", "top-p", "beams"), SWEPT, strict=True):
        for k, figure_name in enumerate(FIGURES):
            heights = [rows[name, value][figure_name] for value in values]
            panel.plot(range(len(values)), heights, "o-", color=f"C{k}", label=figure_name)
            panel.axhline(people[figure_name], color=f"C{k}", linestyle=":", linewidth=1)
        panel.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        panel.set(title=name, ylim=(-3, 103), xlabel={"beams": "beams (1: greedy)"}.get(name, name))
    panels[0].set_ylabel("percent (dotted: the grammar's own)")
    panels[2].legend(loc="center right")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "how_varied.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
