"""The word lists of the tales: who, where, what, and what belongs together.

Words set beside a value are read by later templates. `she`, `her` (possessive) and `him` (object) hold the pronouns
that go with the hero's name.
"""

from groundup.data.tales_grammar import Option

SHE = {"she": "she", "her": "her", "him": "her"}
HE = {"she": "he", "her": "his", "him": "him"}

# Names begin like the kind that bears them; heroes and friends share none. Girls | boys.
HERO_NAMES = (
    "Bella Betty | Benny Bruno, Daisy Dora | Dennis Dexter, Fiona Freya | Felix Finn, Hanna Hilda | Harvey Henry, "
    "Kitty Klara | Kaspar Kurt, Lily Lotte | Leo Linus, Mabel Mina | Martin Milo, Paula Poppy | Peter Pip, "
    "Rosa Ruby | Roland Rufus, Tess Tilda | Tim Toby"
)
FRIEND_NAMES = (
    "Berta Bianca Boris Basil Clara Cora Carl Conrad Diana Dolly David Dirk Flora Frida Frank Fritz Hazel Heidi Hans "
    "Hugo Martha Molly Max Moritz Olga Olive Oscar Otto Rita Ruth Ralph Rolf Sophie Stella Sam Simon Thea Tina Theo "
    "Tom Wanda Wilma Walter Willy"
)
HEROES: dict[str, list[Option]] = {}
for names in HERO_NAMES.split(", "):
    girls, boys = names.split(" | ")
    HEROES[names[0]] = [
        *(Option(name, words=SHE) for name in girls.split()),
        *(Option(name, words=HE) for name in boys.split()),
    ]
FRIENDS: dict[str, list[str]] = {}
for name in FRIEND_NAMES.split():
    FRIENDS.setdefault(name[0], []).append(name)

TRAITS = [
    *("a brave little", "a shy little", "a sleepy little", "a hungry little", "a clumsy young", "a cheerful young"),
    *("a curious young", "an eager young", "a very small", "a lonely", "a polite", "a dreamy", "a noisy", "a quiet"),
]

# Heroes are kinds that neither climb, swim, dig nor shine, so that they need the friend they meet.
KINDS = [
    Option(kind, words={"initial": kind[0].upper()})
    for kind in (
        *("bear", "donkey", "fawn", "fox", "hamster", "hedgehog", "kangaroo", "lamb"),
        *("mouse", "panda", "piglet", "pony", "puppy", "rabbit", "tortoise"),
    )
]

TIMES = ["day", "morning", "afternoon", "evening"]


def _causes(falling: list[str], flying: list[str]) -> list[Option]:
    return [Option(cause, words={"motion": "falling"}) for cause in falling] + [
        Option(cause, words={"motion": "flying"}) for cause in flying
    ]


CAUSES = {
    "windy": _causes(
        ["the wind blew dust in {her} eyes"],
        ["a gust of wind snatched it", "the wind tugged it away", "the wind gave a mighty puff"],
    ),
    "rainy": _causes(
        ["{name} slipped in the mud", "the rain had made it slippery", "a fat raindrop hit {her} nose"],
        ["a wet crow snatched it"],
    ),
    "sunny": _causes(
        ["the sun dazzled {him}", "a bee tickled {her} nose", "{name} danced too wildly"],
        ["a cheeky crow snatched it"],
    ),
    "frosty": _causes(
        ["{name} slid on the ice", "{she} lost {her} grip", "{name} had to sneeze"],
        ["a hungry gull snatched it"],
    ),
    "foggy": _causes(
        ["{name} bumped into a post", "{name} tripped over a root", "{name} missed a step"],
        ["a lost goose carried it off"],
    ),
    "snowy": _causes(
        ["{name} sank into the snow", "a snowball hit {her} ear", "{she} was too cold to hold on"],
        ["a jackdaw carried it off"],
    ),
}

# Material -> how such things look, what they are, and what is done with them when all is well.
LOOKS = {
    "cloth": ["red", "blue", "purple", "striped", "woollen"],
    "paper": ["green", "yellow", "pink", "spotted", "pretty"],
    "wood": ["painted", "wooden", "carved", "polished", "birch"],
    "metal": ["silver", "copper", "golden", "shiny", "brass"],
}
THINGS = {
    "cloth": [
        ("scarf", "village", "wore it"),
        ("cap", "village", "wore it"),
        ("flag", "wild", "waved it"),
        ("blanket", "wild", "spread it out"),
        ("puppet", "village", "played with it"),
        ("cloak", "wild", "wore it"),
    ],
    "paper": [
        ("kite", "wild", "flew it"),
        ("book", "village", "read it"),
        ("letter", "village", "read it"),
        ("map", "wild", "followed it"),
        ("lantern", "wild", "lit it"),
        ("crown", "village", "wore it"),
    ],
    "wood": [
        ("boat", "wild", "sailed it"),
        ("drum", "village", "beat it"),
        ("flute", "village", "played it"),
        ("sledge", "wild", "rode on it"),
        ("top", "village", "spun it"),
        ("bow", "wild", "played with it"),
    ],
    "metal": [
        ("bell", "village", "rang it"),
        ("whistle", "wild", "blew it"),
        ("teapot", "village", "drank from it"),
        ("compass", "wild", "followed it"),
        ("trumpet", "village", "blew it"),
        ("key", "wild", "played with it"),
    ],
}

