"""Pseudopotentials of pw.x, and their cutoffs."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily

from aiida_mlip_autopipec.config.schemas.oracle import QuantumEspressoOracleConfig
from aiida_mlip_autopipec.oracle.pseudopotentials import density_cutoff_ratio, find_pseudopotentials

# The first lines of the headers of files of Debian's quantum-espresso-data.
NORM_CONSERVING = '<UPF version="2.0.1">\n<PP_HEADER\nl_local="0"\npseudo_type="NC"\nelement="Si"\n/>'
ULTRASOFT = '<PP_HEADER element=" B" pseudo_type="USPP" relativistic="scalar" is_ultrasoft="true"/>'
PAW = '<PP_HEADER element=" B" pseudo_type="PAW" relativistic="scalar" is_paw="true"/>'
ULTRASOFT_VERSION_1 = """\
<PP_INFO>
US comments before the header do not count
</PP_INFO>
<PP_HEADER>
   0                   Version Number
  Co                   Element
   US                  Ultrasoft pseudopotential
</PP_HEADER>
"""
NORM_CONSERVING_VERSION_1 = ULTRASOFT_VERSION_1.replace("   US    ", "   NC    ")


@pytest.mark.parametrize(
    ("contents", "ratio"),
    [
        ([NORM_CONSERVING, NORM_CONSERVING_VERSION_1], 4.0),
        ([NORM_CONSERVING, ULTRASOFT], 8.0),
        ([PAW], 8.0),
        ([ULTRASOFT_VERSION_1], 8.0),
    ],
)
def test_ratio_of_the_cutoffs_follows_from_the_types(contents: list[str], ratio: float) -> None:
    assert density_cutoff_ratio(contents) == ratio


def test_density_cutoff_with_the_ratio_that_the_family_recommends(aiida_profile: object, silicon_upf: Path) -> None:
    del aiida_profile
    from aiida_pseudo.data.pseudo import UpfData

    family = CutoffsPseudoPotentialFamily(label="with-cutoffs").store()
    family.add_nodes([UpfData.get_or_create(silicon_upf).store()])
    family.set_cutoffs({"Si": {"cutoff_wfc": 30.0, "cutoff_rho": 240.0}}, "normal", unit="Ry")

    def cutoffs(**given: float) -> tuple[float | None, float | None]:
        config = QuantumEspressoOracleConfig(pseudo_family=family.label, **given)
        _, found = find_pseudopotentials(config, ["Si"])
        return found.ecutwfc, found.ecutrho

    assert cutoffs() == (30.0, 240.0)
    assert cutoffs(ecutwfc=45.0) == (45.0, 360.0)
    assert cutoffs(ecutrho=300.0) == (30.0, 300.0)
    assert cutoffs(ecutwfc=45.0, ecutrho=200.0) == (45.0, 200.0)
