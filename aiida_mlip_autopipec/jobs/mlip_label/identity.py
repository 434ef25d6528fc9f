"""The identity of a calculator: everything on this computer that changes an energy and is not in its keyword arguments.

    python3 identity.py '{"calculator": ..., "parameters": {...}, "files": [...], "elements": [...]}'

Prints JSON: `packages` with the version of the package of the calculator, or the hash of its source where it has no version;
`code`, the hashes of the external programs that it starts; `version`, which the external program prints; `files`, the
hash of each file that it reads, by path; and `unknown`, why the identity cannot be known, or null. Files are those named in
`parameters` and `files`, the weights of a model, and those of the folders in the calculator's own environment variables and in
ASE's configuration. Nothing is computed.

It imports nothing from this folder: it is sent to the computer as text, before any job is.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PATH_VARIABLES = {
    "abinit": ("ABINIT_PP_PATH",),
    "aims": ("AIMS_SPECIES_DIR",),
    "castep": ("CASTEP_PP_PATH",),
    "cp2k": ("CP2K_DATA_DIR",),
    "dftb": ("DFTB_PREFIX",),
    "espresso": ("ESPRESSO_PSEUDO",),
    "gpaw": ("GPAW_SETUP_PATH",),
    "lammpslib": ("LAMMPS_POTENTIALS",),
    "lammpsrun": ("LAMMPS_POTENTIALS",),
    "openmx": ("OPENMX_DFT_DATA_PATH",),
    "siesta": ("SIESTA_PP_PATH",),
    "vasp": ("VASP_PP_PATH",),
}
"""Environment variables with the folders of pseudopotentials, basis sets or parameters, by ASE's name of the calculator."""

NEED_FILES = ("cp2k", "gpaw")
"""Calculators that always read such folders; their identity is unknown if the environment variable is not set."""

FOLDER_KEYS = ("pseudo_dir", "pp_paths", "default_species_directory", "sl_file_path", "data_dir")
"""Keys of ASE's configuration that name folders of pseudopotentials, basis sets or parameters."""

DATA_PACKAGES = ("gpaw_data",)
"""Python packages that hold only pseudopotentials, basis sets or parameters."""

VERSION_SECONDS = 60
"""Maximum time (s) in which a code must print its version."""

MAX_FILES, MAX_BYTES = 5000, 4 * 2**30
"""Maximum number and total size (bytes) of the hashed files; with more files, the identity is unknown."""

WHOLE_FOLDER = 64 * 2**20
"""Size (bytes) of a folder up to which all its files are hashed; in a larger one, files whose path names only other elements
are left out."""

_SOURCE = (".py", ".so", ".pyx", ".c")
_WORDS = re.compile(r"[A-Za-z]+")


class UnknownIdentityError(Exception):
    """The identity of the calculator cannot be determined; the message is the reason."""


def identify(request: dict[str, Any]) -> dict[str, Any]:
    """Return the identity of a calculator.

    :param request: `calculator`, `parameters` (with the `command` of its code), `by_kind` (parameters of kinds of structures),
        `files` (paths of further files) and the `elements` of the run; of a recipe also `packages` (imported names of the
        packages whose versions are in the identity, instead of that of the calculator), `weights` (patterns of files, as
        `PACKAGE:PATTERN` below a package or as a path) and `version` (arguments with which the code prints its version, and the
        pattern of the version).
    """
    name, parameters = request["calculator"], request.get("parameters", {})
    hasher = Hasher()
    found: dict[str, Any] = {"packages": {}, "code": {}, "files": {}, "unknown": None}
    missing = [path for path in request.get("files", ()) if not Path(path).expanduser().exists()]
    if missing:
        return {**found, "unknown": f"identity_files: {', '.join(missing)} does not exist on this computer"}
    try:
        calculator = None
        if packages := request.get("packages"):
            for package in packages:
                found["packages"].update(_package(package, hasher))
        else:
            calculator = _calculator_class(name)
            module = str(calculator.__module__).split(".")
            if module[:2] == ["ase", "calculators"] and not name.isidentifier():
                # A calculator of ASE's that is given by its import path.
                name = module[2]
            found["packages"] = _package(module[0], hasher)
        found["files"] = hasher.of_paths(
            [*request.get("files", ()), *_paths_in([parameters, request.get("by_kind", {})])]
        )
        for folder in _folders(name, parameters):
            found["files"].update(hasher.of_folder(folder, request.get("elements", ())))
        found["files"].update(hasher.of_patterns(request.get("weights", ())))
        for package in set(DATA_PACKAGES).intersection(packages or ()):
            found["files"].update(hasher.of_folder(_package_path(package), request.get("elements", ())))
        if name in NEED_FILES and not found["files"]:
            raise UnknownIdentityError(f"the files that {name} reads are not known: set {PATH_VARIABLES[name][0]}")
        if calculator is not None:
            programs = _external_code(name, calculator, parameters)
            found["code"] = {word: hasher.of_file(path) for word, path in programs.items()}
            if programs and request.get("version"):
                found["version"] = _version_of(list(programs.values())[-1], *request["version"])
    except UnknownIdentityError as error:
        found["unknown"] = str(error)
    except Exception as error:
        found["unknown"] = f"{type(error).__name__}: {error}"
    return found


