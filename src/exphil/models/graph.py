"""What the writer and the reader of an exported policy agree on: its version and the names in its graph. No torch.

``models/export.py`` writes such a file and says what each input and output is; ``play/fast.py`` reads it. Its last
bytes are a check sum, so that no flipped bit makes another policy of it, and no damaged graph reaches a library that
trusts what it is given.
"""

import zlib

FORMAT = 2
ABOUT = "exphil"
"""The entry of the file's metadata that holds a JSON object: ``format`` and what a player must know besides."""
INPUTS = ("floats", "ids", "uniform", "sharpness")
OUTPUTS = ("action", "log_prob", "controller")
STATE, NEXT = "state.", "next."
"""How the names of the state's leaves begin, as they enter and as they leave; their place in the tree follows."""
_SEAL = b"\x72\x14\x0a\x08checksum\x12\x08"
"""Before the eight digits: one more entry of the metadata, as protobuf writes it (field 14 of ONNX's ModelProto)."""


def sealed(graph: bytes) -> bytes:
    """A graph with its check sum."""
    return graph + _SEAL + f"{zlib.crc32(graph):08x}".encode()


def check_seal(graph: bytes) -> None:
    """Compare the check sum.

    Raises:
        ValueError: there is none, or it is another one.
    """
    body = graph[: -len(_SEAL) - 8]
    if sealed(body) != graph:
        raise ValueError("check sum")