# Place -> (area, the spot up high, two spots below with the skill it takes to get there).
PLACES = {
    "the mill pond": ("wild", "the crooked willow", "water: into the reeds", "water: under the mill wheel"),
    "the orchard": ("wild", "the tallest pear tree", "dark: into the hollow trunk", "water: into the old well"),
    "the meadow": ("wild", "the old elm", "water: into the brook", "under: down the deep burrow"),
    "the fern wood": ("wild", "the giant oak", "dark: into the gloomy cave", "under: between the thick roots"),
    "the beach": ("wild", "the white cliff", "water: into the waves", "under: deep into the sand"),
    "the windmill": ("wild", "the highest sail", "under: under the millstone", "dark: into the grain store"),
    "the castle": ("wild", "the broken tower", "water: into the moat", "dark: into the dungeon"),
    "the bridge": ("wild", "the lamp post", "water: into the river", "dark: into the black archway"),
    "the harbour": ("village", "the tallest mast", "water: under the pier", "dark: into the dark ship"),
    "the market": ("village", "the bell tower", "water: into the fountain", "under: down the drain"),
    "the library": ("village", "the top shelf", "dark: into the cellar", "under: under the floor"),
    "the bakery": ("village", "the chimney", "dark: behind the oven", "under: under the flour sacks"),
    "the station": ("village", "the great clock", "dark: into the tunnel", "under: under the platform"),
    "the school": ("village", "the roof", "dark: into the coal shed", "under: under the stairs"),
    "the park": ("village", "the bronze statue", "water: into the lake", "under: under the roses"),
    "the museum": ("village", "the stone lion", "dark: into the dark hall", "under: behind the bones"),
}
FEATS = {"up": "reach so high", "water": "swim so well", "under": "squeeze in there", "dark": "see in the dark"}


def spots(place: str) -> dict[str, list[Option]]:
    """Return the spots of `place` for each motion: where a thing lands, and where to look for it."""
    _, high, *low = PLACES[place]
    below = []
    for entry in low:
        way, spot = entry.split(": ")
        below.append(Option(spot, words={"to": spot, "way": way, "feat": FEATS[way]}))
    above = [Option(f"on {high}", words={"to": f"to {high}", "way": "up", "feat": FEATS["up"]})]
    return {"flying": above, "falling": below}


# What a friend is -> what it can do, and what it did.
FINDERS = {
    "up": {"a squirrel": "climb/climbed", "an owl": "fly/flew", "a robin": "fly/flew", "a magpie": "fly/flew"},
    "water": {"an otter": "dive/dived", "a duck": "dive/dived", "a frog": "swim/swam", "a seal": "swim/swam"},
    "under": {
        "a mole": "dig/dug",
        "a badger": "dig/dug",
        "a weasel": "wriggle/wriggled",
        "a beetle": "wriggle/wriggled",
    },
    "dark": {"a bat": "see in the dark/flew", "a cat": "see in the dark/slipped", "a firefly": "shine/flew"},
}
MENDERS = {
    "cloth": {"a spider": "sew/sewed", "a wren": "sew/sewed", "a silkworm": "sew/sewed"},
    "paper": {"a snail": "glue/glued", "a bee": "glue/glued", "a toad": "glue/glued"},
    "wood": {"a beaver": "carve/carved", "a woodpecker": "carve/carved", "a stork": "carve/carved"},
    "metal": {"a ram": "hammer/hammered", "a buffalo": "hammer/hammered", "a rhino": "hammer/hammered"},
}
BREAKS = {
    "cloth": ("torn", ["tore on a thorn", "ripped in two"]),
    "paper": ("torn", ["tore in two", "got a big hole"]),
    "wood": ("cracked", ["cracked on a stone", "split down the middle"]),
    "metal": ("bent", ["was bent out of shape", "got a big dent"]),
}
# An owner has lost its thing, not a skill.
OWNERS = [
    "an old turtle",
    "a grey heron",
    "a young deer",
    "a tired mule",
    "an old camel",
    "a tall crane",
    "a kind swan",
]


def owners() -> list[Option]:
    """Return the options for the owner of a thing that was found."""
    return [Option(owner, words=_called(owner)) for owner in OWNERS]


def friends(kinds: dict[str, str]) -> list[Option]:
    """Return options for `kinds`: what the friend is called, what it can do and what it did."""
    options = []
    for kind, skills in kinds.items():
        skill, did = skills.split("/")
        options.append(Option(kind, words={**_called(kind), "skill": skill, "did": did}))
    return options


def _called(kind: str) -> dict[str, str]:
    return {"friend_initial": kind.split(" ")[-1][0].upper()}


MOODS = {
    "back": ["happy", "glad", "merry", "joyful", "delighted", "overjoyed"],
    "mended": ["thankful", "grateful", "relieved", "amazed"],
    "honest": ["proud", "pleased", "content"],
    "kept": ["sorry", "ashamed"],
    "gone": ["sad", "gloomy", "unhappy", "downcast"],
}
GIFTS = [
    "a plum pie",
    "a jar of honey",
    "a bag of nuts",
    "a warm bun",
    "a white shell",
    "a lucky coin",
    "a soft pillow",
    "a ripe pear",
]

# What one goes to do out there, by weather; and in the village, whatever the weather.
PASTIMES = {
    "windy": ["watch the clouds", "gather leaves"],
    "rainy": ["jump in puddles", "look for worms"],
    "sunny": ["pick flowers", "lie in the sun"],
    "frosty": ["slide on the ice", "count the icicles"],
    "foggy": ["look for mushrooms", "listen to the birds"],
    "snowy": ["build a snowman", "throw snowballs"],
}
VILLAGE_PASTIMES = ["meet {her} aunt", "meet {her} uncle", "hear a concert", "sweep the floor"]
LYING = {
    "wild": ["in the grass", "beside a puddle", "under a bush", "on a stone"],
    "village": ["in a basket", "under a bench", "behind a door", "on a step"],
}
