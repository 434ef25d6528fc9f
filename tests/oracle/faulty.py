"""Calculators that fail in the ways real ones do, told by the family of the structure."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT


class FaultyEMT(EMT):
    """EMT that fails for structures of certain sizes: `{number of atoms: fault}`."""

    def __init__(self, faults: dict[str, str], **parameters: Any) -> None:
        super().__init__(**parameters)
        self._faults = {int(size): fault for size, fault in faults.items()}

    def calculate(self, *arguments: Any, **named: Any) -> None:
        super().calculate(*arguments, **named)
        fault = self._faults.get(len(self.atoms))
        if fault == "exception":
            raise RuntimeError("SCF did not converge")
        if fault == "nan":
            self.results["forces"] = np.full_like(self.results["forces"], np.nan)
        if fault == "hang":
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
    """A calculator that knows energies only."""

    def get_property(self, name: str, *arguments: Any, **named: Any) -> Any:
        if name == "forces":
            raise PropertyNotImplementedError("forces")
        return super().get_property(name, *arguments, **named)
