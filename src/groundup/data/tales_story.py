"""The grammar of the tales: what can happen, in which words, and how each fact decides what comes after it.

A hero takes a thing somewhere; an accident that fits the weather loses or breaks it; a friend with the right skill
brings it back, mends it, or looks in vain and consoles. Or the hero finds a thing, and gives it back at once, or after
a bad night. The mood follows from what happened; names, pronouns, kinds, things, places and times come back in the same
words, so that whoever continues a tale must have understood its beginning.
"""

from groundup.data import tales_words as words
from groundup.data.tales_grammar import Grammar, Option, choose, depending

_OPENING = [
    choose(
        "opening",
        Option("One [weather] [time], [trait] [kind] named [name]", "at once", 2),
        Option("There was once [trait] [kind] named [name]. One [weather] [time], {she}", "once", 1),
        Option("Meet [trait] [kind] named [name]. One [weather] [time], {she}", "meet", 1),
    ),
    choose("weather", *words.CAUSES),
    choose("time", *words.TIMES),
    choose("trait", *words.TRAITS),
    choose("kind", *words.KINDS),
    depending("name", "initial", words.HEROES),
    choose(
        "plot",
        Option(" [carried] {her} [look] [thing] to [place]. But [cause], and the {thing} [harm]", "accident", 3),
        Option(" went to [visited] to [pastime]. There {she} found a [look] [thing] [lying]. [conscience]", "find", 1),
    ),
    choose("carried", "took", "carried", "brought"),
    choose("look", *(Option(look, words={"material": m}) for m, looks in words.LOOKS.items() for look in looks)),
    depending(
        "thing",
        "material",
        {
            material: [Option(thing, words={"area": area, "used": used}) for thing, area, used in things]
            for material, things in words.THINGS.items()
        },
    ),
    depending(
        "place", "area", {a: [p for p, (area, *_) in words.PLACES.items() if area == a] for a in ("wild", "village")}
    ),
]

_LOST = "[landing] [spot]. [plight] [promise] said {friend}, who {did} {to} [outcome]"
_BROKEN = "[break]. [dismay] [promise] said {friend}, who {did} until the {look} {thing} was [whole]. [joy]"

_ACCIDENT = [
    depending("cause", "weather", words.CAUSES),
    depending(
        "harm",
        "motion",
        {
            "falling": [
                Option(_LOST, "lost", 2),
                Option(_BROKEN, "broken", 1),
            ],
            "flying": [Option(_LOST, "lost")],
        },
    ),
    depending(
        "landing",
        "motion",
        {"falling": ["fell", "tumbled", "dropped"], "flying": ["got caught", "landed", "ended up"]},
    ),
    depending(
        "spot",
        "place motion",
        {(place, motion): options for place in words.PLACES for motion, options in words.spots(place).items()},
    ),
    choose(
        "plight",
        Option("No {kind} can {feat}, but [luck] [finder] named [friend] came by.", "unable"),
        Option("{name} cried and cried until [finder] named [friend] heard {him}.", "tears"),
        Option('"Oh no, my {thing}!" cried {name}, and [luck] [finder] named [friend] came by.', "cry"),
    ),
    choose("luck", "just then", "luckily", "soon", "at last"),
    depending("finder", "way", {way: words.friends(kinds) for way, kinds in words.FINDERS.items()}),
    depending("friend", "friend_initial", words.FRIENDS),
    choose(
        "promise",
        '"Do not cry, {name}, I can {skill}!"',
        '"Wait here, little {kind}, I can {skill}!"',
        '"Leave it to me, {name}, I can {skill}!"',
        '"I can {skill}!"',
    ),
    choose(
        "outcome",
        Option("and fetched the {look} {thing}. [joy]", "back", 3, {"ending": "back"}),
        Option("but never found the {look} {thing}. [sorrow]", "gone", 1, {"ending": "gone"}),
    ),
]

