"""Records what ggml's own Python package makes of random blocks of every tensor type that we read.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install gguf==0.19.0 numpy
    /tmp/oracle/bin/python test/oracle/dequantise.py

Writes test/oracle/recorded/dequantise.json: the bytes of three blocks and the float32 numbers in them, both base64.
"""

import base64
import json
import pathlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

BLOCKS = 3
# where in a block the half-precision numbers are: random bytes there would make infinities
HALVES = {T.F16: [0], T.BF16: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q8_0: [0], T.Q6_K: [208]}


def random_blocks(rng, kind):
    _, size = GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    if kind == T.F32:
        data = rng.standard_normal(BLOCKS).astype(np.float32).view(np.uint8).reshape(BLOCKS, 4)
    for at in HALVES.get(kind, []):
        halves = rng.standard_normal(BLOCKS).astype(np.float16)
        data[:, at : at + 2] = halves.view(np.uint8).reshape(BLOCKS, 2)
    return data


def main():
    rng = np.random.default_rng(7)
    recorded = {}
    for kind in [T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q8_0, T.Q6_K]:
        data = random_blocks(rng, kind)
        numbers = dequantize(data.reshape(1, -1), kind).astype(np.float32)
        recorded[kind.name] = {
            "id": int(kind),
            "bytes": base64.b64encode(data.tobytes()).decode(),
            "float32": base64.b64encode(numbers.tobytes()).decode(),
        }
    path = pathlib.Path(__file__).parent / "recorded" / "dequantise.json"
    path.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
