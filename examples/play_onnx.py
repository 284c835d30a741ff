"""A policy that `exphil export onnx` wrote, played with numpy and onnxruntime alone: `python play_onnx.py NAME.onnx`.

docs/export.md says what the inputs and outputs are, docs/features.md what each of the floats and ids means.
"""

import json
import sys

import numpy as np
import onnxruntime

COMPONENTS = ("A", "B", "X", "Y", "Z", "L", "R", "D-up", "main x", "main y", "C x", "C y", "shoulder")
KINDS = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


class Player:
    """One game; for several at once give every array that many rows (sharpness has none)."""

    def __init__(self, path, seed=0, temperature=1.0):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # one decision is too small to be shared
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.about = json.loads(self.session.get_modelmeta().custom_metadata_map["exphil"])
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.inputs = {given.name: given for given in self.session.get_inputs()}
        self.random = np.random.default_rng(seed)
        # What log-odds are multiplied by before an action is drawn, for each component: 1 draws as learned.
        self.sharpness = np.full(len(COMPONENTS), 1 / temperature, np.float32)
        self.begin()

    def begin(self):
        """A game begins: memory is zeros, but for those parts that the file gives other numbers."""
        self.state = {}
        for name, given in self.inputs.items():
            if name.startswith("state."):
                self.state[name] = np.zeros((1, *given.shape[1:]), KINDS[given.type])
                self.state[name][...] = self.about["fresh"].get(name, 0)

    def decide(self, floats, ids):
        """Floats (F,) and ids (I,) of one frame to a controller: 8 buttons 0 or 1, sticks -1 to 1, shoulder 0 to 1."""
        uniform = self.random.random((1, len(COMPONENTS)), np.float32)
        given = {"floats": floats[None], "ids": ids[None], "uniform": uniform, "sharpness": self.sharpness}
        answers = dict(zip(self.outputs, self.session.run(None, given | self.state), strict=True))
        # What leaves as next.PLACE enters as state.PLACE with the next frame.
        self.state = {name: answers[name.replace("state.", "next.", 1)] for name in self.state}
        return answers["controller"][0]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    player = Player(sys.argv[1])
    frames = np.random.default_rng(1)
    for frame in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
        # Made up: here stand the features of the frame that was just seen, 60 times a second.
        floats = frames.uniform(-1, 1, player.inputs["floats"].shape[1:]).astype(np.float32)
        ids = np.zeros(player.inputs["ids"].shape[1:], np.int64)
        held = player.decide(floats, ids)
        print(frame, " ".join(f"{name}={value:g}" for name, value in zip(COMPONENTS, held, strict=True) if value))
