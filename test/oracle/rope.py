"""Records the rotary frequencies that transformers computes for each kind of scaling that we support.

    /tmp/oracle/bin/python test/oracle/rope.py        (needs torch and transformers, see logits.py)

Writes test/oracle/recorded/rope.json: config.json fields, and the frequencies in radians per position.
"""

import json
import pathlib

from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

COMMON = {
    "model_type": "llama",
    "hidden_size": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 1,
    "intermediate_size": 64,
    "vocab_size": 16,
    "eos_token_id": 2,
    "max_position_embeddings": 8192,
    "hidden_act": "silu",
    "rope_theta": 500000.0,
}
SCALINGS = {
    "none": None,
    "linear": {"rope_type": "linear", "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}


def main():
    recorded = {}
    for name, scaling in SCALINGS.items():
        config = {**COMMON, "rope_scaling": scaling}
        frequencies = LlamaRotaryEmbedding(LlamaConfig.from_dict(config)).inv_freq
        recorded[name] = {"config": config, "frequencies": frequencies.double().tolist()}
    path = pathlib.Path(__file__).parent / "recorded" / "rope.json"
    path.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
