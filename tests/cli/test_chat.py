"""`groundup chat`: through a pipe without noise, in a terminal with Ctrl-C and Ctrl-D, and what it refuses."""

import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from groundup.chat import Conversation, Event
from groundup.chat.wrapping import WordWrapper
from groundup.cli import chat
from groundup.cli.main import main
from groundup.configs import GPTConfig
from groundup.models.gpt import GPT
from groundup.tokenization import ByteBPE
from groundup.weights.pretrained import Pretrained

TEMPLATE = (
    "{% for m in messages %}{{ m.role + ':' + m.content + '<|endoftext|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)
ARGUMENTS = ["chat", "parrot", "--max-new-tokens", "8"]


@pytest.fixture(autouse=True)
def parrot(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `open_model` finds under any name but "base", which has no chat template."""
    torch.manual_seed(0)
    tokenizer = ByteBPE([], special_tokens=["<|endoftext|>"])
    config = GPTConfig(vocab_size=tokenizer.vocab_size, context_length=128, d_model=16, n_layers=1, n_heads=2)

    def open_model(name: str, *, packed: bool = False) -> Pretrained:
        template = None if name == "base" else TEMPLATE
        return Pretrained(model=GPT(config).eval(), tokenizer=tokenizer, source=name, chat_template=template)

    monkeypatch.setattr("groundup.resolve.open_model", open_model)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Makes `input` give these lines, or raise these exceptions, then end the input; returns the prompts shown."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def use(*lines: str | type[BaseException]) -> list[str]:
        prompts: list[str] = []
        left: Iterator[str | type[BaseException]] = iter([*lines, EOFError])

        def ask(prompt: str = "") -> str:
            prompts.append(prompt)
            line = next(left)
            if isinstance(line, str):
                return line
            raise line

        monkeypatch.setattr("builtins.input", ask)
        monkeypatch.setattr("sys.stdin", Terminal())
        return prompts

    return use


def test_piped_lines_are_answered_and_nothing_else_is_written(
    pipe: Callable[[str], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    pipe(f"Hello!\n\n/save {tmp_path / 'c.json'}\n/quit\nnever read\n")
    assert main(ARGUMENTS) == 0
    said = capsys.readouterr()
    answers = [one.content for one in Conversation.load(tmp_path / "c.json").messages if one.role == "assistant"]
    assert len(answers) == 1
    assert said.out.startswith(answers[0] + "\n")
    assert "\033" not in said.out
    assert "parameters" not in said.out
    assert said.err == ""


def test_without_numba_a_model_in_few_bits_says_what_would_be_faster(
    pipe: Callable[[str], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("groundup.generation.prepared.advice", lambda model: "draws it faster")
    for arguments in (ARGUMENTS, ["generate", "base", "Hi", "--max-new-tokens", "2", "--draft", "base"]):
        pipe("Hello\n")
        assert main(arguments) == 0
        assert capsys.readouterr().err == "draws it faster\n"  # of a draft nothing is said


def test_what_cannot_be_done_through_a_pipe_is_an_error_and_the_rest_goes_on(
    pipe: Callable[[str], None], capsys: pytest.CaptureFixture[str]
):
    pipe("/sett\n/set top_k 3\n")
    assert main(ARGUMENTS) == 2
    said = capsys.readouterr()
    assert said.err == "there is no command /sett: perhaps /set (/help; // begins a message with a slash)\n"
    assert said.out == "(top_k is now 3)\n"


def test_a_base_model_is_sent_to_generate(pipe: Callable[[str], None], capsys: pytest.CaptureFixture[str]):
    pipe("Hello!\n")
    assert main(["chat", "base"]) == 2
    said = capsys.readouterr()
    assert 'groundup generate base "PROMPT"' in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_a_conversation_is_loaded_and_a_damaged_one_refused(
    pipe: Callable[[str], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "c.json").write_text('[{"role": "system", "content": "Be kind."}]')
    pipe("/system\n")
    assert main([*ARGUMENTS, "--load", str(tmp_path / "c.json")]) == 0
    assert capsys.readouterr().out == "system message: Be kind.\n"
    (tmp_path / "c.json").write_text("{")
    assert main([*ARGUMENTS, "--load", str(tmp_path / "c.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_every_option_of_generation_is_taken(pipe: Callable[[str], None], capsys: pytest.CaptureFixture[str]):
    pipe("/set\n")
    assert main([*ARGUMENTS, "--top-k", "5", "--beam.n-beams", "2", "--system", "Be kind."]) == 0
    shown = capsys.readouterr().out.split()
    assert shown[shown.index("top_k") + 1] == "5"
    assert shown[shown.index("beam.n_beams") + 1] == "2"
    own_defaults = {"temperature": "0.2", "top_p": "0.9", "repetition_penalty": "1.1", "max_new_tokens": "8"}
    assert {name: shown[shown.index(name) + 1] for name in own_defaults} == own_defaults


def test_in_a_terminal_ctrl_d_leaves(terminal: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]):
    prompts = terminal("Hello!")
    assert main(ARGUMENTS) == 0
    assert len(prompts) == 2
    assert "parrot: " in capsys.readouterr().out


def test_ctrl_c_at_the_prompt_leaves_only_twice_in_a_row(terminal: Callable[..., list[str]]):
    prompts = terminal(KeyboardInterrupt, "/stats", KeyboardInterrupt, KeyboardInterrupt, "never read")
    assert main(ARGUMENTS) == 0
    assert len(prompts) == 4


def test_quit_leaves(terminal: Callable[..., list[str]]):
    prompts = terminal("/quit", "never read")
    assert main(ARGUMENTS) == 0
    assert len(prompts) == 1


@pytest.mark.parametrize("n_presses", [1, 2])
def test_ctrl_c_stops_a_reply_and_not_the_program(
    n_presses: int,
    terminal: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    show, before = chat._Screen.event, signal.getsignal(signal.SIGINT)

    def pressed(self: chat._Screen, event: Event) -> None:
        show(self, event)
        if event.kind == "text":
            for _ in range(n_presses):
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(chat._Screen, "event", pressed)
    terminal("Hello!", f"/save {tmp_path / 'c.json'}")
    assert main(["chat", "parrot", "--max-new-tokens", "60"]) == 0
    assert "(stopped" in capsys.readouterr().out
    answer = Conversation.load(tmp_path / "c.json").messages[-1]
    assert answer.is_stopped
    assert answer.content
    assert signal.getsignal(signal.SIGINT) is before


def test_a_reply_that_was_ended_leaves_no_word_to_the_next(capsys: pytest.CaptureFixture[str]):
    screen = chat._Screen()
    screen._wrapper = WordWrapper(20)
    screen.event(Event("text", "To b"))
    screen.end()
    screen.event(Event("text", "Or not "))
    assert capsys.readouterr().out == "To b\nOr not "


def test_no_color_means_no_colour(
    terminal: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name, value in {
        "FORCE_COLOR": "1",
        "TERM": "xterm",
    }.items():  # rich then takes the captured output for a terminal
        monkeypatch.setenv(name, value)
    coloured = terminal("/help")
    main(ARGUMENTS)
    assert "\033" in capsys.readouterr().out
    assert "\033" in coloured[0]
    monkeypatch.setenv("NO_COLOR", "1")
    plain = terminal("/help")
    main(ARGUMENTS)
    assert "\033" not in capsys.readouterr().out
    assert plain == ["> ", "> "]
