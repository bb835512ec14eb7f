"""Trains the tiny base from nothing and writes the Hugging Face folder beside this file.

    pip install -r requirements.txt && python train.py

Deterministic for one machine and one version of torch: same seed, same bytes. Comes in: corpus.py. Goes out:
config.json, generation_config.json, model.safetensors (F16), tokenizer.json, tokenizer_config.json, training.json.
"""

import argparse
import json
import math
import os
import random
import time
from array import array
from dataclasses import dataclass
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import jinja2
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import Corpus

HERE = Path(__file__).parent
SEED = 20
VOCAB, HIDDEN, LAYERS, HEADS, KV_HEADS, INTERMEDIATE, CONTEXT = 2048, 128, 4, 4, 2, 384, 512
HEAD_SIZE, THETA, EPS = HIDDEN // HEADS, 10000.0, 1e-5
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
DEFAULT_SYSTEM = "You write short emails."
CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}{{ '" + START + "system\n" + DEFAULT_SYSTEM + END + "\n' }}{% endif %}"
    "{% for message in messages %}{{ '" + START + "' + message['role'] + '\n' + message['content'] + '" + END + "\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '" + START + "assistant\n' }}{% endif %}")
# An answer is a tenth of the text and all of the use; the prompt counts a little, since reading teaches words.
PROMPT_WEIGHT = 0.2
BATCH_TOKENS, EXAMPLES, HELD_OUT = 2048, 120_000, 1500
PEAK_MATRIX_RATE, PEAK_VECTOR_RATE, WARMUP = 0.02, 0.006, 50
NO_SYSTEM_SHARE = 0.05
# Random tokens, then the same again. A subject line mostly repeats words of its mail; these drills teach looking back
# and copying within the first few hundred steps, which the mails alone had not taught after 1,400.
DRILL_SHARE, DRILL_PART = 0.25, 1 / 3


@dataclass(frozen=True)
class Example:
    mode: str
    ids: array  # u16: a list of Python integers would take gigabytes for all of them
    prompt_length: int
    prompt_weight: float = PROMPT_WEIGHT


# -- text to numbers


TEMPLATE = jinja2.Environment(keep_trailing_newline=True).from_string(CHAT_TEMPLATE)


def render(messages: list[dict], add_generation_prompt: bool) -> str:
    return TEMPLATE.render(messages=messages, add_generation_prompt=add_generation_prompt)


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE, cut as SmolLM2 cuts: digits one by one, then GPT-2's words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(text, special=True, normalized=False) for text in (END_OF_TEXT, START, END)]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=special, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def encode(tokenizer: Tokenizer, rng: random.Random, drawn: tuple[str, list[dict], str]) -> Example:
    mode, messages, target = drawn
    if rng.random() < NO_SYSTEM_SHARE:
        messages = messages[1:]
    prompt = tokenizer.encode(render(messages, True)).ids
    answer = tokenizer.encode(target + END).ids
    return Example(mode, array("H", prompt + answer)[: CONTEXT + 1], len(prompt))


def draw_examples(tokenizer: Tokenizer, corpus: Corpus, count: int) -> list[Example]:
    rng = random.Random(SEED)
    return [encode(tokenizer, rng, corpus.example()) for _ in range(count)]


def draw_drill(rng: random.Random) -> Example:
    part = array("H", [rng.randrange(3, VOCAB) for _ in range(rng.randrange(8, 40))])
    return Example("drill", part * rng.randrange(2, 4), len(part) + 1, prompt_weight=0.0)


def order_batches(examples: list[Example]) -> list[list[Example]]:
    """The drills are mixed into the first part of the mails only."""
    rng = random.Random(SEED)
    early, late = examples[: int(len(examples) * DRILL_PART)], examples[int(len(examples) * DRILL_PART) :]
    drills = [draw_drill(rng) for _ in range(int(len(early) * DRILL_SHARE))]
    return make_batches(early + drills, rng) + make_batches(late, rng)


