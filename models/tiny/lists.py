"""Reads the three word lists beside this file and fills their {slots}.

Comes in: situations.txt, phrases.txt, words.txt and a random generator. Goes out: sentences.
Knows nothing of mails, voices or models.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SLOT = re.compile(r"\{(\w+)\}")
# These lists give an invented noun now and then: a model that meets only known words learns to recite, not to copy.
INVENTED = {"item", "food", "tool", "furniture", "plant", "fruit", "sport", "theme", "animal", "instrument"}
INVENTED_SHARE = 0.2


@dataclass(frozen=True)
class Situation:
    """What a mail can be about: names of its topic, and what is said, explained, asked and told."""

    tag: str
    topics: tuple[str, ...]
    says: tuple[str, ...]
    reasons: tuple[str, ...]
    asks: tuple[tuple[str, str], ...]  # (as said in a mail, shorter)
    news: tuple[tuple[str, str], ...]


def lines_of(name: str) -> list[str]:
    return [line for line in (HERE / name).read_text().splitlines() if not line.startswith("#")]


def read_words() -> dict[str, list[str]]:
    rows = (line.split(": ", 1) for line in lines_of("words.txt") if line)
    return {name: entries.split(", ") for name, entries in rows}


def read_phrases() -> dict[str, list[str]]:
    phrases: dict[str, list[str]] = {}
    for line in lines_of("phrases.txt"):
        if line.startswith("= "):
            name = line[2:]
            phrases[name] = []
        elif line:
            phrases[name].append(line)
    return phrases


def parse_situation(block: str) -> Situation:
    head, *rows = block.splitlines()
    tag, topics = re.fullmatch(r"\[(\w+)\] (.+)", head).groups()
    of = lambda kind: tuple(row[2:] for row in rows if row.startswith(kind + " "))
    pairs = lambda kind: tuple((long, short or long) for long, _, short in (row.partition(" | ") for row in of(kind)))
    return Situation(tag, tuple(topics.split(" | ")), of("s"), of("w"), pairs("d"), pairs("n"))


def read_situations() -> list[Situation]:
    text = "\n".join(lines_of("situations.txt"))
    return [parse_situation(block) for block in re.split(r"\n\n+", text.strip())]


class Slots:
    """The values of one mail's slots: a slot keeps the value that it was first given."""

    def __init__(self, rng: random.Random, words: dict[str, list[str]]):
        self.rng, self.words = rng, words
        self.values: dict[str, str] = {}

    def fill(self, text: str) -> str:
        filled = SLOT.sub(lambda match: self.value(match[1]), text)
        return re.sub(r"\ba (?=[aeio])", "an ", filled)

    def value(self, slot: str) -> str:
        if slot not in self.values:
            taken = set(self.values.values())
            drawn = [self.draw(slot.rstrip("2")) for _ in range(4)]
            self.values[slot] = next((value for value in drawn if value not in taken), drawn[0])
        return self.values[slot]

    def draw(self, name: str) -> str:
        rng = self.rng
        if name == "name":
            return self.invent().capitalize()
        if name == "num":
            return str(rng.randrange(12, 10 ** rng.randrange(2, 6)))
        if name == "age":
            return str(rng.randrange(18, 90))
        if name == "amount":
            number = rng.choice([rng.randrange(5, 100), rng.randrange(2, 40) * 25, rng.randrange(1, 30) * 100])
            return rng.choice(["{} euros", "${}", "{} pounds", "{} euros", "£{}"]).format(number)
        if name == "version":
            return f"{rng.randrange(1, 12)}.{rng.randrange(10)}"
        if name in INVENTED and rng.random() < INVENTED_SHARE:
            return self.invent()
        return SLOT.sub(lambda match: self.draw(match[1].rstrip("2")), rng.choice(self.words[name]))

    def invent(self) -> str:
        part = lambda name: self.rng.choice(self.words[name])
        word = part("start") + part("mid")
        return word + (part("end") + part("tail") if self.rng.random() < 0.8 else part("end"))
