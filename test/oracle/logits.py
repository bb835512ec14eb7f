"""Records what PyTorch's transformers makes of the default base's own files, for the tests of our graphs.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install torch==2.13.0 transformers==5.23.0
    /tmp/oracle/bin/python test/oracle/logits.py FOLDER

FOLDER is the installed package, models/<sha256> in the user's cache: a Hugging Face folder of float32 weights, so
transformers reads the very numbers that our graphs read.
Writes test/oracle/recorded/logits.json:
  prompts   five of them; for every position 64 logits, evenly spaced over the vocabulary, and the 16 largest
  text      of text.txt: the negative log-likelihood (nats) of each token but the first, and the perplexity
"""

import json
import math
import pathlib
import sys

import torch
import transformers
from tokenizers import Tokenizer

SPACED = 64
LARGEST = 16
CHAT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
PROMPTS = [
    "The capital of Norway is",
    "Subject: the meeting on 14 March\n\nHi all,\n",
    "def add(a, b):\n    return",
    "Zwei Äpfel – und 37 café-Gäste 🙂 …",
    CHAT.format("Write a subject line for: the lamp has arrived."),
]


def rounded(values):
    return [float(f"{value:.7g}") for value in values]


def record_prompt(model, tokenizer, text, spaced):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    logits = model(torch.tensor([ids])).logits[0]
    positions = []
    for row in logits:
        values, places = torch.topk(row, LARGEST)
        positions.append(
            {
                "spaced": rounded(row[spaced].tolist()),
                "largest": rounded(values.tolist()),
                "largestIds": places.tolist(),
                "norm": rounded([row.norm().item()])[0],
            }
        )
    return {"text": text, "ids": ids, "positions": positions}


def record_text(model, tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    logits = model(torch.tensor([ids])).logits[0].double()
    chosen = logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    return {
        "ids": ids,
        "nll": rounded((-chosen).tolist()),
        "perplexity": float(f"{math.exp(-chosen.mean().item()):.7g}"),
    }


@torch.no_grad()
def main():
    folder = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).parent
    torch.set_num_threads(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    vocab = model.config.vocab_size
    spaced = [i * vocab // SPACED for i in range(SPACED)]
    recorded = {
        "base": json.loads((folder / "base.json").read_text())["sha256"],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "spacedIds": spaced,
        "prompts": [record_prompt(model, tokenizer, text, spaced) for text in PROMPTS],
        "text": record_text(model, tokenizer, (here / "text.txt").read_text()),
    }
    (here / "recorded" / "logits.json").write_text(json.dumps(recorded) + "\n")
    print(f"perplexity of text.txt: {recorded['text']['perplexity']}")


if __name__ == "__main__":
    main()
