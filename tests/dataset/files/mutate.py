"""Read mutated files and print those that give neither structures nor a clear error of one line.

Runs as a separate process: ``python -m tests.dataset.files.mutate FOLDER``, FOLDER with one file of each format.
"""

from __future__ import annotations

import gzip
import logging
import random
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aiida_mlip_autopipec.dataset.files import ReadResult, read_file

MUTATIONS = 200
NASTY = (b"999999999999", b"-1", b"nan", b"1e999", b"\n", b'"', b"\0", b"[" * 3000)
SECONDS, MEGABYTES = 10, 500
"""Limits: processor time (s) for each mutation, memory (MB) for all."""


class TooLongError(BaseException):
    """Not an ``Exception``, because readers catch those as damage."""


def mutate(content: bytes, dice: random.Random) -> bytes:
    """Mutate a file in one to three places."""
    changed = bytearray(content)
    for _ in range(dice.randint(1, 3)):
        start = dice.randrange(len(changed) + 1)
        end = min(len(changed), start + dice.choice([1, 4, 30, 300]))
        how = dice.randrange(7)
        if how == 0 and start < len(changed):
            changed[start] ^= 1 << dice.randrange(8)
        elif how == 1:
            del changed[start:end]
        elif how == 2:
            changed[start:start] = dice.randbytes(dice.choice([1, 4, 30]))
        elif how == 3:
            changed[start:start] = changed[start:end] * dice.choice([1, 2, 50])
        elif how == 4:
            del changed[start:]
        elif how == 5:
            changed[start : start + 1] = dice.choice(
                [b"999999999999", b"-1", b"nan", b"1e999", b"\n", b'"', b"\0", b"[" * 3000]
            )
        else:
            changed[start:end] = b"\xff" * (end - start)
    return bytes(changed)


def outcome(path: Path) -> str | None:
    """Return the fault in the result of reading a file, or None."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        result = read_file(path)
        return None if _finite(result) else "accepted numbers that are not finite"
    except (ValueError, OSError) as error:
        text = str(error)
        if "\n" in text or not text.startswith(str(path)) or len(text) > 1000:
            return f"no one clear line: {text!r:.300}"
        return None
    except TooLongError:
        return f"took more than {SECONDS} s"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _finite(result: ReadResult) -> bool:
    arrays = [array for atoms in result.frames for array in (atoms.positions, atoms.cell.array)]
    arrays += [np.asarray(value) for atoms in result.frames if atoms.calc for value in atoms.calc.results.values()]
    return all(np.isfinite(array).all() for array in arrays)


def _forms(content: bytes, name: str) -> list[Callable[[random.Random], bytes]]:
    """Return the mutations for a file; packed files are also mutated inside, with a correct checksum."""
    forms = [lambda dice: mutate(content, dice)]
    if name.endswith(".gzip"):
        inside = gzip.decompress(content)
        forms.append(lambda dice: gzip.compress(mutate(inside, dice), mtime=0))
    return forms


def _stop(*_: object) -> None:
    raise TooLongError


def main(folder: Path) -> int:
    """Test all files of a folder; return the number of faults."""
    warnings.simplefilter("ignore")
    logging.disable()
    signal.signal(signal.SIGPROF, _stop)
    # A fault must not exhaust the memory of the machine.
    resource.setrlimit(resource.RLIMIT_AS, (1 << 34, resource.RLIM_INFINITY))
    faults = 0
    for original in sorted(folder.iterdir()):
        read_file(original)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        content = original.read_bytes()
        for form in _forms(content, original.name):
            dice = random.Random(7)
            for number in range(MUTATIONS):
                path = folder.parent / original.name
                path.write_bytes(form(dice))
                fault = outcome(path)
                if fault is not None:
                    faults += 1
                    print(f"{original.name}, mutation {number}: {fault}")
                path.unlink()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        if grown > MEGABYTES:
            faults += 1
            print(f"{original.name}: a mutation took {grown} MB of memory")
    return faults


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
