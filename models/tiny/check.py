"""Loads the shipped folder with transformers, compares it with the model that train.py trains, and lets it write.

    python check.py [folder]

The bodies below were written after the corpus and share no sentence with it.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from corpus import MODE_TEXTS
from train import HERE, Llama

BODIES = (
    "Dear all,\n\nThe lift will be out of service on Monday while the cables are replaced. Please use the stairs and plan a little more time.\n\nKind regards, Facilities",
    "hi sam, i left my umbrella at your house last night. can you bring it to work tomorrow? thanks, jo",
    "Hello,\nI ordered three lamps two weeks ago and only two have arrived. Could you send the missing one?\nRegards, Peter Falk",
    "Mum, the train is cancelled. I will stay with Lisa tonight and come home on Sunday. Love, Tim",
    "Hi Noor,\nthe new poster for the chess evening is at the printer. Please check the colours before Thursday.\nJonas",
)
MOST_TOKENS = 60


def prompt_of(tokenizer, mode: str, **given: str) -> list[int]:
    messages = [dict(role=role, content=text.render(input=given, contact=None)) for role, text in MODE_TEXTS[mode].prompt]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return tokenizer.encode(text, add_special_tokens=False)


def write(model, tokenizer, prompt: list[int]) -> str:
    ids = torch.tensor([prompt])
    answer = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=MOST_TOKENS, do_sample=False)
    return tokenizer.decode(answer[0, len(prompt):], skip_special_tokens=True)


@torch.no_grad()
def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ours = Llama()
    weights = load_file(folder / "model.safetensors")
    ours.load_state_dict({name.removeprefix("model."): tensor.float() for name, tensor in weights.items()})
    ids = torch.tensor([prompt_of(tokenizer, "subject", body=BODIES[0])])
    difference = (model(ids).logits - ours.logits(ours(ids))).abs().max().item()
    print(f"{type(model).__name__}, {ids.shape[1]} positions, largest difference of a logit: {difference:.1e}")
    assert difference < 1e-3, "transformers and train.py disagree"
    for body in BODIES:
        print(f"\n{body}\n=> subject: {write(model, tokenizer, prompt_of(tokenizer, 'subject', body=body))!r}")
    print("=> reply:", repr(write(model, tokenizer, prompt_of(tokenizer, "reply", **{"from": "jo@example.org"}, subject="umbrella", body=BODIES[1]))))
    print("=> continue:", repr(write(model, tokenizer, prompt_of(tokenizer, "continue", text=BODIES[2][:70]))))


if __name__ == "__main__":
    main()
