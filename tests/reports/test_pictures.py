"""Pictures: light and dark, asking for nothing from elsewhere, and the same each time."""

import re
import xml.etree.ElementTree as ET

from groundup.reports.pictures import INK, SERIES, SHOWN, as_svg, colour, drawing, img, marker


def a_picture(label: str = "one") -> str:
    with drawing(4, 3) as (figure, axes):
        for i in range(len(SERIES)):
            axes.plot([1, 2], [i, i + 1], marker(i), color=colour(i), label=label if i == 0 else None)
        axes.set_title("Title", color=INK, fontweight="bold")
        axes.legend()
        return as_svg(figure)


def test_every_colour_is_one_of_a_light_and_a_dark_set():
    svg = a_picture()
    drawn = re.sub(r"<style>.*?</style>", "", svg, flags=re.DOTALL)
    assert not re.search(r"#[0-9a-f]{6}", drawn)  # what stands for a colour was replaced, and no other was drawn in
    light, dark = re.search(r"<style>(.*?)@media \(prefers-color-scheme: dark\)(.*?)</style>", svg, re.DOTALL).groups()
    for i, (on_white, on_black) in enumerate(SHOWN.values()):
        assert f"--c{i}: {on_white};" in light
        assert f"--c{i}: {on_black};" in dark.replace(" }", ";")
    assert len(set(drawn.split("var(--c"))) > len(SERIES)


def test_it_asks_for_nothing_and_is_the_same_each_time():
    svg = a_picture()
    assert svg == a_picture()
    assert "DejaVu Sans'" not in svg  # matplotlib's own list of fonts
    assert not re.search(r"(?:href|src)=\"(?!#)", svg)
    assert not re.search(r"@import|url\((?!#)", svg)


def test_labels_are_taken_as_they_are():
    label = r"$\alpha$ <b> & _x_ \frac 损失"  # matplotlib's own font lacks the last two
    texts = [one.text for one in ET.fromstring(a_picture(label).split("-->", 1)[1]).iter() if one.text]
    assert label in [text.strip() for text in texts]


def test_a_picture_in_a_page_is_in_it():
    page = img(a_picture(), 'a "picture"')
    assert 'src="data:image/svg+xml;base64,' in page
    assert 'alt="a &quot;picture&quot;"' in page
