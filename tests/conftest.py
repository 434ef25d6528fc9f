"""Fixtures shared by all tests: a temporary AiiDA profile, the portable codes, and small real structures."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The import of AiiDA creates a folder for its configuration, which must not be in the home of the user.
os.environ["AIIDA_PATH"] = tempfile.mkdtemp(prefix="aiida-")

from aiida import orm
from aiida.engine import run_get_node
from aiida.manage import get_manager
from aiida.manage.configuration import Profile
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import settings

from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.dataset.trajectory import attach_labels
from aiida_mlip_autopipec.host.computers import ensure_computer, with_this_python
from aiida_mlip_autopipec.host.profile import enable_write_ahead_log
from aiida_mlip_autopipec.host.workarounds import speed
from aiida_mlip_autopipec.pipelines.builders import build_one_shot
from aiida_mlip_autopipec.programs.codes import ensure_code

from . import postgres

pytest_plugins = ["aiida.tools.pytest_fixtures"]

# The examples have no deadline: the first one takes longer, since it imports modules.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Command = Callable[..., "subprocess.CompletedProcess[str]"]

WALLTIMES = (6, 24, 96)
"""Walltimes (s) to try in turn where a job must do something before its walltime ends: on a busy machine a job starts
slowly."""

_PROGRAMS = Path(sys.executable).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db-backend",
        choices=("sqlite", "psql"),
        default="sqlite",
        help="Storage of the temporary AiiDA profile; psql starts a PostgreSQL of its own through pgtest.",
    )


SYSTEM = {"cli", "cluster", "docs", "faults", "host", "setup", "system"}
"""Folders of tests that run the programs with a daemon, as users do."""

WORKFLOW = {"pipelines", "programs", "provenance", "runs"}
"""Folders of tests that run AiiDA processes in the tests' own Python."""

WORKFLOW_FILES = {
    "test_workflow",
    "test_ase",
    "test_claims",
    "test_labelling",
    "test_quantumespresso",
    "test_process",
    "test_collect",
    "test_in_browser",
    "test_findings",
    "test_identity",
    "test_nonlinear",
    "test_old_archive",
}


SHARE_A_RUN = (
    *("cli/test_data", "cli/test_properties", "docs/test_commands", "system/test_examples"),
    *("provenance/test_queries", "provenance/test_archive"),
    *("report/test_collect", "report/test_in_browser", "report/test_page"),
)
SHARE_ANOTHER_RUN = ("pipelines/test_caching", "pipelines/test_one_shot")
SHARE_A_DAEMON = ("cli/test_learning", "cli/test_messages", "cli/test_running", "cli/test_setup")
SHARE_A_POTENTIAL = ("exploration/test_explore_structures", "exploration/test_lammps", "exploration/test_workflow")
SHARE_A_FIT = ("test_calculator", "training/test_pace_train", "training/test_pacemaker")
"""Files that use the same expensive fixture of a session: `--dist loadfile` gives them to one worker."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute tests by file, and files that share a fixture together."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    together = {
        f"tests/{name}.py": names[0]
        for names in (SHARE_A_RUN, SHARE_ANOTHER_RUN, SHARE_A_DAEMON, SHARE_A_POTENTIAL, SHARE_A_FIT)
        for name in names
    }

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return together.get(file, file)

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it needs; tests that wait for daemons and jobs run first, so that others use the waiting times."""
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        room = path.parts[0]
        if room in SYSTEM:
            item.add_marker(pytest.mark.system)
        elif room in WORKFLOW or path.stem in WORKFLOW_FILES or "finished_uuid" in item.fixturenames:
            item.add_marker(pytest.mark.workflow)
        else:
            item.add_marker(pytest.mark.unit)
    order = ("system", "workflow", "unit")
    items.sort(key=lambda item: next(rank for rank, mark in enumerate(order) if item.get_closest_marker(mark)))