class Hasher:
    """Hashes of files by content, within limits."""

    def __init__(self) -> None:
        self._left_files, self._left_bytes = MAX_FILES, MAX_BYTES

    def of_file(self, path: Path) -> str:
        """Return the SHA-256 of a file."""
        self._left_files -= 1
        self._left_bytes -= path.stat().st_size
        if self._left_files < 0 or self._left_bytes < 0:
            raise UnknownIdentityError(f"the calculator reads too many files to hash them (at {path})")
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def of_tree(self, files: Iterable[Path], root: Path) -> str:
        """Return one hash of files and their paths below a root."""
        digest = hashlib.sha256()
        for path in sorted(files):
            digest.update(f"{path.relative_to(root)}\0{self.of_file(path)}\n".encode())
        return digest.hexdigest()

    def of_paths(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the hash of each file, and one of each folder with all its files."""
        found = {}
        for name in sorted(set(paths)):
            path = Path(name).expanduser()
            found[name] = self.of_tree(_files(path), path) if path.is_dir() else self.of_file(path)
        return found

    def of_patterns(self, patterns: Iterable[str]) -> dict[str, str]:
        """Return the hash of each matching file, keyed by the last two parts of its path.

        :param patterns: `PACKAGE:PATTERN` below a package, or a path; the name of the file may have `*`. One must match.
        """
        found: dict[str, str] = {}
        wanted = list(patterns)
        for pattern in wanted:
            package, colon, below = pattern.partition(":")
            path = _package_path(package) / below if colon else Path(os.path.expandvars(pattern)).expanduser()
            for file in sorted(path.parent.glob(path.name)):
                found["/".join(file.parts[-2:])] = self.of_file(file)
        if wanted and not found:
            raise UnknownIdentityError(f"its weights are not on this computer ({' or '.join(wanted)})")
        return found

    def of_folder(self, folder: Path, elements: Iterable[str]) -> dict[str, str]:
        """Return the hash of a folder of pseudopotentials or the like; of a large one, without files of other elements."""
        files = list(_files(folder))
        if sum(path.stat().st_size for path in files) > WHOLE_FOLDER:
            files = [path for path in files if _may_be_of(path.relative_to(folder), set(elements))]
        return {str(folder): self.of_tree(files, folder)} if files else {}


def _may_be_of(path: Path, elements: set[str]) -> bool:
    """Return whether a path names one of the elements, or none at all, as `BASIS_MOLOPT`."""
    from ase.data import chemical_symbols

    named = set(_WORDS.findall(str(path))).intersection(chemical_symbols)
    return not named or bool(named & elements)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _calculator_class(name: str) -> Any:
    if ":" in name or "." in name:
        module, _, attribute = name.replace(":", ".").rpartition(".")
        return getattr(importlib.import_module(module), attribute)
    from ase.calculators.calculator import get_calculator_class

    return get_calculator_class(name)


def _package(root: str, hasher: Hasher) -> dict[str, str]:
    """Return the version of a package, with the hash of its source if it has no version or is installed in editable mode."""
    distributions = importlib.metadata.packages_distributions().get(root, [])
    versions = {name: importlib.metadata.version(name) for name in distributions}
    if versions and not any(_is_editable(name) for name in versions):
        return versions
    path = _package_path(root)
    if path.is_dir():
        source = hasher.of_tree((file for file in _files(path) if file.suffix in _SOURCE), path)
    elif path.is_file():
        source = hasher.of_file(path)
    else:
        raise UnknownIdentityError(f"the package {root} of the calculator has neither a version nor a source file")
    return {**versions, f"source of {root}": source}


def _package_path(root: str) -> Path:
    """Return the folder of a package, or the file of a module, without an import of it."""
    spec = importlib.util.find_spec(root)
    if spec is None:
        raise UnknownIdentityError(f"the package {root} is not installed")
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0] if folders else spec.origin or "")


def _version_of(program: Path, arguments: list[str], pattern: str) -> str:
    """Return the version that a program prints, in an empty folder; its hash alone counts if it prints none."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [str(program), *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=VERSION_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
    found = re.search(pattern, done.stdout.decode(errors="replace"), re.MULTILINE)
    return found.group(1) if found else ""


def _is_editable(distribution: str) -> bool:
    """Return whether a distribution is installed from a folder whose files may change without its version."""
    text = importlib.metadata.distribution(distribution).read_text("direct_url.json")
    return text is not None and "dir_info" in json.loads(text)


def _configured(name: str) -> dict[str, str]:
    """Return the section of a calculator in ASE's configuration."""
    with contextlib.suppress(ImportError, KeyError, AttributeError):
        from ase.config import cfg

        return dict(cfg.parser[name])
    return {}


def _folders(name: str, parameters: dict[str, Any]) -> Iterator[Path]:
    """Yield the folders of pseudopotentials, basis sets or parameters of a calculator."""
    configured = _configured(name)
    values = [os.environ.get(variable, "") for variable in PATH_VARIABLES.get(name, ())]
    values += [configured.get(key, "") for key in FOLDER_KEYS]
    values += [str(parameters.get(key, "")) for key in FOLDER_KEYS]
    for value in dict.fromkeys(part for text in values for part in re.split(r"[:\n]", text) if part.strip()):
        folder = Path(value.strip()).expanduser()
        if folder.is_dir():
            yield folder.resolve()


def _paths_in(value: Any) -> Iterator[str]:
    """Yield the files named in keyword arguments, by absolute path."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if key not in FOLDER_KEYS:
                yield from _paths_in(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _paths_in(entry)
    elif isinstance(value, str) and value and "\n" not in value and len(value) < 4096:
        path = Path(value).expanduser()
        with contextlib.suppress(OSError):
            if path.is_absolute() and path.exists() and path.parent != path:
                yield value


def _external_code(name: str, calculator: Any, parameters: dict[str, Any]) -> dict[str, Path]:
    """Return the programs in the command that a calculator starts, by their names in it."""
    from ase.calculators.genericfileio import GenericFileIOCalculator

    is_generic = isinstance(calculator, type) and issubclass(calculator, GenericFileIOCalculator)
    if not (is_generic or hasattr(calculator, "command") or name == "vasp"):
        return {}
    variable = f"ASE_{name.upper().replace('.', '_')}_COMMAND"
    commands = [
        str(parameters.get("command") or ""),
        os.environ.get(variable, ""),
        os.environ.get("VASP_COMMAND", "") if name == "vasp" else "",
        _configured(name).get("command", ""),
        str(getattr(calculator, "command", None) or ""),
    ]
    command = next((command for command in commands if command), "")
    programs = {}
    for word in _split(command):
        found = shutil.which(word)
        if found is not None:
            programs[word] = Path(found).resolve()
    if not programs:
        raise UnknownIdentityError(
            f"the program that the calculator {name} starts is not known: set its command in ASE's configuration"
        )
    return programs


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


if __name__ == "__main__":
    # What a calculator prints when it is imported must not mix with the result.
    output, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(identify(json.loads(sys.argv[1]))), file=output)
