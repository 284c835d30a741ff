"""Sharing on the Hugging Face hub: the only place that imports huggingface_hub. No torch.

``push`` takes a folder of ``train.card`` to a repository in one commit and reads back what the hub holds then.
``offered`` asks what a repository holds, ``fetch`` brings the policy into a folder. Token and address are the ones that
every tool of the hub uses (``hf auth login``, ``HF_TOKEN``, ``HF_ENDPOINT``).

What comes from a repository is a stranger's: two files with fixed names are read and nothing else, no code runs, bytes
are compared with what the hub says of them, and a file gets its name only after ``check`` took it. What can go wrong:
a place that is spelled wrong or is not there, no token or no right, no network, a repository of something else, a file
that is too large or differs from what was announced. Nothing half written is left.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exphil import __version__
from exphil.errors import ExphilError, OptionError, OutputError, PolicyError, extra
from exphil.files import write
from exphil.train import card
from exphil.train.described import header

_PLACE = re.compile(r"hf:(?P<user>[\w.-]+)/(?P<name>[\w.-]+)(@(?P<revision>[\w./-]+))?", re.ASCII)
_LONGEST_PLACE = 96  # letters of USER/NAME, as the hub has it
MOST_BYTES = 8 << 30
"""Of a policy that is fetched."""
_MOST_CONFIG = 1 << 20  # bytes
_PULL_OTHER = "choose another --checkpoints-dir, or move it away"


@dataclass(frozen=True)
class Place:
    """A repository of the hub; ``revision`` is a branch, a tag or a commit of it, None its newest state."""

    user: str
    name: str
    revision: str | None = None

    @staticmethod
    def of(word: str, *, revisions: bool) -> Place:
        """The place that a word of the command line names.

        Args:
            word: ``hf:USER/NAME``, or ``hf:USER/NAME@REVISION``.
            revisions: Whether a revision may be named.

        Raises:
            OptionError: it is spelled in another way.
        """
        found = _PLACE.fullmatch(word)
        form = "hf:USER/NAME or hf:USER/NAME@REVISION" if revisions else "hf:USER/NAME"
        if found is None or not all(map(_speakable, found.groupdict().values())):
            fix = f"write {form}; names hold letters, digits, . _ and -, and begin and end with none of . and -"
            raise OptionError(f"'{word}' is no place on the Hugging Face hub", fix=fix)
        place = Place(**found.groupdict())
        if len(place.repository) > _LONGEST_PLACE:
            raise OptionError(f"'{word}' is longer than the {_LONGEST_PLACE} letters that the hub allows")
        if place.revision is not None and not revisions:
            raise OptionError(f"'{word}' names a revision: what is shared becomes the newest", fix=f"write {form}")
        return place

    @property
    def repository(self) -> str:
        """``USER/NAME``."""
        return f"{self.user}/{self.name}"

    def __str__(self) -> str:
        return f"hf:{self.repository}{'' if self.revision is None else f'@{self.revision}'}"


def _speakable(part: str | None) -> bool:
    ends = part is None or not (part[0] in ".-/" or part[-1] in ".-/")
    return ends and not any(pair in (part or "") for pair in ("..", "--", "//"))


@dataclass(frozen=True)
class Shared:
    """What the hub holds of a policy: where, in which commit, and its bytes by hash and number."""

    place: Place
    url: str
    commit: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Offer:
    """What a repository holds: ``config`` is what its ``config.json`` says, the rest as the hub tells it."""

    place: Place
    commit: str
    size_bytes: int
    config: Mapping[str, Any]
    _listed: Any

    def is_file(self, path: Path) -> bool:
        """Whether a file has the bytes that are offered."""
        return path.is_file() and path.stat().st_size == self.size_bytes and _same(path, self._listed)


def _hub() -> Any:
    hub = extra("huggingface_hub", "hub", "sharing policies")
    for part in ("errors", "utils"):  # they are no part of it until they are imported
        extra(f"huggingface_hub.{part}", "hub", "sharing policies")
    hub.utils.disable_progress_bars()
    hub.utils.logging.set_verbosity_error()  # what goes wrong is told once, as an error of ours
    return hub


def _api(hub: Any) -> Any:
    return hub.HfApi(library_name=card.LIBRARY, library_version=__version__)


def push(folder: Path, place: Place, message: str, *, private: bool) -> Shared:
    """Take a folder of ``train.card`` to the hub, in one commit.

    Args:
        folder: It holds ``config.json``, ``model.safetensors`` and ``README.md``; other files stay here.
        place: Where to; a repository that is not there is made.
        message: Of the commit.
        private: Whether only its owner sees a repository that is made.

    Raises:
        ExphilError: no token, no right, no network.
        OutputError: the repository holds something else, or is public and should not be; or the hub holds other bytes
            afterwards.
    """
    hub = _hub()
    api = _api(hub)
    if hub.get_token() is None:
        raise ExphilError("no token of the Hugging Face hub", fix="hf auth login, or set HF_TOKEN")
    with _asked(hub, str(place)):
        _make_ready(hub, api, place, private)
        adds = [
            hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(folder / name))
            for name in (card.CONFIG, card.MODEL, card.README)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the hub wishes for more words on a page
            made = api.create_commit(place.repository, adds, commit_message=message)
        listed = _listed(api, Place(place.user, place.name, made.oid))
    held = listed[1].get(card.MODEL)
    path = folder / card.MODEL
    if held is None or held.size != path.stat().st_size or not _same(path, held):
        what = f"the hub holds other bytes of {card.MODEL} than were sent (commit {made.oid})"
        raise OutputError(what, str(place), "push it again; until then nobody should pull it")
    return Shared(place, f"{api.endpoint}/{place.repository}", made.oid, card.sha256(path), held.size)


def _make_ready(hub: Any, api: Any, place: Place, private: bool) -> None:
    """Make the repository; one that is there must be one of ours and no more public than was asked for."""
    try:
        info = api.model_info(place.repository)
    except hub.errors.RepositoryNotFoundError:
        api.create_repo(place.repository, private=private or None)
        return
    if private and not info.private:
        fix = "make it private in its settings on the hub, choose another name, or leave out --private"
        raise OutputError("this repository is there already and public", str(place), fix)
    taken = {found.rfilename for found in info.siblings or ()} & {card.CONFIG, card.MODEL}
    if taken and info.library_name != card.LIBRARY:
        what = f"this repository holds something else than a policy of exphil ({', '.join(sorted(taken))})"
        raise OutputError(what, str(place), "choose another name")


def _listed(api: Any, place: Place) -> tuple[str, dict[str, Any]]:
    """The commit of a revision, and what the hub knows of its files, by name."""
    info = api.model_info(place.repository, revision=place.revision, files_metadata=True)
    return str(info.sha), {found.rfilename: found for found in info.siblings or ()}


def _same(path: Path, listed: Any) -> bool:
    """Whether a file has the hash that the hub tells: of its bytes, or git's of a small file."""
    if listed.lfs is not None:
        return card.sha256(path) == str(listed.lfs.sha256)
    size = path.stat().st_size
    total = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)  # git's name of a file's content
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest() == str(listed.blob_id)


