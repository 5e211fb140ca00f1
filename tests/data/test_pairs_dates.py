"""Dates: every spelling reads back to the date, by rules written a second time here; each has one reading."""

import re
from datetime import date

import pytest

from groundup.data.pairs_dates import SPELLINGS, date_pair

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
ROMAN = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "twenty-first",
    "twenty-second",
    "twenty-third",
    "twenty-fourth",
    "twenty-fifth",
    "twenty-sixth",
    "twenty-seventh",
    "twenty-eighth",
    "twenty-ninth",
    "thirtieth",
    "thirty-first",
]


def read(text: str) -> date:
    """Read a date by its words: a name or Roman numeral is the month, the largest number or the last the year."""
    text = text.lower()
    if re.fullmatch(r"\d{8}", text):
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    if match := re.search(r"(\d+)\.(\d+)\.(\d+)$", text):
        day, month, year = map(int, match.groups())
        return date(whole(year), month, day)
    if match := re.fullmatch(r"(\d{4})/(\d+)/(\d+)", text):
        return date(*map(int, match.groups()))
    if match := re.fullmatch(r"(\d+)/(\d+)/(\d+)", text):
        month, day, year = map(int, match.groups())
        return date(whole(year), month, day)
    words = re.findall(r"[a-z]+(?:-[a-z]+)?|\d+", text.replace("'", ""))
    month = next(ROMAN.index(w) + 1 if w in ROMAN else MONTHS.index(w[:3]) + 1 for w in words if is_month(w))
    numbers = [int(word) for word in words if word.isdecimal()]
    spelled = [ORDINALS.index(word) + 1 for word in words if word in ORDINALS]
    if spelled:
        return date(numbers[0], month, spelled[0])
    year = max(numbers) if max(numbers) > 99 else numbers[-1]
    numbers.remove(year)
    return date(whole(year), month, numbers[0])


def is_month(word: str) -> bool:
    return word in ROMAN or (word[:3] in MONTHS and word not in ORDINALS)


def whole(year: int) -> int:
    return year if year > 99 else 1900 + year if year >= 50 else 2000 + year


def test_every_spelling_reads_back_and_none_has_two_readings():
    seen: dict[str, str] = {}
    for index in range(4_000):
        source, target = date_pair(7, index)
        assert read(source).isoformat() == target, source
        assert seen.setdefault(source, target) == target


@pytest.mark.parametrize("place", range(len(SPELLINGS)))
def test_every_spelling_is_used(place: int, monkeypatch: pytest.MonkeyPatch):
    """Any one of them, alone, reads back too."""
    monkeypatch.setattr("groundup.data.pairs_dates.SPELLINGS", (SPELLINGS[place],))
    for index in range(60):
        source, target = date_pair(1, index)
        assert read(source).isoformat() == target, source


def test_weekdays_are_right():
    found = [date_pair(0, index) for index in range(600)]
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    with_day = [(s.lower()[:3], date.fromisoformat(t).weekday()) for s, t in found if s.lower()[:3] in days]
    assert len(with_day) > 50
    assert all(days.index(name) == weekday for name, weekday in with_day)
