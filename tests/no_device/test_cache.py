"""The disk cache: whole files or none, the user's alone, bounded, and never in the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from numfuse.runtime.cache import DiskCache, default_directory

KEY = "0" * 64


def test_store_and_load(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "deep" / "kernels")
    assert cache.load(KEY) is None
    cache.store(KEY, b"code\n\0more", "gelu", "cpu")
    assert cache.load(KEY) == b"code\n\0more"
    (entry,) = cache.entries()
    assert (entry.name, entry.target) == ("gelu", "cpu")
    assert stat.S_IMODE((tmp_path / "deep" / "kernels").stat().st_mode) == 0o700
    assert cache.clear() == 1 and cache.load(KEY) is None


@pytest.mark.parametrize("damage", ["empty", "half", "last byte", "first byte", "other magic"])
def test_damaged_files_are_dropped(tmp_path: Path, damage: str) -> None:
    cache = DiskCache(tmp_path)
    cache.store(KEY, b"x" * 1000, "gelu", "cpu")
    content = (tmp_path / KEY).read_bytes()
    damaged = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "last byte": content[:-1] + b"y",
        "first byte": b"N" + content[1:],
        "other magic": content.replace(b"kernel 1", b"kernel 9"),
    }[damage]
    (tmp_path / KEY).write_bytes(damaged)
    assert cache.load(KEY) is None
    assert not (tmp_path / KEY).exists()


def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=5000)
    for number in range(10):
        cache.store(f"{number:064}", b"x" * 800, "gelu", "cpu")
        os.utime(tmp_path / f"{number:064}", (number, number)) if (tmp_path / f"{number:064}").exists() else None
    assert sum(entry.nbytes for entry in cache.entries()) <= 5000
    assert cache.load(f"{9:064}") is not None and cache.load(f"{0:064}") is None


def test_a_folder_that_cannot_be_made_is_told_once_and_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = DiskCache(tmp_path / "file" / "kernels")
    with pytest.warns(RuntimeWarning, match="NUMFUSE_CACHE_DIR"):
        cache.store(KEY, b"code", "gelu", "cpu")
    cache.store(KEY, b"code", "gelu", "cpu")
    assert cache.load(KEY) is None and cache.entries() == []


def test_a_full_disk_is_told_and_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DiskCache(tmp_path)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        cache.store(KEY, b"code", "gelu", "cpu")
    assert list(tmp_path.iterdir()) == []


def test_an_open_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    DiskCache(folder).store(KEY, b"code", "gelu", "cpu")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMFUSE_CACHE_DIR", str(tmp_path / "here"))
    assert default_directory() == tmp_path / "here" / "kernels"
    monkeypatch.delenv("NUMFUSE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_directory() == tmp_path / "xdg" / "numfuse" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_directory() == tmp_path / "home" / ".cache" / "numfuse" / "kernels"


def fill(folder: str, seed: int) -> None:
    cache = DiskCache(Path(folder), limit=40_000)
    for number in range(60):
        key = f"{number:064}"
        code = bytes([number]) * 1000
        found = cache.load(key)
        assert found in (None, code)
        if found is None:
            cache.store(key, code, "gelu", "cpu")


def test_eight_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=fill, args=(str(tmp_path), seed)) for seed in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert not list(tmp_path.glob(".new-*"))


def test_a_writer_that_is_killed_leaves_nothing_half_done(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from numfuse.runtime.cache import DiskCache\n"
            "cache = DiskCache(Path(sys.argv[1]))\n"
            "while True:\n    cache.store('1' * 64, b'z' * 5_000_000, 'gelu', 'cpu')",
            str(tmp_path),
        ]
    )
    try:
        deadline = time.time() + 20
        while not any(tmp_path.iterdir()) and time.time() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert DiskCache(tmp_path).load("1" * 64) in (None, b"z" * 5_000_000)
