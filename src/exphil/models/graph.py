"""What the writer and the reader of an exported policy agree on: its version and the names in its graph. No torch.

``models/export.py`` writes such a file and says what each input and output is; ``play/fast.py`` reads it.
"""

FORMAT = 1
ABOUT = "exphil"
"""The entry of the file's metadata that holds a JSON object: ``format`` and what a player must know besides."""
INPUTS = ("floats", "ids", "uniform", "sharpness")
OUTPUTS = ("action", "log_prob", "controller")
STATE, NEXT = "state.", "next."
"""How the names of the state's leaves begin, as they enter and as they leave; their place in the tree follows."""
