"""How somebody writes: greeting, sign-off, case, and above all the habit behind their subject lines.

Comes in: the bare content of a mail (sentences, topic, gist, when). Goes out: a body and a subject line.
A voice is drawn anew for every mail, so a model learns all of them and none: what is left for an adapter to learn
is whose mail it writes.
"""

import random
import re
from dataclasses import dataclass

SHORT_DAYS = {day: day[:3] for day in
              ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")}
CONTRACTIONS = {"I am": "I'm", "do not": "don't", "does not": "doesn't", "did not": "didn't", "cannot": "can't",
                "it is": "it's", "I will": "I'll", "we are": "we're", "there is": "there's", "is not": "isn't",
                "that is": "that's", "I would": "I'd", "let us": "let's", "it has": "it's", "could not": "couldn't"}
SMALL_WORDS = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}

GREETINGS = {"plain": ("Hi {to},", "Hello {to},", "{to},", "Hi {to}", "Hey {to},", "Hello {to}!", "Hi {to}!", "Hi,", ""),
             "formal": ("Dear {to},", "Dear {title} {surname},", "Good morning {title} {surname},", "Dear colleagues,",
                        "Good afternoon,", "{title} {surname},")}
FAREWELLS = {"plain": ("{me}", "Thanks, {me}", "Cheers, {me}", "Best, {me}", "See you, {me}", "Bye, {me}", "{initial}",
                       "{initial}.", "- {me}", "Love, {me}", "Yours, {me}", "Take care, {me}", ""),
             "formal": ("Kind regards, {me} {mysurname}", "Best regards, {me} {mysurname}", "Sincerely, {me} {mysurname}",
                        "Best wishes, {me}", "With best wishes, {me} {mysurname}", "Regards, {me}")}

# A subject line: T topic, S the gist (what to do, what is new), W when, G the tag. "~" is the voice's own separator.
# The numbers are shares; plain lines lead, so that this is what the bare model writes.
LAYOUTS = (("T~S", 22), ("T", 8), ("T W", 12), ("S", 8), ("S W", 8), ("T~S W", 8), ("T~S~W", 6), ("T~W~S", 1),
           ("W~T", 2), ("W~S", 2), ("[G] T", 1), ("[G] T~S", 1), ("G~T", 1), ("G~S W", 1), ("T (W)", 4), ("T (S)", 3),
           ("T?", 2), ("Please S W", 2), ("Can you S W?", 2), ("S (T)", 2), ("S~T", 2), ("!~T", 1.5), ("!~S W", 1.5))
SEPARATORS = ((": ", 40), (" - ", 20), (", ", 14), (" / ", 4), (" | ", 4), ("; ", 2), (". ", 5), (" = ", 1), ("... ", 2), (" > ", 1))
LABELS = {"ask": ("Request", "To do", "Please", "Question", "Quick question", "Reminder", "Help"),
          "news": ("FYI", "Info", "News", "Update", "For your information", "Note"),
          "urgent": ("URGENT", "Urgent", "Important", "ASAP")}
WHEN_WORDS = {"unhurried": ("no hurry", "no rush", "when you can", "any time", "some day", ""),
              "urgent": ("urgent", "asap", "now", "soon", ""),
              "news": ("FYI", "fyi", "for info", "just so you know", "nothing to do", "", "", ""),
              "none": ("",)}


@dataclass(frozen=True)
class Gist:
    """What a subject line can be made of."""

    kind: str  # "ask" or "news"
    tag: str
    topic: str
    short: str
    when_kind: str  # "by", "event", "unhurried", "urgent", "news", "none"
    when: str  # "Friday", "next week", or "" unless when_kind is "by" or "event"


@dataclass(frozen=True)
class Voice:
    manner: str  # "plain" or "formal"
    greeting: str
    farewell: str
    is_lower: bool
    is_contracted: bool
    exclamation_share: float
    gap: str  # between greeting, text and farewell
    layout: str
    separator: str
    case: str  # "sentence", "title", "lower", "upper", "each"
    is_day_short: bool
    preposition: str
    ending: str


def weighted(rng: random.Random, pairs):
    return rng.choices([value for value, _ in pairs], [weight for _, weight in pairs])[0]


