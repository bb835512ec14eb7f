"""Training steps by the field's own tools, for bench/train.ts: transformers' model, PEFT's LoRA, torch's AdamW.

    python torch_peer.py BASE_FOLDER BATCH_JSON DTYPE THREADS

BATCH_JSON has rows [{ids, promptLength}], rank, alpha and learningRate. For every line on standard input it takes one
step on that batch and prints how long it took in milliseconds; the first line it prints is its version.
"""

import json
import pathlib
import sys
import time

import peft
import torch
import transformers


def padded(rows):
    longest = max(len(row["ids"]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for i, row in enumerate(rows):
        size = len(row["ids"])
        ids[i, :size] = torch.tensor(row["ids"])
        mask[i, :size] = 1
        labels[i, row["promptLength"] : size] = ids[i, row["promptLength"] : size]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def main():
    folder, batch_path, dtype, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    job = json.loads(pathlib.Path(batch_path).read_text())
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    # "all-linear" is every linear layer but the head: the seven that ours adapts
    config = peft.LoraConfig(r=job["rank"], lora_alpha=job["alpha"], target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, config)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=job["learningRate"], weight_decay=0)
    batch = padded(job["rows"])
    print(json.dumps({"torch": torch.__version__, "trainable": sum(p.numel() for p in parameters)}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        print(json.dumps({"ms": 1000 * (time.perf_counter() - start), "loss": loss.item()}), flush=True)


if __name__ == "__main__":
    main()
