"""`make fuzz N=20000`: programs by graph evaluation and as plain Python, 3 in 20 of them as many compiled on the CPU, 1 in 100 in the simulator.

Each worker is a process, with a kernel cache of its own that is gone afterwards; it draws from the seed and its number. What is wrong is
printed as a script, cut down, and makes the exit code 1. Every other program is compiled by another schedule than the model's, each in turn.
"""

from __future__ import annotations

import argparse
import gc
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.fuzz.campaign import Campaign

PARTS = {"graph,python": 1.0, "cpu": 0.15, "cudasim": 0.01}


def work(backends: str, count: int, seed: int, result: Path) -> None:
    """What one worker does: a campaign, kept in the file `result`; how far it is, and with which program, stands in `result.progress`."""
    from tests.fuzz.campaign import run

    warnings.simplefilter("ignore")
    gc.freeze()  # each trace asks who refers to some arrays
    progress = result.with_suffix(".progress")
    simulated = backends == "cudasim"
    campaign = run(
        count,
        tuple(backends.split(",")),
        seed,
        8 if simulated else 30,
        not simulated,
        lambda done, program: progress.write_text(f"{done}\n{program.reproducer()}") and None,
        show,
    )
    result.write_bytes(pickle.dumps(campaign))


def show(wrong: str, script: str) -> None:
    print(f"\n# {wrong}\n{script}", flush=True)


def campaign_of(backends: str, count: int, seed: int, workers: int) -> Campaign:
    """All workers on one kind of backend."""
    whole = Campaign()
    with tempfile.TemporaryDirectory() as folder:
        shares = [count // workers + (worker < count % workers) for worker in range(workers)]
        running = [
            (_worker(backends, share, seed * 1000 + worker, Path(folder) / f"{worker}"), Path(folder) / f"{worker}")
            for worker, share in enumerate(shares)
            if share
        ]
        while any(process.poll() is None for process, _ in running):
            time.sleep(1)
            done = sum(int(_progress(result)[0] or 0) for _, result in running)
            print(f"\r{backends}: {done} of {count}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        for process, result in running:
            if process.returncode:  # the compiler stopped the process, say: what it had compared is lost
                whole.findings.append((f"a worker ended with {process.returncode}", _progress(result)[1]))
                show(*whole.findings[-1])
            else:
                whole.add(pickle.loads(result.read_bytes()))
    return whole


def _worker(backends: str, count: int, seed: int, result: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "NUMFUSE_CACHE_DIR": f"{result}-cache", "PYTHONHASHSEED": "0"}
    if backends == "cudasim":
        environment["NUMBA_ENABLE_CUDASIM"] = "1"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz", "--worker", backends, str(count), str(seed), str(result)], env=environment
    )


def _progress(result: Path) -> tuple[str, str]:
    """How many programs a worker has compared, and the one that it is at."""
    try:
        done, _, program = result.with_suffix(".progress").read_text().partition("\n")
    except OSError:
        return "", ""
    return done, program


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument(
        "count", type=int, nargs="?", default=2000, help="programs by graph evaluation and as plain Python"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=list(PARTS), help="one kind of backend alone")
    parser.add_argument("--worker", nargs=4, metavar=("BACKENDS", "COUNT", "SEED", "RESULT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        backends, count, seed, result = given.worker
        return work(backends, int(count), int(seed), Path(result))
    wrong = 0
    for backends, share in PARTS.items():
        count = round(given.count * share)
        if not count or given.only not in (None, backends):
            continue
        campaign = campaign_of(backends, count, given.seed, given.workers)
        print(f"\n== {backends}\n{campaign.table()}\n")
        wrong += len(campaign.findings)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
