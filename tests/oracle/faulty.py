"""Calculators that fail as real ones do, depending on the structure."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT


class FaultyEMT(EMT):
    """EMT that fails for structures of certain sizes: `{number of atoms: fault}`.

    The fault `hang once` creates the file `marker` and hangs, unless the file exists already.
    """

    def __init__(self, faults: dict[str, str], marker: str = "", **parameters: Any) -> None:
        super().__init__(**parameters)
        self._marker = Path(marker)
        self._faults = {int(size): fault for size, fault in faults.items()}

    def calculate(self, *arguments: Any, **named: Any) -> None:
        super().calculate(*arguments, **named)
        fault = self._faults.get(len(self.atoms))
        if fault == "exception":
            raise RuntimeError("SCF did not converge")
        if fault == "nan":
            self.results["forces"] = np.full_like(self.results["forces"], np.nan)
        if fault == "hang" or (fault == "hang once" and not self._marker.exists()):
            if fault == "hang once":
                self._marker.touch()
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGALRM])
            time.sleep(3600)
        if fault == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if fault == "exit":
            os._exit(7)
        if fault == "slow":
            time.sleep(1.0)
        if fault == "kill_job":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)


class NoForces(EMT):
    """A calculator of energies only."""

    def get_property(self, name: str, *arguments: Any, **named: Any) -> Any:
        if name == "forces":
            raise PropertyNotImplementedError("forces")
        return super().get_property(name, *arguments, **named)


class WaitingEMT(EMT):
    """EMT that waits until a file exists.

    The file is named by a URL: files whose paths are among the parameters belong to the identity of the labels.
    """

    def __init__(self, url: str, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._file = Path(url.removeprefix("file://"))

    def calculate(self, *arguments: Any, **named: Any) -> None:
        while not self._file.exists():
            time.sleep(0.1)
        super().calculate(*arguments, **named)


class LastEMT(EMT):
    """EMT that labels a dimer only after the labels of `others` other structures exist.

    :param url: of a folder, see :class:`WaitingEMT`.
    """

    def __init__(self, url: str, others: int, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._folder, self._others = Path(url.removeprefix("file://")), others

    def calculate(self, *arguments: Any, **named: Any) -> None:
        super().calculate(*arguments, **named)
        if len(self.atoms) != 2:
            (self._folder / str(os.getpid())).touch()
        while len(self.atoms) == 2 and len(list(self._folder.iterdir())) < self._others:
            time.sleep(0.1)


class WritingEMT(EMT):
    """EMT that writes a text to a file in its folder, depending on the number of atoms, as codes do."""

    def __init__(self, text: dict[str, str], **parameters: Any) -> None:
        super().__init__(**parameters)
        self._text = text

    def calculate(self, *arguments: Any, **named: Any) -> None:
        super().calculate(*arguments, **named)
        Path("out.txt").write_text(self._text.get(str(len(self.atoms)), "converged"))
