"""Makes the text that the tiny base learns: invented mails, answers and notes, as chat examples of the shipped modes.

Comes in: a seed. Goes out: records of the shape of modes/sources, and from them (messages, target) pairs, made by
the very templates of modes/*.yaml. Run it to read some: python corpus.py 20
"""

import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import jinja2
import yaml

from lists import HERE, Situation, Slots, read_phrases, read_situations, read_words
from voices import Gist, SHORT_DAYS, draw_voice, weighted, write_body, write_subject

MODES = HERE.parent.parent / "modes"
# Every 12th situation is never trained on: the loss there says how the model does on things it has not met.
UNSEEN_EVERY = 12
LONG_SHARE = 0.05  # mails about several things, so that later positions are trained too
SOON = ("today", "tomorrow", "tonight", "next week", "this week", "the weekend", "the end of the month", "next Monday")
TITLES = ("Mr", "Mrs", "Ms", "Dr")
SWAPS = {"me": "you", "my": "your", "us": "you", "our": "your", "mine": "yours", "your": "my", "yours": "mine",
         "you": "I", "I": "you", "we": "you"}
DOMAINS = ("example.org", "example.com", "example.net", "mail.example.org", "work.example.com")


@dataclass(frozen=True)
class Person:
    first: str
    surname: str
    email: str


@dataclass(frozen=True)
class Matter:
    """One thing to write about, with its slots filled: sentences for the body and the gist for the subject line."""

    sentences: tuple[str, ...]
    gist: Gist
    ask: str  # "" when nothing is asked
    due: str  # " by Friday", or ""