_REPAIR = [
    depending(
        "break",
        "material",
        {
            material: [Option(damage, words={"broken": broken, "ending": "mended"}) for damage in damages]
            for material, (broken, damages) in words.BREAKS.items()
        },
    ),
    choose(
        "dismay",
        Option("No {kind} can mend a {broken} {thing}, but [luck] [mender] named [friend] came by.", "unable"),
        Option("{name} cried and cried until [mender] named [friend] heard {him}.", "tears"),
        Option('"Oh no, my {thing}!" cried {name}, and [luck] [mender] named [friend] came by.', "cry"),
    ),
    depending("mender", "material", {m: words.friends(kinds) for m, kinds in words.MENDERS.items()}),
    choose("whole", "as good as new", "whole again", "better than before"),
]

_FIND = [
    choose("visited", *(Option(p, words={"place": p, "setting": area}) for p, (area, *_) in words.PLACES.items())),
    depending(
        "pastime",
        "setting weather",
        {("wild", weather): pastimes for weather, pastimes in words.PASTIMES.items()}
        | {("village", weather): words.VILLAGE_PASTIMES for weather in words.PASTIMES},
    ),
    depending("lying", "setting", words.LYING),
    choose(
        "conscience",
        Option(
            "[asking] It belonged to [owner] named [friend], who [reward]. [joy]", "honest", 2, {"ending": "honest"}
        ),
        Option(
            '{name} hid it under {her} [nook], but {she} could not sleep. "I am [mood]," {she} told [owner] named '
            "[friend], and gave it back. [pardon]",
            "kept",
            1,
            {"ending": "kept"},
        ),
    ),
    choose(
        "asking",
        Option('"Someone must miss this {thing}," said {name}, and asked everyone at {place}.', "kind"),
        Option("{name} wanted to keep it, but {she} asked everyone at {place}.", "tempted"),
    ),
    choose("owner", *words.owners()),
    choose("reward", *(Option("gave {him} " + gift, gift) for gift in words.GIFTS)),
    choose("nook", "bed", "coat", "pillow"),
    choose(
        "pardon",
        Option('"You are honest, {name}," said {friend}, and they {used} together.', "play"),
        Option('"You are a good {kind}," said {friend}, and [reward].', "gift"),
    ),
]

# The hero has the thing again and shows it; or its owner does.
_SHOW = Option("Soon after, {she} {used}, and {friend} [joined].", "show")
_SHOWN = Option("Soon after, {friend} {used}, and {name} [joined].", "shown")
_FINALES = [
    Option("Soon after, they {used} together.", "together"),
    Option("Ever since, {name} and {friend} have met at {place}.", "friends"),
]

_ENDING = [
    choose(
        "joy",
        Option("{name} was [mood] and hugged {friend}. [finale]", "hug"),
        Option('"Thank you, {friend}!" said {name}, who was [mood]. [finale]', "thanks"),
        Option("Never had a {kind} been so [mood]! [finale]", "never"),
        Option("{name} ran home, as [mood] as a {kind} can be.", "home"),
    ),
    depending("mood", "ending", words.MOODS),
    depending(
        "finale", "ending", {"back": [_SHOW, *_FINALES], "mended": [_SHOW, *_FINALES], "honest": [_SHOWN, *_FINALES]}
    ),
    choose("joined", "danced", "clapped", "laughed", "watched", "sang", "hummed", "smiled", "cheered"),
    choose(
        "sorrow",
        Option("{name} was [mood], so {friend} [comfort] and walked {him} home from {place}.", "walk"),
        Option("{name} was [mood], but {friend} [comfort]. [dream]", "dream"),
    ),
    choose("comfort", "told {him} a story", "gave {him} a warm bun", "sang {him} a song", "sat down beside {him}"),
    choose(
        "dream",
        Option("Soon after, {name} thought of the {look} {thing} and smiled.", "thought"),
        Option("The {thing} was lost, but {name} had found a friend.", "friend"),
    ),
]

STORY = Grammar("[opening][plot]", [*_OPENING, *_ACCIDENT, *_REPAIR, *_FIND, *_ENDING])
"""The tales."""
