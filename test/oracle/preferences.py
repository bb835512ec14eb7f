"""Records what TRL's own loss code makes of one of our adapters: SFT, DPO and KTO losses and their gradients.

    (venv and folder as in gradients.py; besides: pip install trl==1.16.0)
    /tmp/oracle/bin/python test/oracle/preferences.py FOLDER

Writes test/oracle/recorded/preferences.json for the tiny base:
  base   its hash
  files  the names in the adapter's folder that PEFT loaded
  sft    SFTTrainer's loss of the batch of examples
  dpo    DPOTrainer's loss of the batch of pairs, `sigmoid` and `sft` in the weights that follow, reference: adapter off
  kto    KTOTrainer's loss of the batch of answers with a thumb, reference: adapter off, and its estimate of the distance `kl`
Each with its value and the gradients of some LoRA matrices: length, and 8 values, evenly spaced.
"""

import collections
import json
import pathlib
import sys
import types

import accelerate
import gradients
import peft
import torch
import transformers
from trl.trainer import dpo_trainer, kto_trainer, sft_trainer
from trl.trainer.utils import add_fused_lm_head

BETA = 0.3
SFT_WEIGHT = 0.2
THUMB_WEIGHTS = {"up": 1.0, "down": 1.5}
# every matrix of one layer, so that the file stays small
KEPT = ".layers.1."


def open_model(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    return peft.PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True).eval()


def bare(kind, model, **fields):
    """A trainer of theirs without data or loop: what its loss reads, and nothing else."""
    trainer = object.__new__(kind)
    trainer.__dict__.update(
        model=model,
        accelerator=accelerate.Accelerator(cpu=True),
        aux_loss_enabled=False,
        _metrics=collections.defaultdict(lambda: collections.defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
        **fields,
    )
    return trainer


def measure(model, loss):
    model.zero_grad()
    loss.backward()
    return {
        "loss": gradients.rounded([loss.item()])[0],
        "gradients": {
            name: {
                "norm": gradients.rounded([p.grad.norm().item()])[0],
                "values": gradients.spaced(p.grad, gradients.SPACED_VALUES),
            }
            for name, p in sorted(gradients.trainable(model).items())
            if KEPT in name
        },
    }


def sft(folder, job):
    model = open_model(folder)
    add_fused_lm_head(model.get_base_model(), outputs=("log_probs", "entropy", "is_top1"))
    trainer = bare(
        sft_trainer.SFTTrainer,
        model,
        args=types.SimpleNamespace(loss_type="nll", average_tokens_across_devices=False, max_length=None),
        compute_loss_func=None,
        label_smoother=None,
        current_gradient_accumulation_steps=1,
    )
    rows = [(e["ids"], e["promptLength"]) for e in job["examples"]]
    width = max(len(ids) for ids, _ in rows)
    batch = {
        "input_ids": torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in rows]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows]),
        "labels": torch.tensor(
            [[-100] * prompt + ids[prompt:] + [-100] * (width - len(ids)) for ids, prompt in rows]
        ),
    }
    return measure(model, trainer.compute_loss(model, batch))


def dpo(folder, job):
    model = open_model(folder)
    add_fused_lm_head(model.get_base_model(), outputs=("log_probs", "entropy", "is_top1", "mean_logits"))
    trainer = bare(
        dpo_trainer.DPOTrainer,
        model,
        ref_model=None,
        args=types.SimpleNamespace(gradient_checkpointing_kwargs=None, gradient_checkpointing=False),
        ld_alpha=None,
        precompute_ref_logps=False,
        f_divergence_type="reverse_kl",
        loss_types=["sigmoid", "sft"],
        loss_weights=[1.0, SFT_WEIGHT],
        beta=BETA,
        label_smoothing=0.0,
        use_weighting=False,
    )
    collate = dpo_trainer.DataCollatorForPreference(pad_token_id=0)
    rows = [
        {
            "prompt_ids": pair["chosen"]["ids"][: pair["chosen"]["promptLength"]],
            "chosen_ids": pair["chosen"]["ids"][pair["chosen"]["promptLength"] :],
            "rejected_ids": pair["rejected"]["ids"][pair["rejected"]["promptLength"] :],
        }
        for pair in job["pairs"]
    ]
    return measure(model, trainer._compute_loss(model, collate(rows), return_outputs=False))


def kto(folder, job):
    model = open_model(folder)
    add_fused_lm_head(model.get_base_model(), outputs=("log_probs", "entropy", "is_top1", "mean_logits"))
    trainer = bare(
        kto_trainer.KTOTrainer,
        model,
        ref_model=None,
        args=types.SimpleNamespace(gradient_checkpointing_kwargs=None, gradient_checkpointing=False),
        precompute_ref_logps=False,
        calculate_KL=True,
        loss_type="kto",
        beta=BETA,
        desirable_weight=THUMB_WEIGHTS["up"],
        undesirable_weight=THUMB_WEIGHTS["down"],
    )
    collate = kto_trainer.DataCollatorForUnpairedPreference(pad_token_id=0)
    answer = lambda row: row["ids"][row["promptLength"] :]
    rows = [
        {
            "prompt_ids": thumb["answer"]["ids"][: thumb["answer"]["promptLength"]],
            "completion_ids": answer(thumb["answer"]),
            "KL_completion_ids": answer(thumb["mismatched"]),
            "label": thumb["isGood"],
        }
        for thumb in job["thumbs"]
    ]
    measured = measure(model, trainer._compute_loss(model, collate(rows), return_outputs=False))
    return {"kl": gradients.rounded(trainer._metrics["eval"]["kl"])[0], **measured}


def main():
    torch.manual_seed(0)
    folder = pathlib.Path(sys.argv[1]) / "tiny"
    job = json.loads((folder / "job.json").read_text())
    recorded = {
        "base": job["base"],
        "files": sorted(path.name for path in (folder / "adapter").iterdir()),
        "beta": BETA,
        "sftWeight": SFT_WEIGHT,
        "sft": sft(folder, job),
        "dpo": dpo(folder, job),
        "thumbWeights": THUMB_WEIGHTS,
        "kto": kto(folder, job),
    }
    path = pathlib.Path(__file__).parent / "recorded" / "preferences.json"
    path.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