def offered(place: Place) -> Offer:
    """Ask what a repository holds, and read its ``config.json``.

    Raises:
        ExphilError: no network, or there is no such place for this token.
        PolicyError: it holds no policy of exphil, one of another version, or one that is too large.
    """
    hub = _hub()
    api = _api(hub)
    with _asked(hub, str(place)), tempfile.TemporaryDirectory(prefix="exphil-") as scratch:
        commit, listed = _listed(api, place)
        for name, most in ((card.MODEL, MOST_BYTES), (card.CONFIG, _MOST_CONFIG)):
            if name not in listed:
                raise PolicyError(f"holds no policy of exphil: no {name}", str(place), "name one that exphil push made")
            size = listed[name].size
            if not isinstance(size, int) or size > most:
                told = f"{size:,} bytes" if isinstance(size, int) else "of unknown size"
                raise PolicyError(f"{name} is {told}; at most {most:,} are fetched", str(place))
        path = _brought(api, place, commit, listed[card.CONFIG], Path(scratch))
        config = _read_config(path, str(place))
    return Offer(place, commit, listed[card.MODEL].size, config, listed[card.MODEL])


def _read_config(path: Path, where: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("library_name") != card.LIBRARY:
        raise PolicyError("holds a model of something else than exphil", where, "name one that exphil push made")
    if found.get("card") != card.VERSION:
        what = f"shared as version {str(found.get('card'))[:20]!r}; this exphil ({__version__}) knows {card.VERSION}"
        raise PolicyError(what, where, "install the newest exphil")
    if not (isinstance(found.get("options"), dict) and isinstance(found.get("fingerprint"), str)):
        raise PolicyError(f"its {card.CONFIG} is damaged", where, "ask its author to push it again")
    return found


def _brought(api: Any, place: Place, commit: str, listed: Any, scratch: Path) -> Path:
    """One file of a commit in a folder, with the bytes that the hub announced.

    Raises:
        PolicyError: the bytes are others.
    """
    path = Path(api.hf_hub_download(place.repository, listed.rfilename, revision=commit, local_dir=scratch))
    if path.stat().st_size != listed.size or not _same(path, listed):
        what = f"{listed.rfilename} came with other bytes than the hub announced; nothing was kept"
        raise PolicyError(what, str(place), "try again; if it stays so, do not trust this place")
    return path


def destination(place: Place, folder: Path) -> Path:
    """Where ``fetch`` writes the policy of a place."""
    return folder / card.file_name(place.repository)


def fetch(offer: Offer, folder: Path, check: Callable[[Path], None]) -> Path:
    """Bring the policy of a repository into a folder.

    Args:
        offer: What ``offered`` found.
        folder: Where to; made when it is missing.
        check: Refuses a file that is no policy of ours, by an ``ExphilError``; its path is a temporary one.

    Returns:
        The policy file, ``USER_NAME_policy.safetensors``; one that is there already with these bytes stays.

    Raises:
        ExphilError: no network.
        OutputError: another file has its name, or the folder cannot be written.
        PolicyError: other bytes than were announced, or no policy.
    """
    hub, path = _hub(), destination(offer.place, folder)
    if offer.is_file(path):
        return path
    if path.exists():
        raise OutputError("another file stands there already", str(path), _PULL_OTHER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=".pull-", dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", str(folder), _PULL_OTHER) from None
    with scratch as name:
        with _asked(hub, str(offer.place)):
            file = _brought(_api(hub), offer.place, offer.commit, offer._listed, Path(name))
        _examine(file, offer.place, check)
        with file.open("rb") as found:
            write(path, lambda out: shutil.copyfileobj(found, out, 1 << 20), _PULL_OTHER)
    return path


def _examine(file: Path, place: Place, check: Callable[[Path], None]) -> None:
    """Refuse a file that is no policy; words that no exphil wrote can make ``check`` fail in any way."""
    try:
        header(file)  # it alone is read of a file that is no policy at all
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(file)
    except ExphilError as error:  # its reader never sees the temporary file that it names
        raise PolicyError(f"{card.MODEL} is refused: {error.what}", str(place), error.fix) from None
    except Exception as error:
        what = f"{card.MODEL} is refused: it does not say what a policy says ({type(error).__name__})"
        raise PolicyError(what, str(place), "ask its author to push it again") from error


@contextmanager
def _asked(hub: Any, where: str) -> Iterator[None]:
    """What the hub refuses, or the way to it, as an error of ours."""
    errors = hub.errors
    try:
        yield
    except ExphilError:
        raise
    except errors.OfflineModeIsEnabled:
        raise ExphilError("HF_HUB_OFFLINE forbids to ask the hub", where, "unset it") from None
    except (errors.LocalTokenNotFoundError, errors.HfHubHTTPError) as error:
        raise _refused(errors, error, where) from None
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.FileMetadataError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, errors.HfHubHTTPError) else None
        raise _refused(errors, cause, where) if cause else _away(error, where) from None
    except OSError as error:
        if error.errno is None:  # of the library: a file that came short
            raise _away(error, where) from None
        raise OutputError(f"cannot be written or read ({error.strerror})", where, "free some space") from None
    except (
        ValueError,
        RuntimeError,
        KeyError,
        TypeError,
    ) as error:  # an upload that broke off, an answer without sense
        cause = error.__cause__ if isinstance(error.__cause__, errors.HfHubHTTPError) else None
        raise _refused(errors, cause, where) if cause else _away(error, where) from None


def _away(error: BaseException, where: str) -> ExphilError:
    told = str(error).strip().partition("\n")[0][:200]
    what = f"the Hugging Face hub did not answer as it should ({type(error).__name__}{f': {told}' if told else ''})"
    return ExphilError(what, where, "look at the network (and at HF_ENDPOINT, if you set it) and try again")


def _refused(errors: Any, error: Any, where: str) -> ExphilError:
    """Why the hub refuses, by its answer."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    told = str(getattr(error, "server_message", None) or "").strip().partition("\n")[0][:200]
    login = "hf auth login, or set HF_TOKEN"
    if isinstance(error, errors.LocalTokenNotFoundError):
        return ExphilError("no token of the Hugging Face hub", where, login)
    if isinstance(error, errors.GatedRepoError):
        return ExphilError("its author asks for more before it is fetched", where, f"see its page on the hub; {login}")
    if isinstance(error, errors.RevisionNotFoundError):
        return ExphilError("there is no such revision", where, "see its history on the hub")
    if isinstance(error, errors.RepositoryNotFoundError):
        what = "there is no such repository, or it is private and this token may not see it"
        return ExphilError(what, where, f"look at the spelling; {login}")
    if status in (401, 403):
        what = f"this token may not do that{f' ({told})' if told else ''}"
        return ExphilError(what, where, f"{login}, with a token that may write there")
    what = f"the Hugging Face hub answers {status or 'nothing'}{f' ({told})' if told else ''}"
    return ExphilError(what, where, "try again later" if status >= 500 or status == 429 else "")
