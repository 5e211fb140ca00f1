"""Templates: transformers' text for any conversation; whatever a template does wrong is one line, soon and small."""

import resource
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from groundup.chat import ChatTemplate, Message
from groundup.chat.renderer import answer
from groundup.errors import InputError

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
# Of the shapes that families published, in our own words.
CHATML = """{% for message in messages %}
{% if loop.first and message['role'] != 'system' %}
{{- '<|im_start|>system\nBe brief.<|im_end|>\n' }}
{% endif %}
{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
LLAMA2 = """{%- if messages[0].role == 'system' -%}
  {%- set system = '<<SYS>>\n' ~ messages[0].content ~ '\n<</SYS>>\n\n' -%} {%- set rest = messages[1:] -%}
{%- else -%} {%- set system = '' -%} {%- set rest = messages -%} {%- endif -%}
{%- for m in rest -%}
  {%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}
    {{- raise_exception('user and assistant must take turns') -}}
  {%- endif -%}
  {%- if m.role == 'user' -%}
    {{- bos_token ~ '[INST] ' ~ ((system if loop.first else '') ~ m.content) | trim ~ ' [/INST]' -}}
  {%- else -%} {{- ' ' ~ m.content.strip() ~ ' ' ~ eos_token -}} {%- endif -%}
{%- endfor -%}"""
LLAMA3 = """{{ bos_token }}{% set ns = namespace(n=0) %}{% for m in messages %}
{% if m.content is not string %}{% continue %}{% endif %}{% set ns.n = ns.n + 1 %}
<|start_header_id|>{{ m.role }}<|end_header_id|>