class Corpus:
    def __init__(self, seed: int, unseen: bool = False):
        self.rng = random.Random(seed)
        self.words, self.phrases = read_words(), read_phrases()
        held_out = lambda index: index % UNSEEN_EVERY == 5
        self.situations = [s for i, s in enumerate(read_situations()) if held_out(i) == unseen]
        self.shares = [len(s.says) + len(s.asks) + len(s.news) for s in self.situations]

    def slots(self) -> Slots:
        return Slots(self.rng, self.words)

    def phrase(self, name: str, slots: Slots, **given: str) -> str:
        text = self.rng.choice(self.phrases[name])
        for slot, value in given.items():
            text = text.replace("{" + slot + "}", value)
        return slots.fill(text)

    def person(self) -> Person:
        slots = self.slots()
        first = slots.value("first") if self.rng.random() < 0.8 else slots.value("name")
        surname = slots.value("surname")
        local = self.rng.choice((first, f"{first}.{surname}", f"{first[0]}.{surname}", surname)).lower()
        return Person(first, surname, f"{local}@{self.rng.choice(DOMAINS)}")

    # -- what a mail says

    def deadline(self, slots: Slots) -> tuple[str, str]:
        """(when_kind, when) of something asked."""
        kind = weighted(self.rng, (("by", 60), ("unhurried", 14), ("urgent", 4), ("none", 22)))
        if kind != "by":
            return kind, ""
        day = slots.values.get("day") or slots.value("day")
        return kind, day if self.rng.random() < 0.7 else self.rng.choice(SOON)

    def matter(self, situation: Situation) -> Matter:
        """One whose subject line follows from its body."""
        matter, slots = self.draw_matter(situation)
        text = " ".join(matter.sentences)
        used = [value for value in slots.values.values() if value in matter.gist.topic + matter.gist.short]
        return matter if all(value in text for value in used) else self.matter(situation)

    def draw_matter(self, situation: Situation) -> tuple[Matter, Slots]:
        rng, slots = self.rng, self.slots()
        pick = lambda texts: slots.fill(rng.choice(texts))
        topic, say, reason = pick(situation.topics), pick(situation.says), pick(situation.reasons)
        sentences = [say + "."]
        if rng.random() < 0.45:
            sentences.append(reason + ".")
        if rng.random() < 0.25:
            sentences.insert(0, self.phrase("opener", slots, topic=topic))
        if rng.random() < 0.3:
            sentences.append(self.phrase("detail", slots))
        is_ask = rng.random() < 0.65
        long, short = (slots.fill(text) for text in rng.choice(situation.asks if is_ask else situation.news))
        if is_ask:
            kind, when, due = self.ask(slots, sentences, long)
        else:
            kind, when, due = self.tell(slots, sentences, long)
        if rng.random() < 0.2:
            sentences.append(self.phrase("detail", slots))
        if rng.random() < 0.35:
            sentences.append(self.phrase("closer", slots))
        gist = Gist("ask" if is_ask else "news", situation.tag, topic, short, kind, when)
        return Matter(tuple(sentences), gist, long if is_ask else "", due), slots

    def ask(self, slots: Slots, sentences: list[str], ask: str) -> tuple[str, str, str]:
        kind, when = self.deadline(slots)
        has_day = any(day in ask for day in SHORT_DAYS)
        due = ""
        extra = ""
        if kind in ("unhurried", "urgent"):
            extra = self.phrase(kind, slots)
        elif kind == "by" and (when in SOON[:3] or self.rng.random() < 0.6) and not has_day:
            due = " " + (when if when in SOON[:5] else self.rng.choice(("by ", "by ", "on ", "before ")) + when)
            due = due.replace(" on the", " by the")
        elif kind == "by":
            extra = self.phrase("deadline", slots, when=when, When=when)
        elif kind == "none" and "day" in slots.values and any(slots.values["day"] in s for s in sentences):
            kind, when = "event", slots.values["day"]
        request = self.phrase("request", slots, ask=ask, due=due)
        sentences.append(request)
        if extra:
            sentences.insert(len(sentences) - (self.rng.random() < 0.15), extra)
        return kind, when, due

    def tell(self, slots: Slots, sentences: list[str], news: str) -> tuple[str, str, str]:
        sentences.insert(self.rng.randrange(1, len(sentences) + 1), news + ".")
        if self.rng.random() < 0.45:
            sentences.append(self.phrase("nothing", slots))
        day = slots.values.get("day", "")
        if day and any(day in sentence for sentence in sentences) and self.rng.random() < 0.5:
            return "event", day, ""
        return "news", "", ""

    # -- records

    def mail(self, sender: Person, receiver: Person, matters: list[Matter], voice) -> tuple[str, str]:
        """(subject, body) about one or several matters."""
        rng = self.rng
        sentences = [sentence for matter in matters for sentence in matter.sentences]
        names = dict(to=receiver.first, title=rng.choice(TITLES), surname=receiver.surname, me=sender.first,
                     mysurname=sender.surname, initial=sender.first[0])
        return write_subject(rng, voice, matters[0].gist), write_body(rng, voice, sentences, names)

    def matters(self) -> list[Matter]:
        count = self.rng.randrange(2, 6) if self.rng.random() < LONG_SHARE else 1
        return [self.matter(self.situation()) for _ in range(count)]

    def situation(self) -> Situation:
        return self.rng.choices(self.situations, self.shares)[0]

    def sent_mail(self) -> dict:
        me, other = self.person(), self.person()
        subject, body = self.mail(me, other, self.matters(), draw_voice(self.rng))
        return dict(to=[other.email], subject=subject, body=body)

    def reply_mail(self) -> tuple[dict, Person]:
        """A mail that answers one of `Person`."""
        me, other = self.person(), self.person()
        matter = self.matter(self.situation())
        subject, body = self.mail(other, me, [matter], draw_voice(self.rng))
        voice = draw_voice(self.rng)
        names = dict(to=other.first, title=self.rng.choice(TITLES), surname=other.surname, me=me.first,
                     mysurname=me.surname, initial=me.first[0])
        answer = write_body(self.rng, voice, self.answer(matter), names)
        in_reply_to = {"from": other.email, "subject": subject, "body": body}
        return dict(to=[other.email], subject="Re: " + subject, body=answer, inReplyTo=in_reply_to), other

    def answer(self, matter: Matter) -> list[str]:
        rng, slots, topic = self.rng, self.slots(), swapped(matter.gist.topic)
        if not matter.ask:
            sentences = [self.phrase("thanksfor", slots, topic=topic), self.phrase("comment", slots)]
        else:
            ask = swapped(matter.ask)
            kind = weighted(rng, (("agree", 6), ("refuse", 3), ("question", 2)))
            excuse = self.phrase("excuse", slots)
            if kind == "question":
                sentences = [f"I can {ask}.", self.phrase("question", slots)]
            else:
                sentences = [self.phrase(kind, slots, ask=ask, due=matter.due, excuse=excuse)]
            if kind == "refuse":
                sentences.append(self.phrase("instead", slots))
            if rng.random() < 0.3:
                sentences.insert(0, self.phrase("thanksfor", slots, topic=topic))
        if rng.random() < 0.3:
            sentences.append(self.phrase("detail", slots))
        if rng.random() < 0.35:
            sentences.append(self.phrase("closer", slots))
        return sentences

    def contact(self, person: Person) -> dict:
        slots = self.slots()
        contact = dict(name=f"{person.first} {person.surname}", email=person.email)
        if self.rng.random() < 0.8:
            relation = slots.fill(self.rng.choice(("friend", "sister", "brother", "neighbour", "{trade}", "{doctor}",
                                                   "colleague", "{sport} coach", "{subject} teacher", "customer")))
            contact["relation"] = relation
        if self.rng.random() < 0.6:
            contact["notes"] = " ".join(map(capital, [self.phrase("detail", slots)]))
        return contact

    def note(self) -> dict:
        rng, slots = self.rng, self.slots()
        situation = self.situation()
        topic = slots.fill(rng.choice(situation.topics))
        ask = slots.fill(rng.choice(situation.asks)[0])
        bare = self.phrase("detail", slots).rstrip(".")
        texts = [slots.fill(rng.choice(situation.says)) + ".", slots.fill(rng.choice(situation.news)[0]) + ".",
                 self.phrase("note", slots, ask=swapped(ask), due="", topic=topic, detailbare=bare),
                 self.phrase("detail", slots), slots.fill(rng.choice(situation.reasons)) + "."]
        text = rng.choice((" ", " ", "\n")).join(map(capital, rng.sample(texts, rng.randrange(2, 6))))
        return dict(title=capital(topic), text=text.lower() if rng.random() < 0.15 else text)

    # -- examples

    def example(self) -> tuple[str, list[dict], str]:
        """(mode, chat messages, target)."""
        mode = weighted(self.rng, (("subject", 62), ("reply", 20), ("continue", 18)))
        contact = None
        if mode == "reply":
            record, person = self.reply_mail()
            contact = self.contact(person) if self.rng.random() < 0.6 else None
        elif mode == "continue" and self.rng.random() < 0.4:
            return MODE_TEXTS[mode].example("notes", self.note(), None) or self.example()
        else:
            record = self.sent_mail()
        return MODE_TEXTS[mode].example("mail.sent", record, contact) or self.example()


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def swapped(text: str) -> str:
    """The same words from the other one's mouth."""
    return re.sub(r"\b(" + "|".join(SWAPS) + r")\b", lambda match: SWAPS[match[0]], text)


