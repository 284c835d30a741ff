"""An entry for the Computer Melee Championship (UMI): a zip with a policy and all of exphil that it needs to play.

An exported graph and what it declares enter, the zip's bytes leave: ``run.py`` (a direct subclass of ``umi.Bot``, whose
name, characters and delay are plain values, as the arena reads them from the code), ``requirements.txt`` with exact
versions, a ``README.md``, ``policy.onnx``, and those files of exphil that ``run.py`` imports, found by reading imports.
It plays without torch, without a network and without writing anything, from any folder. The same policy gives the same
bytes.

What can go wrong: a library whose version is to be named is not installed (``ExphilError``).
"""

from __future__ import annotations

import ast
import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from string import Template

import exphil
from exphil.errors import ExphilError
from exphil.play.agent import Manner
from exphil.play.licence import LICENCE

START = ("exphil.play.agent", "exphil.play.playable", "exphil.play.umi")
"""What an entry's program imports of exphil."""
MARK = "written by exphil"
"""Stands in the first line of every entry's ``run.py``."""
RUN, GRAPH, REQUIREMENTS, README, LICENSE = "run.py", "policy.onnx", "requirements.txt", "README.md", "exphil/LICENSE"
_NEEDED = {"umi-melee": "umi", "numpy": "umi", "onnxruntime": "export"}
"""Libraries of an entry, and the extra that brings them."""
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_PACKAGE = Path(exphil.__file__).parent
_PROGRAM = Template('''\
"""An entry for the Computer Melee Championship (UMI), $mark $version: python run.py, and UMI_SOCKET names the arena."""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported, so it stands before that
sys.dont_write_bytecode = True

from pathlib import Path

import umi

from exphil.play.agent import Manner
from exphil.play.playable import from_graph
from exphil.play.umi import Desk, Session

MANNER = Manner(
    temperature=$temperature,
    press_threshold=$press_threshold,
    release_threshold=$release_threshold,
    action_repeat=$action_repeat,
)
STYLE = $style


class Entry(umi.Bot):
    name = $name
    characters = $characters
    delay = $delay

    def setup(self, session):
        threads = os.environ["OMP_NUM_THREADS"]
        path = Path(__file__).resolve().parent / "$graph"
        player, learned = from_graph(path, int(threads) if threads.isdecimal() and int(threads) else 1)
        granted = Session(session.delay, session.num_slots, session.rng_seed)
        self.desk = Desk(player, learned, granted, MANNER, STYLE)

    def act(self, batch):
        return umi.Actions(ctrl=self.desk.answer(batch.frames, batch.slots, batch.first))


if __name__ == "__main__":
    umi.serve(Entry())
''')


_ABOUT = Template("""\
# $name

A bot for the Computer Melee Championship (UMI): `pip install -r $requirements`, then `python $run`; UMI_SOCKET names
the arena. It plays $characters at delay $delay, on the processor, needs no network and writes nothing. Tried with
Python $python.

`$graph` is a policy trained with exphil; `exphil/` is the part of exphil $version that plays it (MIT, see `$license`).
""")


def entry(
    graph: bytes,
    *,
    name: str,
    characters: str | tuple[str, ...],
    delay: int,
    manner: Manner = Manner(),  # noqa: B008  (a tuple of numbers)
    style: int = 0,
) -> dict[str, bytes]:
    """The files of an entry by their names in the zip.

    Args:
        graph: What ``models.export`` wrote, with what an agent must know.
        name: Of the bot.
        characters: In UMI's names, see ``play.umi.names``.
        delay: Frames of delay, 0 to 30.
        manner: How decisions follow from what is likely.
        style: Number of the player it plays like.

    Raises:
        ExphilError: a library of an entry is not installed here, so nobody knows its version.
    """
    values = {"name": name, "characters": characters, "delay": delay, "style": style, **manner._asdict()}
    words = {key: repr(value) for key, value in values.items()}
    program = _PROGRAM.substitute(words, mark=MARK, version=exphil.__version__, graph=GRAPH)
    pinned = "".join(f"{library}=={_version(library, extra)}\n" for library, extra in _NEEDED.items())
    who = "all characters" if isinstance(characters, str) else ", ".join(characters)
    about = _ABOUT.substitute(
        {"name": name, "characters": who, "delay": delay, "python": ".".join(map(str, sys.version_info[:2]))},
        requirements=REQUIREMENTS, run=RUN, graph=GRAPH, license=LICENSE, version=exphil.__version__,
    )  # fmt: skip
    files = {RUN: program.encode(), REQUIREMENTS: pinned.encode(), README: about.encode(), GRAPH: graph}
    files[LICENSE] = LICENCE.encode()
    for module in sorted(needed(*START)):
        path = _file(module)
        files[f"exphil/{path.relative_to(_PACKAGE).as_posix()}"] = path.read_bytes()
    return files


def zipped(files: dict[str, bytes]) -> bytes:
    """Files as a zip; the same files give the same bytes, so nothing in it is squeezed (weights hardly can be)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            about = zipfile.ZipInfo(name, _DATE)
            about.external_attr = 0o644 << 16
            about.create_system = 3  # so that the permissions are read; Windows would say something else
            archive.writestr(about, content)
    return out.getvalue()


def is_entry(content: bytes) -> bool:
    """Whether some bytes are an entry that was written here."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return MARK.encode() in archive.read(RUN).partition(b"\n")[0]
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError):
        return False


def needed(*start: str) -> set[str]:
    """Every module of exphil that some modules import, themselves among them: late imports too, types alone not."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        waiting += [module.rpartition(".")[0]] if "." in module else []
        waiting += _imported(ast.parse(_file(module).read_bytes()))
    return found


def _file(module: str) -> Path:
    place = _PACKAGE.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        for name in _named(node):
            if name.partition(".")[0] == "exphil" and _file(name).is_file():
                yield name
        yield from _imported(node)


def _named(node: ast.AST) -> Sequence[str]:
    """What an import may have loaded: of ``from a import b`` both ``a`` and ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _version(library: str, extra: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        what = f"an entry names the version of {library}, which is not installed"
        raise ExphilError(what, fix=f'pip install "exphil[{extra}]"') from None
