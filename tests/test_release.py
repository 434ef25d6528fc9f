"""The content of the released wheel and source archive."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source archive."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_twine_check_passes(built: Path) -> None:
    files = sorted(built.iterdir())
    assert [path.suffix for path in files] == [".whl", ".gz"]
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_wheel_contains_only_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tracked = subprocess.run(
        ["git", "ls-files", "aiida_mlip_autopipec"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    in_package = {name for name in names if ".dist-info/" not in name}
    assert set(tracked) <= in_package
    assert {name.split("/")[0] for name in in_package} == {"aiida_mlip_autopipec"}
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("METADATA"))).decode()
    for line in ("Project-URL: Source", "Classifier: Framework :: AiiDA", "License-Expression: MIT"):
        assert line in metadata


def test_source_archive_contains_tests_and_documentation(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        names = {name.split("/", 1)[1] for name in content.getnames() if "/" in name}
    assert names >= {"README.md", "LICENSE", "pyproject.toml", "docs/index.md", "tests/conftest.py", ".ci/run"}
    assert not any(name.startswith("docs/_build") for name in names)


def test_version_is_the_same_in_package_citation_and_changelog() -> None:
    from aiida_mlip_autopipec import __version__

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