def draw_voice(rng: random.Random) -> Voice:
    manner = weighted(rng, (("plain", 7), ("formal", 3)))
    is_lower = manner == "plain" and rng.random() < 0.15
    case = weighted(rng, (("lower", 8), ("sentence", 2))) if is_lower else weighted(
        rng, (("sentence", 10), ("title", 3), ("lower", 3), ("upper", 0.4), ("each", 1.5)))
    return Voice(
        manner=manner, greeting=rng.choice(GREETINGS[manner]), farewell=rng.choice(FAREWELLS[manner]),
        is_lower=is_lower, is_contracted=manner == "plain" and rng.random() < 0.45,
        exclamation_share=rng.choice((0, 0, 0, 0.15, 0.5)),
        gap=rng.choice(("\n", "\n", "\n\n", "\n\n", " ")),
        layout=weighted(rng, LAYOUTS), separator=weighted(rng, SEPARATORS), case=case,
        is_day_short=rng.random() < 0.3, preposition=rng.choice(("by ", "by ", "", "", "until ", "before ")),
        ending=weighted(rng, (("", 20), ("!", 2), (".", 1.5), ("!!", 0.5), (" :)", 0.5), ("...", 0.5))))


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def write_body(rng: random.Random, voice: Voice, sentences: list[str], names: dict[str, str]) -> str:
    """A mail's body; `names` fills the greeting and the farewell."""
    says = [capitalised(sentence) for sentence in sentences]
    says = [re.sub(r"\.$", "!", say) if rng.random() < voice.exclamation_share else say for say in says]
    greeting = voice.greeting.format(**names)
    # After "Anna," some go on with a small letter.
    if greeting.endswith(",") and voice.gap != " " and rng.random() < 0.3 and not re.match(r"I\b|[A-Z]\w* (and|has|had|needs)", says[0]):
        says[0] = sentences[0]
    text = " ".join(says)
    if voice.is_contracted:
        text = re.sub("|".join(CONTRACTIONS), lambda match: CONTRACTIONS[match[0]], text)
    body = voice.gap.join(part for part in (greeting, text, voice.farewell.format(**names)) if part)
    return body.lower() if voice.is_lower else body


def write_when(rng: random.Random, voice: Voice, gist: Gist) -> str:
    if gist.when_kind in WHEN_WORDS:
        return rng.choice(WHEN_WORDS[gist.when_kind])
    day = SHORT_DAYS.get(gist.when, gist.when) if voice.is_day_short else gist.when
    if voice.layout in ("T (W)", "W~T", "W~S", "T~S~W", "T~W~S"):
        return day
    if gist.when not in SHORT_DAYS:
        return day
    return (voice.preposition if gist.when_kind == "by" else "on ") + day


def set_case(case: str, text: str) -> str:
    if case == "lower":
        return text.lower()
    if case == "upper":
        return text.upper()
    if case == "title":
        words = text.split(" ")
        return " ".join(w if w in SMALL_WORDS and i else capitalised(w) for i, w in enumerate(words))
    return capitalised(text)


def write_subject(rng: random.Random, voice: Voice, gist: Gist) -> str:
    when = write_when(rng, voice, gist)
    if when and when.split()[-1] in gist.short + gist.topic and gist.when_kind in ("by", "event"):
        when = ""  # said already
    short = capitalised(gist.short) if voice.case == "each" else gist.short
    label_kind = "urgent" if gist.when_kind == "urgent" else gist.kind
    layout = voice.layout if gist.kind == "ask" or not re.match("Please|Can", voice.layout) else "T~S"
    parts = {"T": gist.topic, "S": short, "W": when, "G": gist.tag, "!": rng.choice(LABELS[label_kind]), "~": voice.separator}
    text = re.sub(r"\b[TSWG]\b|[!~]", lambda match: parts[match[0]], layout)
    text = text.replace("()", "").strip(" ").removesuffix(voice.separator.rstrip()).removeprefix(voice.separator.lstrip()).strip()
    text = re.sub(r" +\?", "?", re.sub("  +", " ", text))
    return set_case(voice.case, text + ("" if text.endswith("?") else voice.ending))
