"""Toy pairs: a date as people write it, in one of many spellings, and the same date in ISO 8601."""

import random
from collections.abc import Callable
from datetime import date

FIRST_YEAR, LAST_YEAR = 1900, 2099
"""The years that dates are drawn from."""
CENTURY_BEGINS = 1950
"""Two digits of a year mean one of the hundred years from here on: '49 is 2049, '50 is 1950."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth", "twenty-first", "twenty-second", "twenty-third", "twenty-fourth", "twenty-fifth", "twenty-sixth",
    "twenty-seventh", "twenty-eighth", "twenty-ninth", "thirtieth", "thirty-first",
)  # fmt: skip


def date_pair(seed: int, index: int) -> tuple[str, str]:
    """Return a date as a person writes it, and as YYYY-MM-DD: a pure function of (seed, index).

    Every spelling has one reading: dots stand behind day and month (24.12.1998), slashes behind month and day
    (12/24/1998), and a year of two digits is one from 1950 to 2049.

    Example:
        >>> for index in range(4):
        ...     print(*date_pair(0, index), sep=" -> ")
        April 2038, day 1 -> 2038-04-01
        03/21/1948 -> 1948-03-21
        18th of April 1920 -> 1920-04-18
        05/25/1985 -> 1985-05-25
    """
    chance = random.Random(seed << 64 | index)
    # Ordinals of days: every date as likely, the last of February too.
    first, last = date(FIRST_YEAR, 1, 1).toordinal(), date(LAST_YEAR, 12, 31).toordinal()
    day = date.fromordinal(chance.randint(first, last))
    spelled = chance.choice(SPELLINGS)(day, chance)
    turn = chance.random()  # most people write as they were taught, some in one case only
    spelled = spelled.lower() if turn < 0.15 else spelled.upper() if turn < 0.25 else spelled
    return spelled, day.isoformat()


def ordinal(day: int) -> str:
    """Return the day with its ending.

    Example:
        >>> [ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)]
        ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '22nd', '23rd', '31st']
    """
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _month(day: date, chance: random.Random) -> str:
    name = _MONTHS[day.month - 1]
    if chance.random() < 0.5:
        return name
    return name if len(name) < 5 else name[:3] + ("." if chance.random() < 0.3 else "")


def _year(day: date, chance: random.Random) -> str:
    is_near = CENTURY_BEGINS <= day.year < CENTURY_BEGINS + 100
    if is_near and chance.random() < 0.25:
        return f"{chance.choice(('', chr(39)))}{day.year % 100:02}"  # 39: the apostrophe
    return str(day.year)


def _weekday(day: date, chance: random.Random) -> str:
    name = _WEEKDAYS[day.weekday()]
    return name if chance.random() < 0.5 else name[:3]


Spelling = Callable[[date, random.Random], str]
"""From a date, and chance for what it leaves open, to its text."""
SPELLINGS: tuple[Spelling, ...] = (
    lambda d, c: f"{d.day} {_month(d, c)} {_year(d, c)}",
    lambda d, c: f"{ordinal(d.day)} {_month(d, c)} {_year(d, c)}",
    lambda d, c: f"{ordinal(d.day)} of {_month(d, c)} {_year(d, c)}",
    lambda d, c: f"the {ordinal(d.day)} of {_month(d, c)}, {_year(d, c)}",
    lambda d, c: f"the {_ORDINALS[d.day - 1]} of {_month(d, c)} {d.year}",
    lambda d, c: f"{_month(d, c)} {d.day}, {_year(d, c)}",
    lambda d, c: f"{_month(d, c)} {ordinal(d.day)}, {_year(d, c)}",
    lambda d, c: f"{_month(d, c)} the {_ORDINALS[d.day - 1]}, {d.year}",
    lambda d, c: f"{_weekday(d, c)}, {d.day} {_month(d, c)} {_year(d, c)}",
    lambda d, c: f"{_weekday(d, c)}, {_month(d, c)} {d.day}, {_year(d, c)}",
    lambda d, c: f"{_weekday(d, c)} the {ordinal(d.day)} of {_month(d, c)} {d.year}",
    lambda d, c: f"{d.day}-{_month(d, c).rstrip('.')}-{_year(d, c).lstrip(chr(39))}",
    lambda d, c: f"{d.year} {_month(d, c)} {d.day}",
    lambda d, c: f"{_month(d, c)} {d.year}, day {d.day}",
    lambda d, c: f"{d.day}.{d.month}.{_year(d, c).lstrip(chr(39))}",
    lambda d, c: f"{d.day:02}.{d.month:02}.{d.year}",
    lambda d, c: f"{d.day}. {_ROMAN[d.month - 1]}. {d.year}",
    lambda d, c: f"{d.month}/{d.day}/{_year(d, c).lstrip(chr(39))}",
    lambda d, c: f"{d.month:02}/{d.day:02}/{d.year}",
    lambda d, c: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d, c: f"{d.year}{d.month:02}{d.day:02}",
    lambda d, c: f"{_weekday(d, c)} {d.day}.{d.month}.{d.year}",
)
"""How a date is written, each as often."""
