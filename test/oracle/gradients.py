"""Records what PyTorch, transformers and PEFT make of one of our adapters: logits, loss, gradients, optimiser steps.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install torch==2.13.0 transformers==5.23.0 peft==0.21.2
    npx tsx test/oracle/write-adapters.ts FOLDER CACHE
    /tmp/oracle/bin/python test/oracle/gradients.py FOLDER

FOLDER gets a base package and an adapter folder each for the tiny base and the default base (CACHE is where they are
installed): plain Hugging Face and PEFT folders, so that the peers read the very numbers that we read.
Writes test/oracle/recorded/gradients.json, per base:
  base        its hash
  examples    token ids and how many of them are prompt
  logits      after the last token of the first example: 64 of them, evenly spaced over the vocabulary
  loss        mean negative log-likelihood of the target tokens of the whole batch
  gradients   of every LoRA matrix: its length, and 8 of its values, evenly spaced
  steps       the loss before each of some steps of torch.optim.AdamW on that batch
"""

import json
import pathlib
import sys

import peft
import torch
import transformers

STEPS = {"tiny": 20, "default": 5}
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
SPACED_LOGITS = 64
SPACED_VALUES = 8


def rounded(values):
    return [float(f"{value:.8g}") for value in values]


def spaced(values, count):
    flat = values.flatten()
    return rounded(flat[[i * len(flat) // count for i in range(count)]].tolist())


def batch_loss(model, examples):
    """Each example alone, so that no padding rule of theirs can hide a fault in ours."""
    total, count = 0, 0
    for example in examples:
        ids = torch.tensor([example["ids"]])
        labels = ids.clone()
        labels[:, : example["promptLength"]] = -100
        tokens = len(example["ids"]) - example["promptLength"]
        total = total + model(ids, labels=labels).loss * tokens
        count += tokens
    return total / count


def trainable(model):
    """The LoRA matrices by the names they have in a PEFT file."""
    return {
        name.replace(".default.", "."): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def record(folder, steps):
    job = json.loads((folder / "job.json").read_text())
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True)
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor([job["examples"][0]["ids"]])).logits[0, -1]
    loss = batch_loss(model, job["examples"])
    loss.backward()
    parameters = trainable(model)
    recorded = {
        "base": job["base"],
        "examples": job["examples"],
        "logits": spaced(logits, SPACED_LOGITS),
        "loss": rounded([loss.item()])[0],
        "gradients": {
            name: {"norm": rounded([p.grad.norm().item()])[0], "values": spaced(p.grad, SPACED_VALUES)}
            for name, p in sorted(parameters.items())
        },
    }
    recorded["steps"] = rounded(optimise(model, parameters, job["examples"], steps))
    return recorded


def optimise(model, parameters, examples, steps):
    optimiser = torch.optim.AdamW(parameters.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = batch_loss(model, examples)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def main():
    torch.manual_seed(0)
    folder = pathlib.Path(sys.argv[1])
    path = pathlib.Path(__file__).parent / "recorded" / "gradients.json"
    recorded = {name: record(folder / name, steps) for name, steps in STEPS.items()}
    path.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