class ModeText:
    """The templates of one modes/*.yaml file."""

    def __init__(self, path: Path):
        # As @huggingface/jinja does by default.
        make = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string
        mode = yaml.safe_load(path.read_text())
        self.key = mode["key"]
        self.prompt = [(message["role"], make(message["content"])) for message in mode["prompt"]]
        self.rules = {source: [(make("{% if " + rule["when"] + " %}1{% endif %}"),
                                {name: make(text) for name, text in rule["input"].items()}, make(rule["target"]))
                               for rule in rules] for source, rules in mode["examples"].items()}

    def example(self, source: str, record: dict, contact: dict | None) -> tuple[str, list[dict], str] | None:
        for when, inputs, target in self.rules[source]:
            if when.render(record=record):
                given = {name: text.render(record=record) for name, text in inputs.items()}
                messages = [dict(role=role, content=text.render(input=given, contact=contact)) for role, text in self.prompt]
                return self.key, messages, target.render(record=record)
        return None


MODE_TEXTS = {path.stem: ModeText(path) for path in MODES.glob("*.yaml")}


def main() -> None:
    corpus = Corpus(seed=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for _ in range(int(sys.argv[1])):
        mode, messages, target = corpus.example()
        print(f"--- {mode}\n{messages[-1]['content']}\n=> {target}")


if __name__ == "__main__":
    main()
