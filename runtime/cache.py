"""The disk cache: compiled kernels, each in a file of its own, named by what it was made from.

A file is a line of magic, a line of JSON that describes the kernel, a SHA-256 of the rest, and the code. It is written beside its
place and moved there in one step, so that readers see a whole file or none; one that does not match its SHA-256 is dropped and made again.
The directory is the user's alone (mode 0700), since what lies in it is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import stat
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from numfuse.runtime import log

MAGIC = b"numfuse kernel 1\n"
LIMIT = 512 * 2**20
"""Bytes; beyond it the files that were used longest ago go."""


@dataclass(frozen=True)
class Entry:
    """One cached kernel. `used`: when it was last made or loaded, in seconds since 1970."""

    key: str
    name: str
    target: str
    nbytes: int
    used: float


class DiskCache:
    def __init__(self, directory: Path | None, limit: int = LIMIT) -> None:
        self.directory = directory
        self.limit = limit
        self._checked = False
        self._room = 0
        """Bytes that may be written before it is worth looking whether the files are within the limit."""

    # -- reading and writing -----------------------------------------------------------------------------------------

    def load(self, key: str) -> bytes | None:
        """The code under `key`, or None. A damaged file counts as none, and is removed."""
        path = self._path(key)
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        code = _code_of(content)
        if code is None:
            log.message("cache", f"{path} is damaged; it is compiled anew")
            _remove(path)
            return None
        with contextlib.suppress(OSError):  # a read-only cache still serves
            os.utime(path)
        return code

    def store(self, key: str, code: bytes, name: str, target: str) -> None:
        """Keeps `code`; where that fails (a full disk, no permission), warns once and goes on without."""
        path = self._path(key)
        if path is None:
            return
        about = json.dumps({"name": name, "target": target}).encode() + b"\n"
        content = MAGIC + about + hashlib.sha256(about + code).hexdigest().encode() + b"\n" + code
        try:
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                os.replace(temporary, path)
            except BaseException:
                _remove(Path(temporary))
                raise
            self._room -= len(content)
            if self._room < 0:
                self._room = self._shrink() // 16
        except OSError as error:
            self._give_up(f"cannot write to the kernel cache {path.parent}: {error}")

    def entries(self) -> list[Entry]:
        """What is cached, the most recently used first."""
        found = []
        for path in self._files():
            try:
                with path.open("rb") as file:
                    if file.readline() != MAGIC:
                        continue
                    about = json.loads(file.readline())
                status = path.stat()
            except (OSError, ValueError):
                continue
            found.append(
                Entry(path.name, str(about.get("name")), str(about.get("target")), status.st_size, status.st_mtime)
            )
        return sorted(found, key=lambda entry: -entry.used)

    def clear(self) -> int:
        """Removes every cached kernel; returns how many there were."""
        return sum(_remove(path) for path in list(self._files()))

    # -- the directory -----------------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path | None:
        if not self._checked:
            self._checked = True
            self._prepare()
        return None if self.directory is None else self.directory / key

    def _prepare(self) -> None:
        """Makes the directory, and sees that nobody else can put code into it."""
        if self.directory is None:
            self._give_up("no place for the kernel cache: neither NUMFUSE_CACHE_DIR nor XDG_CACHE_HOME nor HOME is set")
            return
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.directory.stat()
            if hasattr(os, "getuid") and status.st_uid != os.getuid():
                self._give_up(f"the kernel cache {self.directory} belongs to another user")
            elif stat.S_IMODE(status.st_mode) & 0o077:
                self.directory.chmod(0o700)
        except OSError as error:
            self._give_up(f"cannot use the kernel cache {self.directory}: {error}")

    def _give_up(self, reason: str) -> None:
        self.directory = None
        warnings.warn(
            f"numfuse: {reason}. Kernels are compiled in each process; set NUMFUSE_CACHE_DIR to a folder of yours to keep them",
            RuntimeWarning,
            stacklevel=2,
        )

    def _files(self) -> Iterator[Path]:
        if self.directory is not None and self.directory.is_dir():
            yield from (path for path in self.directory.iterdir() if not path.name.startswith(".") and path.is_file())

    def _shrink(self) -> int:
        """Removes what was used longest ago, down to nine tenths of the limit; and what writers left when they were killed. Returns the bytes that
        are left below the limit."""
        assert self.directory is not None
        sizes = []
        now = time.time()
        for entry in os.scandir(self.directory):
            try:
                status = entry.stat()
            except OSError:
                continue  # another process removed it
            if entry.name.startswith(".new-"):
                if now - status.st_mtime > 3600:
                    _remove(Path(entry.path))
                continue
            sizes.append((status.st_mtime, status.st_size, entry.path))
        total = sum(size for _, size, _ in sizes)
        if total <= self.limit:
            return self.limit - total
        removed = 0
        for _, size, path in sorted(sizes):
            if total <= self.limit * 0.9:
                break
            removed += _remove(Path(path))
            total -= size
        log.message(
            "cache", f"{self.directory} was beyond {self.limit} bytes; removed the {removed} kernels used longest ago"
        )
        return self.limit - total


def _code_of(content: bytes) -> bytes | None:
    if not content.startswith(MAGIC):
        return None
    about, _, rest = content[len(MAGIC) :].partition(b"\n")
    digest, _, code = rest.partition(b"\n")
    return code if hashlib.sha256(about + b"\n" + code).hexdigest().encode() == digest else None


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def default_directory() -> Path | None:
    """NUMFUSE_CACHE_DIR, else `numfuse` under XDG_CACHE_HOME, else under ~/.cache."""
    given = os.environ.get("NUMFUSE_CACHE_DIR")
    if given:
        return Path(given).expanduser() / "kernels"
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the standard says to ignore a relative one
        return Path(base) / "numfuse" / "kernels"
    try:
        return Path.home() / ".cache" / "numfuse" / "kernels"
    except RuntimeError:
        return None


_default: DiskCache | None = None


def disk_cache() -> DiskCache:
    """The cache of this process."""
    global _default
    if _default is None:
        _default = DiskCache(default_directory())
    return _default


def versions(packages: Sequence[str], functions: Path) -> str:
    """What kernels depend on beside their source: the compilers' versions, and the functions in this folder that kernels call."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    code = hashlib.sha256()
    for file in [*sorted(Path(__file__).parent.glob("*.py")), *sorted(functions.glob("*.py"))]:
        code.update(file.read_bytes())
    return "|".join([*found, code.hexdigest()])