{% generation %}{{ m['content'] | trim }}{% endgeneration %}<|eot_id|>{% endfor %}
{# how many #}{{ ns.n | tojson }}{{ {'said': messages} | tojson(indent=2) }}
{% if add_generation_prompt is true and tools is none %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}"""
GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}
{{ raise_exception('no system message, please') }}{% endif %}
{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}
<start_of_turn>{{ role }}
{{ m['content'] | trim }}<end_of_turn>
{% endfor %}
{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""
SHAPES = {"chatml": CHATML, "llama2": LLAMA2, "llama3": LLAMA3, "gemma": GEMMA}

CONTENTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", " \n two lines \n", "<|im_end|>", "{{ 1 }}", "</s>", "a 'quoted' \"text\"", "&lt;"]
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    n_system = draw(st.integers(0, 1))
    turns = draw(st.lists(CONTENTS, min_size=1, max_size=4))
    system = [Message(role="system", content=draw(CONTENTS))] * n_system
    return system + [Message(role=("user", "assistant")[k % 2], content=one) for k, one in enumerate(turns)]


def transformers_text(source: str, messages: list[Message], add_generation_prompt: bool) -> str:
    plain = [{"role": one.role, "content": one.content} for one in messages]
    texts, _ = render_jinja_template(
        [plain], chat_template=source, add_generation_prompt=add_generation_prompt, **TOKENS
    )
    return texts[0]


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=40, derandomize=True)
@given(messages=conversations(), add_generation_prompt=st.booleans())
def test_the_text_is_transformers(shape: str, messages: list[Message], add_generation_prompt: bool):
    template = ChatTemplate(SHAPES[shape], TOKENS)
    try:
        expected = transformers_text(template.source, messages, add_generation_prompt)
    except Exception as error:
        with pytest.raises(InputError, match=str(error)):
            template.render(messages, add_generation_prompt)
    else:
        assert template.render(messages, add_generation_prompt) == expected


def test_today_is_transformers_today():
    assert ChatTemplate("{{ strftime_now('%d %b %Y') }}").render([]) == time.strftime("%d %b %Y")


def refused(source: str, *said: Message) -> str:
    with pytest.raises(InputError) as error:
        ChatTemplate(source, TOKENS).render(said)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_a_template_says_against_a_conversation_is_passed_on_with_its_line():
    said = refused(GEMMA, Message(role="system", content="x"))
    assert said == (
        "this model's chat template (line 2) refuses this conversation: no system message, please: change the messages"
    )


@pytest.mark.parametrize(
    ("source", "line", "found"),
    [
        ("a\n{% if %}", 2, "is not Jinja"),
        ("\n\n{% for m in messages %}", 3, "is not Jinja"),
        ("{{ 'a' }}\n{{ 1 / 0 }}", 2, "division by zero"),
        ("\n{{ messages[7].content }}", 2, "no element 7"),
        ("\n{{ messages.append(1) }}", 2, "reaches for Python"),
        ("{{ ''.__class__ }}", 1, "reaches for Python"),
        ("\n{{ ''.__class__.__mro__[1].__subclasses__() }}", 2, "reaches for Python"),
        ("{{ messages | attr('__class__') }}", 1, "reaches for Python"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", 1, "reaches for Python"),
        ("{{ '{0.__class__}'.format('') }}", 1, "reaches for Python"),
        ("{% set n = namespace(__class__=1) %}", 1, "reaches for Python"),
        ("{% set n = namespace() %}\n{% set n.__init__ = 1 %}", 2, "reaches for Python"),
        ("{% include 'renderer.py' %}", 1, "fails"),
        ("\n{% for i in range(10**9) %}x{% endfor %}", 2, "Range too big"),
        ("\n{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", 2, "recursion"),
    ],
)
def test_a_template_that_is_broken_or_reaches_for_python_is_refused_with_its_line(source: str, line: int, found: str):
    said = refused(source)
    assert f"(line {line})" in said
    assert found in said


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**12 }}",
        "{{ '%999999999999d' % 1 }}",
        "{{ '{:999999999999}'.format(1) }}",
        "{{ 'a'.ljust(10**12) }}",
        "{{ 'a' | center(10**12) }}",
        "{{ [0] * 10**12 }}",
        "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
        pytest.param(
            "{% set a = [1] * 10000 %}{% set b = [a] * 10000 %}{% set c = [b] * 10000 %}{{ c | tojson }}",
            marks=pytest.mark.slow,  # no clock interrupts the JSON encoder: ended from outside
        ),
    ],
)
def test_a_template_that_asks_for_terabytes_is_refused_without_them(source: str):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = refused(source)
    assert any(words in said for words in ("memory", "does not come to an end", "writes more"))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # KiB: what renders is another process, and is held to half a gigabyte


def test_a_template_that_writes_without_end_is_refused():
    assert "writes more than" in refused("{% for i in range(99999) %}" + "x" * 999 + "{% endfor %}")


NESTED = "{% for i in range(99999) %}{% for j in range(99999) %}{% set x = i %}{% endfor %}{% endfor %}"


def test_loops_without_end_are_ended_where_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("groundup.chat.renderer.SECONDS", 0.05)
    found = answer("\n" + NESTED, {})
    assert (found["problem"], found["line"]) == ("time", 2)


@pytest.mark.slow
def test_loops_without_end_are_ended_in_two_seconds_of_work():
    assert "does not come to an end" in refused(NESTED)


def test_what_the_clock_cannot_end_is_ended_from_outside_and_the_next_one_is_rendered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("groundup.chat.template.PATIENCE", 0.3)
    assert "does not come to an end" in refused(NESTED)
    monkeypatch.undo()
    assert ChatTemplate("{{ 1 + 1 }}").render([]) == "2"


def test_a_renderer_that_cannot_start_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from groundup.chat import template

    monkeypatch.setattr(template, "_RENDERER", template._Renderer())
    (tmp_path / "jinja2.py").write_text("raise ImportError")
    monkeypatch.setattr(
        "groundup.chat.template.sys", SimpleNamespace(executable=template.sys.executable, path=[str(tmp_path)])
    )
    assert "jinja2 is installed" in refused("x")
