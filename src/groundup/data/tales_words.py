"""The word lists of the tales: who, where, what, and what belongs together.

Words set beside a value are read by later templates. `she`, `her` (possessive) and `him` (object) hold the pronouns
that go with the hero's name.
"""

from groundup.data.tales_grammar import Option

HERO_GIRLS = (
    "Ada Bella Clara Dora Elsie Freya Greta Hanna Iris Juno Kitty Lotte "
    "Mabel Nora Olive Poppy Rosa Sophie Tilda Ursula Violet Wilma Yvonne Zelda"
)
HERO_BOYS = (
    "Albert Bruno Caspar Dexter Emil Felix Gustav Henry Igor Jasper Kurt Leo "
    "Milo Ned Oscar Pip Rufus Simon Toby Ulrich Victor Walter Xaver Zeno"
)
FRIEND_GIRLS = "Agnes Berta Cora Daisy Edith Flora Gilda Hazel Ivy Judith Lucy Martha Pearl Ruth Stella Wanda"
FRIEND_BOYS = "Alfred Boris Conrad David Edgar Frank Hugo Jonas Louis Max Otto Paul Ralph Sam Theo William"

SHE = {"she": "she", "her": "her", "him": "her"}
HE = {"she": "he", "her": "his", "him": "him"}

HEROES = [
    *(Option(name, words=SHE) for name in HERO_GIRLS.split()),
    *(Option(name, words=HE) for name in HERO_BOYS.split()),
]
FRIENDS = [*FRIEND_GIRLS.split(), *FRIEND_BOYS.split()]

TRAITS = [
    *("a brave little", "a shy little", "a sleepy little", "a clumsy young", "a cheerful young"),
    *("a curious young", "an eager young", "a very small", "a lonely", "a polite"),
]

# Heroes are kinds that neither climb, swim, dig nor shine, so that they need the friend they meet.
KINDS = [
    Option(kind, words={"hands": hands})
    for hands, kinds in {
        "paws": "hedgehog mouse fox rabbit puppy bear hamster panda",
        "hooves": "lamb pony donkey piglet",
        "feet": "tortoise penguin",
    }.items()
    for kind in kinds.split()
]

TIMES = [
    Option("morning", words={"Later": "That afternoon"}),
    Option("afternoon", words={"Later": "That evening"}),
    Option("evening", words={"Later": "That night"}),
]


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
        ["{she} slipped in the mud", "the rain had made it slippery", "a fat raindrop hit {her} nose"],
        ["a wet crow snatched it"],
    ),
    "sunny": _causes(
        ["the sun dazzled {him}", "a bee tickled {her} nose", "{she} danced too wildly"],
        ["a cheeky crow snatched it"],
    ),
    "frosty": _causes(
        ["{she} slid on the ice", "{her} cold {hands} let go", "{she} had to sneeze"],
        ["a hungry gull snatched it"],
    ),
    "foggy": _causes(
        ["{she} bumped into a post", "{she} tripped over a root", "{she} missed a step"],
        ["a lost goose carried it off"],
    ),
    "snowy": _causes(
        ["{she} sank into the snow", "a snowball hit {her} ear", "{her} {hands} were too cold"],
        ["a jackdaw carried it off"],
    ),
}

# Material -> how such things look, what they are, and what is done with them when all is well.
LOOKS = {
    "cloth": ["red", "blue", "striped", "woollen"],
    "paper": ["green", "yellow", "spotted", "pretty"],
    "wood": ["painted", "wooden", "carved", "polished"],
    "metal": ["silver", "copper", "golden", "shiny"],
}
THINGS = {
    "cloth": [
        ("scarf", "village", "wore the scarf"),
        ("cap", "village", "wore the cap"),
        ("flag", "wild", "waved the flag"),
        ("blanket", "wild", "spread out the blanket"),
        ("puppet", "village", "played with the puppet"),
        ("cloak", "wild", "wore the cloak"),
    ],
    "paper": [
        ("kite", "wild", "flew the kite"),
        ("book", "village", "read the book"),
        ("letter", "village", "read the letter"),
        ("map", "wild", "followed the map"),
        ("lantern", "wild", "lit the lantern"),
        ("crown", "village", "wore the crown"),
    ],
    "wood": [
        ("boat", "wild", "sailed the boat"),
        ("drum", "village", "beat the drum"),
        ("flute", "village", "played the flute"),
        ("sledge", "wild", "rode on the sledge"),
        ("top", "village", "spun the top"),
        ("bow", "wild", "played with the bow"),
    ],
    "metal": [
        ("bell", "village", "rang the bell"),
        ("whistle", "wild", "blew the whistle"),
        ("teapot", "village", "drank from the teapot"),
        ("compass", "wild", "followed the compass"),
        ("trumpet", "village", "blew the trumpet"),
        ("key", "wild", "played with the key"),
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
    top = f"the top of {high}"
    return {
        "flying": [Option(f"at {top}", words={"to": f"to {top}", "way": "up", "feat": FEATS["up"]})],
        "falling": below,
    }


# What a friend is -> what it can do, and what it did.
FINDERS = {
    "up": {"a squirrel": "climb/climbed", "an owl": "fly/flew", "a robin": "fly/flew", "a magpie": "fly/flew"},
    "water": {"an otter": "dive/dived", "a duck": "dive/dived", "a frog": "swim/swam", "a newt": "swim/swam"},
    "under": {
        "a mole": "dig/dug",
        "a badger": "dig/dug",
        "a weasel": "wriggle/wriggled",
        "a lizard": "wriggle/wriggled",
    },
    "dark": {"a bat": "see in the dark/flew", "a cat": "see in the dark/slipped", "a firefly": "shine/flew"},
}
MENDERS = {
    "cloth": {"a spider": "sew/sewed", "a wren": "sew/sewed", "a silkworm": "sew/sewed"},
    "paper": {"a snail": "glue/glued", "a bee": "glue/glued", "a toad": "glue/glued"},
    "wood": {"a beaver": "carve/carved", "a woodpecker": "carve/carved", "a stork": "carve/carved"},
    "metal": {"a goat": "hammer/hammered", "a buffalo": "hammer/hammered", "a rhino": "hammer/hammered"},
}
BREAKS = {
    "cloth": ("torn", ["tore on a thorn", "ripped in two"]),
    "paper": ("torn", ["tore in two", "got a big hole"]),
    "wood": ("cracked", ["cracked on a stone", "split down the middle"]),
    "metal": ("bent", ["was bent out of shape", "got a big dent"]),
}
OWNERS = [
    "an old turtle",
    "a grey heron",
    "a young deer",
    "a tired mule",
    "an old camel",
    "a tall crane",
    "a kind swan",
]


def friends(kinds: dict[str, str]) -> list[Option]:
    """Return options for `kinds`: the helper without its article, what it can do and what it did."""
    return [
        Option(
            kind, words={"helper": kind.split(" ", 1)[1], "skill": skills.split("/")[0], "did": skills.split("/")[1]}
        )
        for kind, skills in kinds.items()
    ]


MOODS = {
    "back": ["happy", "glad", "merry", "joyful", "cheerful", "delighted"],
    "mended": ["thankful", "grateful", "relieved", "amazed"],
    "honest": ["proud", "pleased", "content"],
    "kept": ["sorry", "ashamed"],
    "gone": ["sad", "gloomy", "unhappy", "downcast"],
}
GIFTS = ["a plum pie", "a jar of honey", "a bag of nuts", "a warm bun", "a pink shell", "a lucky coin"]

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
