"""Files with secrets are readable only by their owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiida_mlip_autopipec.setup.private import exposure_fault, make_private


@pytest.mark.parametrize(
    ("mode", "safe"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o620, False)]
)
def test_file_that_others_can_open_is_reported(tmp_path: Path, mode: int, safe: bool) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(mode)
    fault = exposure_fault(path)
    assert (fault is None) == safe
    assert safe or "chmod 600" in str(fault)
    make_private(path)
    assert exposure_fault(path) is None
