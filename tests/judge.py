"""A reward model that has learnt nothing: the demo model with a score head. Made without torch, which loads slowly."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np

from workbench.jobs.folder import read_json, write_json
from workbench.settings import DEMO


def reward_model(folder: Path, seed: int = 0) -> Path:
    """The demo model as a classifier of one label: one tensor more at the end of its safetensors file."""
    shutil.copytree(DEMO / "model", folder)
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"architectures": ["LlamaForSequenceClassification"], "num_labels": 1})
    data = (folder / "model.safetensors").read_bytes()
    [size] = struct.unpack("<Q", data[:8])
    header, tensors = json.loads(data[8 : 8 + size]), data[8 + size :]
    head = np.random.default_rng(seed).normal(size=(1, config["hidden_size"])).astype(np.float32)
    place = [len(tensors), len(tensors) + head.nbytes]
    header["score.weight"] = {"dtype": "F32", "shape": list(head.shape), "data_offsets": place}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + tensors + head.tobytes())
    return folder
