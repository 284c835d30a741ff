"""Where replays come from: folders, files, compressed files, members of archives.

``find`` turns a place into a list of ``Source``s without unpacking anything; ``read_all`` turns them into bytes, each
archive opened once and each solid block unpacked once, one replay in memory at a time. A bad file, a hostile archive, a
file that vanishes: each costs an entry in ``Found.refused`` or one ``ReplayError``, never the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path, PurePosixPath

from exphil.errors import DataError, ReplayError
from exphil.replays import archive
from exphil.replays.unpack import MAX_REPLAY_BYTES, failure, read_file

WHERE_TO_GET = (
    "Slippi Dolphin saves your games in its replay folder; public sets exist on Hugging Face and in the Slippi "
    "Discord; name the folder they are in (--replays FOLDER in training) or set EXPHIL_REPLAYS_DIR"
)
"""What to do when there is nothing to read."""


@dataclass(frozen=True)
class Source:
    """One replay: a plain or compressed file, or a member of an archive. Its text is what messages show."""

    path: Path
    """The file on disk."""
    member: str | None = None
    """The name inside the archive."""
    claimed: int | None = field(default=None, compare=False, repr=False)
    """Bytes of the member, as the archive claims."""

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    def __lt__(self, other: Source) -> bool:
        return self._place < other._place

    @property
    def _place(self) -> tuple[str, str]:
        return self.path.as_posix(), self.member or ""

    @property
    def name(self) -> str:
        """The file's own name, without folders."""
        return self.path.name if self.member is None else self.member.replace("\\", "/").rpartition("/")[2]

    @property
    def stamp(self) -> tuple[int, int]:
        """Bytes and time of change (in nanoseconds) of the file on disk: while they stay, so does what is in it.

        Raises:
            ReplayError: the file cannot be looked at.
        """
        try:
            found = self.path.stat()
        except OSError as error:
            raise failure(error, str(self)) from error
        return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Refused:
    """A folder, archive, file or member that is left out, and why."""

    where: str
    reason: str
    """Half a sentence whose subject is ``where``."""
    fix: str = ""
    """What the reader can do; empty when there is nothing."""

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" + (f" ({self.fix})" if self.fix else "")


@dataclass(frozen=True)
class Found:
    """What ``find`` found."""

    sources: list[Source]
    refused: list[Refused]
    """Nothing of an archive or folder that ``max_files`` made needless to look into."""


def find(place: Path, max_files: int | None = None, max_bytes: int = MAX_REPLAY_BYTES) -> Found:
    """Every replay in a folder and the folders below it, in an archive, or the one file itself.

    Links to folders are followed, each folder is read once. Members of archives that are not replays are passed over.

    Args:
        place: A folder, or a file that ends in .slp, .slp.gz, .slp.xz, .zip or .7z.
        max_files: How many to give, the first by path; None for all.
        max_bytes: A replay in an archive that claims more is refused.

    Raises:
        DataError: the place is missing, cannot be listed, is another kind of file, or has no replay that can be read.
    """
    refused: list[Refused] = []
    if place.is_dir():
        paths = _walk(place, refused)
    elif place.is_file() and (archive.is_replay(place.name) or archive.is_archive(place.name)):
        paths = [place]
    else:
        what = (
            f"{place} is neither a folder, a replay nor an archive"
            if os.path.lexists(place)
            else f"no such folder: {place}"
        )
        raise DataError(what, fix=WHERE_TO_GET)
    sources: list[Source] = []
    for path in sorted(paths, key=Path.as_posix):
        if max_files is not None and len(sources) >= max_files:
            break
        sources += _inside(path, max_bytes, refused) if archive.is_archive(path.name) else [Source(path)]
    if sources:
        return Found(sources[:max_files], refused)
    if refused:
        first = refused[0]
        raise DataError(f"no replay in {place} can be read; {first.where}: {first.reason}", fix=first.fix)
    raise DataError(f"no .slp files in {place}", fix=WHERE_TO_GET)


def locate(place: Path) -> Source:
    """The one replay that a path names: a file, ``ARCHIVE/MEMBER``, or an archive with a single replay in it.

    Raises:
        DataError: there is none of that name, or it is a folder or an archive with several.
        ReplayError: the archive cannot be read.
    """
    if place.is_dir():
        raise DataError("is a folder", str(place), f"exphil replays scan {place} lists what is in it")
    path = next((path for path in (place, *place.parents) if archive.is_archive(path.name) and path.is_file()), None)
    if path is None:
        if not os.path.lexists(place):
            raise DataError(f"no such file: {place}")
        return Source(place)
    with archive.open_archive(path) as opened:
        members = {PurePosixPath(member.name.replace("\\", "/")).as_posix(): member.name for member in opened.members}
    asked = place.relative_to(path).as_posix()
    if asked in members:
        return Source(path, members[asked])
    if asked == "." and len(members) == 1:
        return Source(path, next(iter(members.values())))
    listed = f"exphil replays scan {path} lists the {len(members)} replays in it"
    if asked == ".":
        what = "is an archive; name one of its replays" if members else "is an archive without replays"
        raise DataError(what, str(path), f"{listed}, such as {path / min(members)}" if members else "")
    near = get_close_matches(asked, members, 1)
    raise DataError(f"has no replay {asked}", str(path), f"did you mean {near[0]}? {listed}" if near else listed)