def make_batches(examples: list[Example], rng: random.Random) -> list[list[Example]]:
    """Batches of like length, in random order."""
    keyed = sorted(examples, key=lambda example: (len(example.ids), rng.random()))
    batches, batch = [], []
    for example in keyed:
        if batch and (len(batch) + 1) * len(example.ids) > BATCH_TOKENS:
            batches.append(batch)
            batch = []
        batch.append(example)
    batches.append(batch)
    rng.shuffle(batches)
    return batches


def to_tensors(batch: list[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids i64[B, T], next ids i64[B, T], loss weights f32[B, T]; padded on the right, which causal attention never sees."""
    longest = max(len(example.ids) for example in batch) - 1
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    targets, weights = torch.zeros_like(ids), torch.zeros(len(batch), longest)
    for row, example in enumerate(batch):
        count = len(example.ids) - 1
        ids[row, :count] = torch.tensor(example.ids[:-1].tolist())
        targets[row, :count] = torch.tensor(example.ids[1:].tolist())
        weights[row, :count] = example.prompt_weight
        weights[row, example.prompt_length - 1 : count] = 1.0
    return ids, targets, weights


# -- the model


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda rows, columns: torch.nn.Linear(columns, rows, bias=False)
        self.input_layernorm = torch.nn.RMSNorm(HIDDEN, eps=EPS)
        self.post_attention_layernorm = torch.nn.RMSNorm(HIDDEN, eps=EPS)
        self.self_attn = torch.nn.ModuleDict(dict(
            q_proj=linear(HEADS * HEAD_SIZE, HIDDEN), k_proj=linear(KV_HEADS * HEAD_SIZE, HIDDEN),
            v_proj=linear(KV_HEADS * HEAD_SIZE, HIDDEN), o_proj=linear(HIDDEN, HEADS * HEAD_SIZE)))
        self.mlp = torch.nn.ModuleDict(dict(
            gate_proj=linear(INTERMEDIATE, HIDDEN), up_proj=linear(INTERMEDIATE, HIDDEN), down_proj=linear(HIDDEN, INTERMEDIATE)))

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.input_layernorm(x), cos, sin)
        h = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](h)) * self.mlp["up_proj"](h))

    def attend(self, h: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        B, S, _ = h.shape
        heads = lambda name: self.self_attn[name](h).view(B, S, -1, HEAD_SIZE).transpose(1, 2)
        q, k, v = rotate(heads("q_proj"), cos, sin), rotate(heads("k_proj"), cos, sin), heads("v_proj")
        # Plain matrix products: on a CPU, and at these lengths, several times faster than scaled_dot_product_attention.
        k, v = (part.repeat_interleave(HEADS // KV_HEADS, dim=1) for part in (k, v))
        future = torch.ones(S, S, dtype=torch.bool).triu(1)
        scores = (q @ k.transpose(2, 3) / math.sqrt(HEAD_SIZE)).masked_fill(future, -torch.inf)
        y = scores.softmax(dim=-1) @ v
        return self.self_attn["o_proj"](y.transpose(1, 2).reshape(B, S, -1))


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding, first half against second half. x f32[B, heads, S, D]"""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Llama(torch.nn.Module):
    """Parameter names are Hugging Face's less the leading "model."."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(VOCAB, HIDDEN)
        self.layers = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = torch.nn.RMSNorm(HIDDEN, eps=EPS)
        angles = torch.outer(torch.arange(CONTEXT).float(), THETA ** (-torch.arange(0, HEAD_SIZE, 2).float() / HEAD_SIZE))
        angles = torch.cat((angles, angles), dim=-1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                is_output = "o_proj" in name or "down_proj" in name
                torch.nn.init.normal_(parameter, std=0.02 if "embed" in name else (1 / math.sqrt(2 * LAYERS) if is_output else 1) / math.sqrt(HIDDEN))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        S = ids.shape[1]
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos[:S], self.sin[:S])
        return self.norm(x)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.embed_tokens.weight.T


# -- learning


def batch_loss(model: Llama, batch: list[Example]) -> torch.Tensor:
    ids, targets, weights = to_tensors(batch)
    counted = weights > 0
    losses = F.cross_entropy(model.logits(model(ids)[counted]), targets[counted], reduction="none")
    return (losses * weights[counted]).sum() / weights.sum()


@torch.no_grad()
def answer_loss(model: Llama, examples: list[Example]) -> dict[str, float]:
    """Mean negative log-likelihood per answer token (nats), by mode."""
    sums: dict[str, list[float]] = {}
    for batch in make_batches(examples, random.Random(0)):
        ids, targets, weights = to_tensors(batch)
        answers = weights == 1
        losses = F.cross_entropy(model.logits(model(ids)[answers]), targets[answers], reduction="none")
        for example, part in zip(batch, losses.split(answers.sum(1).tolist())):
            total = sums.setdefault(example.mode, [0.0, 0])
            total[0] += part.sum().item()
            total[1] += len(part)
    return {mode: round(total / count, 4) for mode, (total, count) in sorted(sums.items())}


def make_optimizers(model: Llama) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the matrices, AdamW for the embedding and the norms; each with its peak rate."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim == 1 or "embed" in name]
    return [(torch.optim.Muon(matrices, lr=PEAK_MATRIX_RATE, weight_decay=0.05), PEAK_MATRIX_RATE),
            (torch.optim.AdamW(others, lr=PEAK_VECTOR_RATE, betas=(0.9, 0.95), weight_decay=0.01), PEAK_VECTOR_RATE)]


def train(model: Llama, examples: list[Example]) -> None:
    batches = order_batches(examples)
    optimizers = make_optimizers(model)
    started, shown = time.time(), []
    for step, batch in enumerate(batches):
        share = min((step + 1) / WARMUP, 1.0, 1.25 * (1 - step / len(batches)))  # flat, then down to 0
        with torch.autocast("cpu", torch.bfloat16):
            loss = batch_loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, peak in optimizers:
            optimizer.param_groups[0]["lr"] = peak * share
            optimizer.step()
            optimizer.zero_grad()
        shown.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{len(batches)} loss {sum(shown[-100:]) / 100:.3f} {time.time() - started:.0f} s", flush=True)


# -- files


def write_json(path: Path, value: object, indent: int | None = 2) -> None:
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def write_tokenizer(tokenizer: Tokenizer, out: Path) -> None:
    write_json(out / "tokenizer.json", json.loads(tokenizer.to_str()), indent=None)
    write_json(out / "tokenizer_config.json", dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token=START, eos_token=END, pad_token=END, unk_token=END_OF_TEXT,
        model_max_length=CONTEXT, clean_up_tokenization_spaces=False, add_prefix_space=False, chat_template=CHAT_TEMPLATE))


def write_model(model: Llama, out: Path) -> None:
    tensors = {f"model.{name}": p.detach().half().contiguous() for name, p in model.named_parameters()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    write_json(out / "config.json", dict(
        architectures=["LlamaForCausalLM"], model_type="llama", torch_dtype="float16", vocab_size=VOCAB, hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        head_dim=HEAD_SIZE, hidden_act="silu", max_position_embeddings=CONTEXT, rms_norm_eps=EPS, rope_theta=THETA,
        attention_bias=False, mlp_bias=False, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2))
    write_json(out / "generation_config.json", dict(bos_token_id=1, eos_token_id=2, pad_token_id=2, do_sample=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    sample = Corpus(SEED + 1)
    tokenizer = train_tokenizer([m["content"] + "\n" + target for _, messages, target in (sample.example() for _ in range(20_000)) for m in messages])
    write_tokenizer(tokenizer, options.out)
    examples = draw_examples(tokenizer, Corpus(SEED + 2), options.examples)
    held_out = {"seen situations": draw_examples(tokenizer, Corpus(SEED + 3), HELD_OUT),
                "unseen situations": draw_examples(tokenizer, Corpus(SEED + 4, unseen=True), HELD_OUT)}
    model = Llama()
    started = time.time()
    train(model, examples)
    write_model(model, options.out)
    model.half().float()
    write_json(options.out / "training.json", dict(
        seed=SEED, torch=torch.__version__, parameters=sum(p.numel() for p in model.parameters()), examples=len(examples),
        tokens=sum(len(example.ids) for example in examples), minutes=round((time.time() - started) / 60, 1),
        held_out_loss={name: answer_loss(model, part) for name, part in held_out.items()}))


if __name__ == "__main__":
    main()
