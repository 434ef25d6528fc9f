"""Codes are stored once, and a code with the same name is not replaced."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.schemas.setup import PwCodeConfig
from aiida_mlip_autopipec.host.computers import ensure_computer
from aiida_mlip_autopipec.programs.catalogue import PROGRAMS
from aiida_mlip_autopipec.setup.codes import setup_portable_codes, setup_pw_code

pytestmark = pytest.mark.usefixtures("aiida_profile")


def test_portable_codes_are_stored_once() -> None:
    codes = setup_portable_codes()
    assert {code.label for code in codes} == set(PROGRAMS)
    assert [code.uuid for code in setup_portable_codes()] == [code.uuid for code in codes]


def test_code_of_pw_is_created_once() -> None:
    ensure_computer("localhost")
    settings = PwCodeConfig(
        computer="localhost", label="pw-of-tests", executable="/opt/qe/bin/pw.x", environment="module load qe"
    )
    code = setup_pw_code(settings)
    assert code.default_calc_job_plugin == "quantumespresso.pw"
    assert code.prepend_text.splitlines() == ["module load qe", "export OMP_NUM_THREADS=1"]
    with pytest.raises(UserError, match="another name: --label"):
        setup_pw_code(settings)


def test_error_for_an_unknown_computer_says_how_to_create_it() -> None:
    with pytest.raises(UserError, match="mlip-auto setup computer"):
        setup_pw_code(PwCodeConfig(computer="nowhere", executable="pw.x"))
