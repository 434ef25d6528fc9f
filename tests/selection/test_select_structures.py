"""The selection methods, and the program `select_structures` run as on a cluster."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io.trajectory import Trajectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlip_common.errors import ProgramError
from mlip_select.basis import generic_basis
from mlip_select.greedy import REQUIRED
from mlip_select.select import select
from mlip_select.settings import METHODS, SelectionSettings

from aiida_mlip_autopipec.generator.crystals import close_packed_volume
from aiida_mlip_autopipec.generator.structure import StructureGenerator

from ..warm_python import run_warm

SCRIPT = files("aiida_mlip_autopipec") / "jobs" / "select_structures"

FEW_EXAMPLES = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def chosen(candidates: Sequence[Atoms], count: int, known: Sequence[Atoms] = (), **more: Any) -> list[int]:
    """Return the indices of the selected structures, in order."""
    asked = SelectionSettings(**{"count": count, "n_functions": 40, **more})
    return [one["index"] for one in select(asked, candidates, known, workers=1)["chosen"]]


def in_blocks(structures: Sequence[Atoms], blocks: Sequence[int]) -> list[Atoms]:
    """Return copies assigned to these blocks of the pool."""
    copies = [atoms.copy() for atoms in structures]
    for atoms, block in zip(copies, blocks, strict=True):
        atoms.info["block"] = block
    return copies


@pytest.mark.parametrize("method", METHODS)
def test_selection_does_not_depend_on_the_order_of_candidates(pool: list[Atoms], method: str) -> None:
    order = np.random.default_rng(1).permutation(len(pool)).tolist()
    first = chosen(pool, 25, method=method)
    again = chosen([pool[index] for index in order], 25, method=method)
    assert [order[index] for index in again] == first


@FEW_EXAMPLES
@given(
    fewer=st.integers(1, 60),
    more=st.integers(1, 60),
    method=st.sampled_from(METHODS),
    representative=st.sampled_from((0.0, 0.3, 0.5, 1.0)),
)
def test_a_larger_count_only_adds_structures(
    pool: list[Atoms], fewer: int, more: int, method: str, representative: float
) -> None:
    fewer, more = sorted((fewer, more))
    blocks = [number % 3 for number in range(len(pool))]
    # The count decides the number of blocks.
    parts = in_blocks(pool, blocks)
    of_fewer = [atoms for atoms in parts if atoms.info["block"] * 15 < fewer]
    asked = {"per_block": 15, "method": method, "representative": representative}
    one = chosen(of_fewer, fewer, **asked)
    other = chosen(parts, more, **asked)
    keys = [str(of_fewer[index].positions) + str(of_fewer[index].cell.array) for index in one]
    assert keys == [str(parts[index].positions) + str(parts[index].cell.array) for index in other][: len(keys)]


@pytest.mark.parametrize("method", METHODS)
def test_required_structures_are_always_selected(pool: list[Atoms], method: str) -> None:
    required = {n for n, atoms in enumerate(pool) if atoms.info["family"] in ("isolated_atom", "dimer")}
    assert required <= set(chosen(pool, len(required) + 1, method=method))
    assert pool[chosen(pool, 1, method=method)[0]].info["family"] == "isolated_atom"
    assert required <= set(chosen(pool, len(required) + 1, known=pool, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_duplicates_of_known_structures_have_a_score_of_zero(pool: list[Atoms], method: str) -> None:
    known = [atoms for atoms in pool if atoms.pbc.all()][:8]
    copies = [atoms * (1, 1, 2) for atoms in known]
    for atoms in copies:
        atoms.rotate(33.0, "y", rotate_cell=True)
        atoms.positions += (0.3, 0.1, 0.2)
    other = bulk("Cu", cubic=True)
    other.rattle(0.1, seed=5)
    selection = select(SelectionSettings(count=5, n_functions=40, method=method), [*copies, other], known, workers=1)
    assert [one["index"] for one in selection["chosen"]] == [len(copies)]
    assert [one["worth"] for one in selection["left_out"]] == [0.0] * len(copies)


def test_supercell_has_the_score_of_its_cell() -> None:
    cells = [bulk("Cu", cubic=True), bulk("Cu", "bcc", a=2.9, cubic=True)]
    cells[0].rattle(0.1, seed=1)
    cells[1].rattle(0.05, seed=1)
    large = [cells[0] * (2, 2, 2), cells[1]]
    few = SelectionSettings(count=1, n_functions=40)
    scores = [select(few, [atoms], [], workers=1)["chosen"][0]["worth"] for atoms in (cells[0], large[0])]
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)
    assert chosen(cells, 1) == chosen(large, 1)


def test_scores_decrease_in_the_order_of_selection(pool: list[Atoms]) -> None:
    selection = select(SelectionSettings(count=40, n_functions=40), pool, [], workers=2)
    scores = [one["worth"] for one in selection["chosen"] if one["reason"] == "information"]
    assert scores == sorted(scores, reverse=True)
    assert max(one["worth"] for one in selection["left_out"]) <= scores[-1]


@pytest.mark.parametrize("representative", [0.0, 0.25, 0.5, 1.0])
def test_a_fraction_of_the_structures_is_drawn_at_random(pool: list[Atoms], representative: float) -> None:
    required = sum(atoms.info["family"] in ("isolated_atom", "dimer") for atoms in pool)
    count = required + 20
    settings = SelectionSettings(count=count, n_functions=40, representative=representative)
    reasons = Counter(one["reason"] for one in select(settings, pool, [], workers=1)["chosen"])
    by_information = round((1 - representative) * 20)
    expected = {"required": required, "random": 20 - by_information, "information": by_information}
    assert reasons == {reason: number for reason, number in expected.items() if number}


def test_random_structures_include_elements_near_their_equilibrium_volume() -> None:
    elements = ["Au", "Cu"]
    pool = StructureGenerator().generate_pool(elements, 100, 4, 50)

    def near_equilibrium(representative: float) -> int:
        indices = chosen(pool, 100, n_functions=60, representative=representative)
        return sum(0.9 < _relative_volume(pool[index]) < 1.1 for index in indices)

    assert near_equilibrium(0.5) > near_equilibrium(0.0) + 4


def _relative_volume(atoms: Atoms) -> float:
    """Return the volume of a crystal of one element relative to that of its close-packed crystal, or 0 of other structures."""
    if not atoms.pbc.all() or "surface" in atoms.info["family"] or len(set(atoms.symbols)) > 1:
        return 0.0
    return float(atoms.get_volume() / len(atoms) / close_packed_volume(atoms.symbols[0]))


def test_selection_from_alloys_includes_all_elements(tmp_path: Path) -> None:
    alloys = StructureGenerator().generate(["Al", "Au", "Cu", "Ni"], 60)
    picked = chosen(alloys, 30, n_functions=30)
    assert len(set(picked)) == 30
    assert {symbol for index in picked[10:] for symbol in alloys[index].symbols} == {"Al", "Au", "Cu", "Ni"}


@pytest.mark.parametrize("elements", [["H"], ["Cs"], ["H", "O"], ["Cr", "Co", "Fe", "Mn", "Ni"]])
def test_basis_exists_for_any_elements(elements: list[str]) -> None:
    basis = generic_basis(elements, 100)
    assert 4.0 <= basis.cutoff <= 7.0
    assert 0.7 * 100 * len(elements) < basis.n_functions < 1.5 * 100 * len(elements)


def run_script(folder: Path, content: Any, *structures: Sequence[Atoms]) -> subprocess.CompletedProcess[str]:
    (folder / "settings.json").write_text(content if isinstance(content, str) else json.dumps(content))
    names = ["candidates.traj", "known.traj"][: len(structures)]
    for name, frames in zip(names, structures, strict=True):
        with Trajectory(str(folder / name), "w") as trajectory:
            for atoms in frames:
                trajectory.write(atoms)
    return run_warm(SCRIPT, ["--workers", "2", "settings.json", *names], folder)


def test_program_writes_the_selection(pool: list[Atoms], tmp_path: Path) -> None:
    done = run_script(tmp_path, {"count": 10, "n_functions": 40}, pool, pool[40:])
    assert done.returncode == 0, done.stdout + done.stderr
    selection = json.loads((tmp_path / "selection.json").read_text())
    assert [one["index"] for one in selection["chosen"]] == chosen(pool, 10, pool[40:])
    assert len(selection["chosen"]) + len(selection["left_out"]) == len(pool)
    assert {path.name for path in tmp_path.iterdir()} == {
        "settings.json", "candidates.traj", "known.traj", "selection.json", "lock"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "cannot be read"),
        ([], "needs the key count"),
        ({"count": 0}, "whole numbers from 1"),
        ({"count": 5, "representative": 1.5}, "representative is 1.5; allowed: numbers from 0 to 1"),
        ({"count": 5, "method": "guess"}, "allowed: d_optimal, farthest_point"),
        ({"count": 5, "n_function": 3}, "allowed: count"),
    ],
)
def test_wrong_settings_are_explained(copper: list[Atoms], content: Any, why: str, tmp_path: Path) -> None:
    done = run_script(tmp_path, content, copper)
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert (done.returncode, failure["kind"]) == (10, "bad_input")
    assert why in failure["message"]


def test_wrong_structures_are_explained(copper: list[Atoms], tmp_path: Path) -> None:
    flat, nowhere, slab = copper[3].copy(), copper[3].copy(), copper[3].copy()
    flat.set_cell([[1, 0, 0], [2, 0, 0], [0, 0, 1]])
    nowhere.positions[0, 0] = np.nan
    slab.pbc = (True, True, False)
    for atoms, why in ((flat, "no volume"), (nowhere, "not finite"), (slab, "some directions"), (Atoms(), "no atoms")):
        run_script(tmp_path, {"count": 2}, [copper[0], atoms])
        assert why in json.loads((tmp_path / "failure.json").read_text())["message"]
        assert not (tmp_path / "selection.json").exists()
    (tmp_path / "candidates.traj").write_text("nothing")
    run_script(tmp_path, {"count": 2})


def test_candidates_that_are_all_known_are_explained(copper: list[Atoms]) -> None:
    crystals = [atoms for atoms in copper if atoms.info["family"] not in REQUIRED][:2]
    with pytest.raises(ProgramError, match="none of the 2 candidates differs from the known structures") as caught:
        chosen(crystals, 1, known=crystals)
    assert caught.value.kind == "nothing_new"
