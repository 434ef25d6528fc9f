"""Commands import only what they need: imports are most of the processor time of a short command."""

from __future__ import annotations

import subprocess
import sys

import pytest

NEVER = ("scipy", "pandas", "matplotlib", "phonopy", "ase.io", "ase.build", "ase.neighborlist", "pymatgen", "sympy")

SHOW = "import aiida_mlip_autopipec.cli.running, aiida_mlip_autopipec.host.profile, aiida_mlip_autopipec.host.daemon, "
"""What `mlip-auto status` imports, and the display of a run."""


def imported(code: str) -> set[str]:
    """Return the names of the modules that a new Python process has imported after running some code."""
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize(
    ("code", "unneeded"),
    [
        ("import aiida_mlip_autopipec.app", (*NEVER, "aiida", "numpy", "ase", "pydantic", "yaml", "rich")),
        (f"{SHOW} aiida_mlip_autopipec.runs.stages, aiida_mlip_autopipec.runs.live", (*NEVER, "ase", "aiida_shell")),
        ("import aiida_mlip_autopipec.pipelines.builders", ("scipy.stats", "pandas", "matplotlib", "phonopy")),
    ],
    ids=["help", "status", "submit and the daemon"],
)
def test_commands_import_only_the_modules_that_they_need(code: str, unneeded: tuple[str, ...]) -> None:
    assert not imported(code) & set(unneeded)