def _walk(top: Path, refused: list[Refused]) -> list[Path]:
    """The replays and archives below a folder, in no order."""
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [top], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop()  # a folder is known by its own name rather than by a link's
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            if folder is top:
                raise DataError(f"cannot be listed ({error.strerror})", str(folder)) from error
            refused.append(Refused(str(folder), f"cannot be listed ({error.strerror})"))
            continue
        for entry in listed:
            path = folder / entry.name
            if _is(entry, "dir"):
                (links if entry.is_symlink() else folders).append(path)
            elif archive.is_replay(entry.name) or archive.is_archive(entry.name):
                if _is(entry, "file"):
                    found.append(path)
                else:  # reading a pipe or a device may never end
                    refused.append(Refused(str(path), "is a broken link" if entry.is_symlink() else "is no plain file"))
    return found


def _is(entry: os.DirEntry[str], kind: str) -> bool:
    try:
        return entry.is_dir() if kind == "dir" else entry.is_file()
    except OSError:  # a link to itself
        return False


def _inside(path: Path, max_bytes: int, refused: list[Refused]) -> list[Source]:
    try:
        with archive.open_archive(path, max_bytes) as opened:
            members = opened.members
    except ReplayError as error:
        refused.append(Refused(str(path), error.what, error.fix))
        return []
    bad = [member for member in members if member.refusal]
    if len(bad) == len(members) and len({member.refusal for member in bad}) == 1:  # as when all is encrypted
        refused.append(Refused(str(path), f"every replay in it {bad[0].refusal}"))
    else:
        refused += [Refused(f"{path}/{_readable(member.name)}", member.refusal) for member in bad]
    return sorted(Source(path, member.name, member.size) for member in members if not member.refusal)


def _readable(name: str) -> str:
    text = name if name.isprintable() else ascii(name)[1:-1]
    return text if len(text) <= 200 else text[:200] + "…"


def heads_are_cheap(source: Source) -> bool:
    """Whether the beginning of this replay can be had without the rest; not in a 7z, where it is packed with others."""
    return source.member is None or not archive.is_solid(source.path.name)


def read(source: Source, max_bytes: int = MAX_REPLAY_BYTES) -> bytes:
    """The bytes of one replay. Of a 7z everything before it in its block is unpacked too: for many, ``read_all``.

    Raises:
        ReplayError: there are none: missing, damaged, refused or too large.
    """
    return _only(_each([source], None, max_bytes))


def read_head(source: Source, count: int) -> bytes:
    """The first ``count`` bytes of one replay, fewer if it is shorter; see ``heads_are_cheap``.

    Raises:
        ReplayError: as ``read`` does, as far as the beginning shows it.
    """
    return _only(_each([source], count, MAX_REPLAY_BYTES))


def _only(answers: Iterator[tuple[Source, bytes | ReplayError]]) -> bytes:
    ((_, answer),) = answers
    if isinstance(answer, ReplayError):
        raise answer
    return answer


def read_all(
    sources: Iterable[Source], max_bytes: int = MAX_REPLAY_BYTES
) -> Iterator[tuple[Source, bytes | ReplayError]]:
    """Every source with its bytes, or with the reason why there are none; one replay in memory at a time.

    They come in the order given, except that a run of members of one 7z comes in that archive's own order, in which
    each of its blocks is unpacked once. Nothing is read ahead, no thread is started: leaving early closes the file.

    Args:
        sources: What to read. Members of one archive should stand together: each run of them opens it once.
        max_bytes: A replay that is larger is refused as soon as it shows.
    """
    return _each(sources, None, max_bytes)


def read_heads(sources: Iterable[Source], count: int) -> Iterator[tuple[Source, bytes | ReplayError]]:
    """``read_all`` for the first ``count`` bytes of each: an archive with many members is opened once for all."""
    return _each(sources, count, MAX_REPLAY_BYTES)


def _each(sources: Iterable[Source], count: int | None, max_bytes: int) -> Iterator[tuple[Source, bytes | ReplayError]]:
    for path, run in groupby(sources, key=lambda source: source.path):
        if archive.is_archive(path.name):
            yield from _members(path, list(run), count, max_bytes)
            continue
        for source in run:
            try:
                answer: bytes | ReplayError = read_file(path, count, max_bytes)
            except ReplayError as error:
                answer = error
            yield source, answer


def _members(
    path: Path, run: list[Source], count: int | None, max_bytes: int
) -> Iterator[tuple[Source, bytes | ReplayError]]:
    wanted: dict[str, list[Source]] = {}
    for source in run:
        wanted.setdefault(source.member or "", []).append(source)
    try:
        opened = archive.open_archive(path, max_bytes)
    except ReplayError as error:
        for source in run:
            yield source, ReplayError(error.what, str(source), error.fix)
        return
    with opened:
        for name, answer in opened.read(wanted, count):
            for source in wanted[name]:
                yield source, answer
