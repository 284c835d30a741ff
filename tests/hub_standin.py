"""A small stand-in of the Hugging Face hub's HTTP interface, as far as huggingface_hub uses it for models.

It checks what it is given (token, sizes, hashes of uploaded bytes) and can be told to misbehave by ``faults``:
``{"create": 500}`` answers any request of that kind with that status, ``{"commit": "other bytes"}`` keeps others than
were sent, ``{"bytes": ...}`` sends ``"others"``, or nothing (``"cut"``), or half and then the rest (``"cut once"``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import torch

from exphil import assemble
from exphil.config.layers import jsonable, resolve
from exphil.data import baselines
from exphil.features.players import Registry
from exphil.train import checkpoint
from exphil.train.runfiles import RunFiles

HISTORY = ((3.0, 2.5), (2.0, 2.25))
OWNER, TOKEN = "me", "hf_standin_token"
KINDS = {  # kind of request -> its method and path
    "create": r"POST /api/repos/create",
    "page": r"POST /api/validate-yaml",
    "info": r"GET /api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?",
    "preupload": r"POST /api/models/(?P<repo>[^/]+/[^/]+)/preupload/main",
    "batch": r"POST /(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch",
    "upload": r"PUT /objects/(?P<oid>[0-9a-f]{64})",
    "verify": r"POST /verify/(?P<oid>[0-9a-f]{64})",
    "commit": r"POST /api/models/(?P<repo>[^/]+/[^/]+)/commit/main",
    "bytes": r"(GET|HEAD) /(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)",
}


def write_policy(folder: Path, name: str, **options: str) -> Path:
    """The files of a tiny run that knows the styles of two players; options are flags of ``exphil train``."""
    flags = {"backbone": "gru", "temporal": True, "hidden": "8", "num_layers": "1", "seed": "7", "name": name} | options
    settings = resolve("train", {f"--{flag.replace('_', '-')}": value for flag, value in flags.items()}, {})
    codec, config = assemble.codec(settings), jsonable(settings.flat())
    torch.manual_seed(7)
    weights = assemble.policy(settings, codec).state_dict()
    history = [{"epoch": at, "train": a, "validation": b} for at, (a, b) in enumerate(HISTORY, 1)]
    presses = np.zeros((50, len(codec.classes)), np.int64)
    run = {"name": name, "seed": 7, "updates": 12, "epochs_done": 2}
    words: dict[str, Any] = {
        "config": config,
        "fingerprint": assemble.table(settings).fingerprint,
        "baselines": baselines.fit([(presses, presses)], codec),
        "training": {**run, "frames": 2e3, "history": history, "learned": ["a", "b"], "held_out": ["c"]},
        "players": Registry.build(["MANG#0", "ZAIN#0"], 4).as_dict(),
        "actions": codec.as_dict(),
    }
    known = {"character_distribution": {"fox": 1000}, "total_time_seconds": 1800, "replay_manifest_hash": "sha256:abc"}
    files = RunFiles(folder / f"{name}.pt")
    checkpoint.save_snapshot(files.snapshot, {"policy": weights, **words})
    checkpoint.save_policy(files.policy, checkpoint.PolicyFile(weights, **words))
    checkpoint.save_json(files.page, {**config, **run, **known, "player_styles": {"MANG#0": 1}})
    return files.policy


@contextmanager
def asked_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The server, asked by huggingface_hub in this process with the owner's token.

    The library reads its environment once, when it is imported; whoever did that before may have had another one.
    """
    from huggingface_hub import close_session, constants

    server = Hub()
    files = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    here = {"ENDPOINT": server.url, "HUGGINGFACE_CO_URL_TEMPLATE": files, "HF_TOKEN_PATH": "/nonexistent/token"}
    for name, value in {**here, "HF_HUB_DISABLE_XET": True}.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    try:
        yield server
    finally:
        close_session()
        server.close()


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repo:
    """Its commits, newest last: hash and files; ``lfs`` says which names are kept by sha256."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)  # what it says of a file, other than the truth

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        found = [commit for commit in self.commits if commit[0] == revision]
        return (found or self.commits[-1:] or [None])[0] if found or revision == "main" else None

    def put(self, files: dict[str, bytes]) -> str:
        now = {**(self.commits[-1][1] if self.commits else {}), **files}
        commit = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits.append((commit, now))
        return commit


class Hub:
    """The server; ``repos`` by USER/NAME, ``asked`` the kinds of requests so far, ``faults`` what goes wrong."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.faults: dict[str, Any] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """End it; a second time does nothing."""
        if not self.thread.is_alive():
            return
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def holding(self, repo: str, files: dict[str, bytes], *, private: bool = False) -> Repo:
        """A repository with these files."""
        self.repos[repo] = Repo(private)
        self.repos[repo].put(files)
        return self.repos[repo]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def do(self) -> None:
        body = self.read_body()
        path = unquote(urlsplit(self.path).path)
        for kind, form in KINDS.items():
            if found := re.fullmatch(form, f"{self.command} {path}"):
                self.hub.asked.append(kind)
                if isinstance(status := self.hub.faults.get(kind), int):
                    self.refuse(status, "Broken", "\x1b[31mbroken")
                else:
                    getattr(self, f"on_{kind}")(body, **found.groupdict())
                return
        self.refuse(404, "", f"the stand-in does not know {self.command} {path}")

    do_GET = do_POST = do_PUT = do_HEAD = do  # noqa: N815 (the server's names)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    @property
    def is_owner(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, text: str) -> None:
        self.answer({"error": text}, status, X_Error_Code=code, X_Error_Message=text.replace("\x1b", "?"))

    def seen(self, name: str, *, writes: bool = False) -> Repo | None:
        """The repository, if whoever asks may see it (or write there); else it is refused."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self.is_owner):
            self.refuse(404 if self.is_owner else 401, "RepoNotFound", "Repository not found")
            return None
        if writes and not (self.is_owner and name.startswith(f"{OWNER}/")):
            self.refuse(403, "", "you have no right to write here")
            return None
        return repo

    def on_create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if not self.is_owner:
            self.refuse(401, "", "Invalid username or password.")
        elif asked["organization"] != OWNER:
            self.refuse(403, "", "you have no right to make a repository there")
        elif name in self.hub.repos:
            self.refuse(409, "", "You already created this model repo")
        else:
            self.hub.repos[name] = Repo(asked.get("visibility") == "private")
            self.answer({"url": f"{self.hub.url}/{name}"})

    def on_page(self, body: bytes) -> None:
        text = json.loads(body)["content"]
        fine = re.match(r"---\nlibrary_name: exphil\n(.+\n)*---\n", text)
        words = {"errors": [] if fine else [{"message": "no"}], "warnings": [{"message": "no license"}]}
        self.answer(words, 200 if fine else 400)

    def on_info(self, body: bytes, repo: str, revision: str | None) -> None:
        if (found := self.seen(repo)) is None:
            return
        at = found.at(revision or "main") if found.commits else ("0" * 40, {})
        if at is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        rows = []
        for name, content in at[1].items():
            row: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_hash(content)}
            if name.endswith(".safetensors"):
                row["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            rows.append(row | found.told.get(name, {}))
        library = re.search(rb"^library_name: (\w+)$", at[1].get("README.md", b""), re.M)
        words = {"id": repo, "modelId": repo, "sha": at[0], "private": found.private, "tags": [], "siblings": rows}
        self.answer(words | ({"library_name": library[1].decode()} if library else {}))

    def on_preupload(self, body: bytes, repo: str) -> None:
        if (found := self.seen(repo, writes=True)) is None:
            return
        now = found.commits[-1][1] if found.commits else {}
        rows = []
        for file in json.loads(body)["files"]:
            large, old = file["path"].endswith(".safetensors"), now.get(file["path"])
            oid = None if old is None else hashlib.sha256(old).hexdigest() if large else git_hash(old)
            row = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}
            rows.append(row)
        self.answer({"files": rows})

    def on_batch(self, body: bytes, repo: str) -> None:
        if self.seen(repo, writes=True) is None:
            return
        rows = []
        for row in json.loads(body)["objects"]:
            ways = {"upload": {"href": f"{self.hub.url}/objects/{row['oid']}"},
                    "verify": {"href": f"{self.hub.url}/verify/{row['oid']}"}}  # fmt: skip
            rows.append(row if row["oid"] in self.hub.objects else row | {"actions": ways})
        self.answer({"transfer": "basic", "objects": rows})

    def on_upload(self, body: bytes, oid: str) -> None:
        fits = hashlib.sha256(body).hexdigest() == oid
        if fits:
            self.hub.objects[oid] = body
        self.answer(b"", 200 if fits else 400)

    def on_verify(self, body: bytes, oid: str) -> None:
        asked = json.loads(body)
        fits = asked["oid"] == oid and len(self.hub.objects[oid]) == asked["size"]
        self.answer({}, 200 if fits else 400)

    def on_commit(self, body: bytes, repo: str) -> None:
        if (found := self.seen(repo, writes=True)) is None:
            return
        files = {}
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[line["value"]["path"]] = self.hub.objects[line["value"]["oid"]]
        if self.hub.faults.get("commit") == "other bytes":
            files = {name: content + b" " for name, content in files.items()}
        commit = found.put(files)
        self.answer({"commitUrl": f"{self.hub.url}/{repo}/commit/{commit}", "commitOid": commit, "success": True})

    def on_bytes(self, body: bytes, repo: str, revision: str, file: str) -> None:
        found = self.seen(repo)
        at = found.at(revision) if found else None
        if at is None or file not in at[1]:
            if found:
                self.refuse(404, "EntryNotFound", "Entry not found")
            return
        fault, content = self.hub.faults.get("bytes"), at[1][file]
        etag = hashlib.sha256(content).hexdigest() if file.endswith(".safetensors") else git_hash(content)
        if fault == "others" and file.endswith(".safetensors"):
            content = content[:-1] + bytes([content[-1] ^ 1])
        first = int((re.match(r"bytes=(\d+)-", self.headers.get("Range") or "") or [0, 0])[1])
        whole = content[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        told = {
            "Content-Length": len(whole),
            "ETag": f'"{etag}"',
            "X-Repo-Commit": at[0],
            "X-Linked-Size": len(content),
        }
        for name, value in told.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            cut = fault in ("cut once", "cut") and file.endswith(".safetensors")
            self.wfile.write(whole[: len(whole) // 2 if fault == "cut once" else 0] if cut else whole)
            if cut:
                self.close_connection = True
                self.hub.faults = {} if fault == "cut once" else self.hub.faults