@pytest.fixture(scope="session")
def postgres_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The storage configuration of an empty database on a PostgreSQL server of its own."""
    with postgres.database(tmp_path_factory.mktemp("postgres")) as storage:
        yield storage


@pytest.fixture(scope="session")
def aiida_profile(request: pytest.FixtureRequest, aiida_config: Any, aiida_profile_factory: Any) -> Iterator[Profile]:
    """The temporary profile, with the storage chosen by `--db-backend` and the embedded broker."""
    storage: dict[str, Any] = {"storage_backend": "core.sqlite_dos"}
    if request.config.getoption("--db-backend") == "psql":
        storage = {"storage_backend": "core.psql_dos", "storage_config": request.getfixturevalue("postgres_database")}
    with aiida_profile_factory(aiida_config, broker_backend="core.zeromq", **storage) as profile:
        aiida_config.set_option("runner.poll.interval", 1, scope=profile.name)
        speed.install()
        # The runner of a test profile queries the state of its processes without a pause.
        profile.is_test_profile = False
        aiida_config.store()
        if storage["storage_backend"] == "core.sqlite_dos":
            # As in a profile that `mlip-auto` makes.
            enable_write_ahead_log(profile)
        yield profile


def leave_broker() -> None:
    """Disconnect this process from its broker; when it needs a broker again, it connects to that of the daemon.

    The temporary profile has a broker without daemon, to which a test before may have connected.
    """
    manager = get_manager()
    manager.reset_broker()
    manager.reset_runner()


@pytest.fixture
def resources(aiida_profile: Profile) -> orm.Dict:
    """This machine, in this Python environment."""
    ensure_computer("localhost")
    return orm.Dict(with_this_python(ResourcesConfig()).model_dump(mode="json"))


@pytest.fixture
def label_code(aiida_profile: Profile) -> orm.PortableCode:
    """The portable code `label_structures`."""
    return ensure_code("label_structures")


@pytest.fixture
def train_code(aiida_profile: Profile) -> orm.PortableCode:
    """The portable code `pace_train`."""
    return ensure_code("pace_train")


def label_by_emt(atoms: Atoms) -> Atoms:
    """Return a copy with the energy, forces and, if periodic, stress of ASE's effective medium theory."""
    labelled = atoms.copy()
    labelled.calc = EMT()
    labels: dict[str, Any] = {"energy": labelled.get_potential_energy(), "forces": labelled.get_forces()}
    if labelled.pbc.all():
        labels["stress"] = labelled.get_stress()
    return attach_labels(labelled, labels)


@pytest.fixture
def copper() -> list[Atoms]:
    """Six copper structures: an atom, a dimer, and four bulk cells, two of them of one formula."""
    cells = [bulk("Cu", a=a) for a in (3.5, 3.6)] + [bulk("Cu", cubic=True), bulk("Cu", cubic=True) * (2, 1, 1)]
    structures = [
        Atoms("Cu", cell=[15, 15, 15], positions=[[7.5, 7.5, 7.5]]),
        Atoms("Cu2", cell=[15, 15, 15], positions=[[7, 7, 7], [7, 7, 9.3]]),
        *cells,
    ]
    for seed, atoms in enumerate(structures[4:]):
        atoms.rattle(0.05, seed=seed)
    for atoms, family in zip(structures, ("isolated_atom", "dimer", *["fcc"] * 4), strict=True):
        atoms.info["family"] = family
    return structures


@pytest.fixture
def labelled_copper(copper: list[Atoms]) -> list[Atoms]:
    """The copper structures with EMT labels."""
    return [label_by_emt(atoms) for atoms in copper]


@pytest.fixture(scope="session")
def small_config() -> PipelineConfig:
    """Settings of a small run of copper in which every stage has work."""
    return PipelineConfig(
        elements=["Cu"],
        generator={"count": 24, "max_atoms": 4},
        selection="none",
        oracle={"structures_per_job": 12},
        training={"n_functions": 15, "cutoff": 5.0, "order": 3, "test_fraction": 0.2},
    )


@pytest.fixture(scope="session")
def finished_uuid(aiida_profile: Profile, small_config: PipelineConfig) -> str:
    """The UUID of a finished one-shot run, which computes all its labels, even if earlier tests have stored some of them."""
    content = small_config.model_dump(mode="json")
    config = PipelineConfig.model_validate({**content, "oracle": {**content["oracle"], "reuse": False}})
    _, node = run_get_node(build_one_shot(config))
    assert node.is_finished_ok, node.exit_message
    return str(node.uuid)


@pytest.fixture(scope="module")
def finished_run(finished_uuid: str) -> orm.WorkChainNode:
    """The finished run, loaded for each file: a file that loads another profile closes the storage and opens it again."""
    return orm.load_node(finished_uuid)


@pytest.fixture(scope="session")
def silicon_upf() -> Path:
    """A norm-conserving LDA pseudopotential of silicon, from Debian's `quantum-espresso-data`."""
    path = Path("/usr/share/espresso/pseudo/Si.pz-vbc.UPF")
    if not path.exists():
        pytest.skip("quantum-espresso-data is not installed")
    return path


@pytest.fixture(scope="module")
def run_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Run a program of this Python environment in a home without AiiDA configuration; the daemon is stopped at the end."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "AIIDA_PATH": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home)}

    def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_PROGRAMS / program, *arguments], env=environment, cwd=home, capture_output=True, text=True, check=False
        )

    yield run
    # Without a daemon, `verdi daemon stop` would wait a minute for an answer.
    if any(home.glob(".aiida/daemon/circus-*.pid")):
        run("verdi", "daemon", "stop")
