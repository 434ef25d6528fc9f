"""Damaged, endless or hostile files of settings: each gives settings or a clear message."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiida_mlip_autopipec.config.errors import UserError, safe_message, shown
from aiida_mlip_autopipec.config.read import parse_settings, read_yaml
from aiida_mlip_autopipec.config.schemas.pipeline import PipelineConfig
from aiida_mlip_autopipec.config.schemas.resources import ResourcesConfig
from aiida_mlip_autopipec.config.schemas.setup import ComputerConfig
from aiida_mlip_autopipec.config.template import annotated_yaml

SECONDS, MEGABYTES = 10, 500


def read(path: Path) -> PipelineConfig:
    return parse_settings(PipelineConfig, read_yaml(path), path.name)


@pytest.fixture
def limits() -> Iterator[None]:
    """End a test that takes too long; processor time is the same on a busy machine."""

    def stop(*_: object) -> None:
        raise TimeoutError("too slow")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("? [a, b]\n: 1\n", "a key must be text"),
        ("? {a: b}\n: 1\n", "a key must be text"),
        ("1: 2\n", "a key must be text, not 1"),
        ("elements: !!int xyz\n", "is not valid YAML"),
        ("elements: !!int ''\n", "a value cannot be read"),
        ("elements: !!bool maybe\n", "a value cannot be read"),
        ("elements: !!map x\n", "a value cannot be read"),
        ("elements: !!float abc\n", "a value cannot be read"),
        ("elements: !unknown 1\n", "line 1, column 11"),
        ("elements: !!timestamp 2024-01-01\n", "is not valid YAML"),
        ("elements: !!python/object:os.system ls\n", "is not valid YAML"),
        ("elements: !!binary aGVsbG8=\n", "is not valid YAML"),
        ("elements: " + "[" * 3000 + "]" * 3000, "nested more than"),
        ("elements: " + "{a: " * 3000 + "1" + "}" * 3000, "nested more than"),
        (BOMB, "values, those behind aliases"),
        ("elements: &a [*a]\n", "values, those behind aliases"),
        ("elements: [Cu]\nelements: [Al]\n", "is given twice"),
        ("elements: [Cu]\n---\nelements: [Al]\n", "is not valid YAML"),
        ("elements: 2024-99-99\n", "elements"),
        ("elements: [Cu]\ngenerator: {count: true}\n", "generator.count"),
        ("elements: [Cu]\ngenerator: {count: 1000000000}\n", "must be a whole number from 1 to 1000000"),
        ("elements: [Cu]\ngenerator: {max_rattle: .nan}\n", "generator.max_rattle"),
        ("elements: [Cu]\ntraining: {ridge: .inf}\n", "training.ridge"),
        ("elements: [Cu]\nexploration: {temperatures: [.inf]}\n", "exploration.temperatures"),
        ("elements: [Cu]\noracle: {parameters: {a: .nan}}\n", "a: nan is not allowed"),
        ("elements: [Cu]\noracle: {parameters: {a: [1, {b: -.inf}]}}\n", "a[1].b: -inf is not allowed"),
        ('elements: [Cu]\nresources: {oracle: {queue: "normal\\nrm -rf"}}\n', "resources.oracle.queue"),
        ("elements: [Cu]\nresources: {trainer: {account: 'a b'}}\n", "resources.trainer.account"),
        ("elements: [Cu]\nresources: {trainer: {qos: '$(ls)'}}\n", "resources.trainer.qos"),
        ("elements: [Cu]\nresources: {oracle: {scheduler_lines: [rm -rf /]}}\n", "must begin with #"),
        (
            'elements: [Cu]\nresources: {oracle: {scheduler_lines: ["#SBATCH\\nls"]}}\n',
            "resources.oracle.scheduler_lines",
        ),
        ("elements: [Cu]\ngenerator: {count: '300'}\n", "write the number without quotes"),
        ("elements: [Cu]\ntraining: {ridge: '.inf'}\n", "training.ridge"),
        ("elements: [Cu]\ngenerator: {volume_range: ['0.8', 1.5]}\n", "write the number without quotes"),
        ("elements: [Cu]\ngenerator: {volume_range: [1.5, 0.8]}\n", "smallest < largest"),
        ("elements: [Cu]\ngenerator: {variations: {volume_range: [-1.0, 1.2]}}\n", "generator.variations.volume_range"),
        ("elements: [Cu]\nexploration: {pressures: [1.0e+300]}\n", "must be between -1e+12 and 1e+12"),
        ("elements: [Cu]\nexploration: {growth: 1.0e+300}\n", "must be between -1e+12 and 1e+12"),
        ('elements: [Cu]\noracle: {parameters: {a: "\\0"}}\n', "a: '\\x00' is not allowed"),
        ('elements: [Cu]\noracle: {parameters: {a: ["\\ud800"]}}\n', "a[0]: "),
        ('elements: [Cu]\noracle: {parameters: {"a\\e": 1}}\n', "must be text without control characters"),
        (f"elements: [Cu]\noracle: {{parameters: {{a: {'9' * 400}}}}}\n", "at most 63 bits"),
        (
            "elements: [Cu]\noracle: {starting_magnetization: {Cu: true}, type: quantumespresso}\n",
            "starting_magnetization",
        ),
        (
            'elements: [Cu]\noracle: {pseudopotentials: {Cu: "a\\0"}, type: quantumespresso}\n',
            "oracle.pseudopotentials: ",
        ),
        ('elements: [Cu]\nresources: {oracle: {computer: "a\\nb"}}\n', "resources.oracle.computer"),
        ('elements: [Cu]\nresources: {oracle: {prepend_text: "a\\rb"}}\n', "resources.oracle.prepend_text"),
        ("elements: [Cu]\nresources: {oracle: {queue: -x}}\n", "must begin with a letter, a digit or _"),
        ('elements: [Cu]\nexploration: {lammps: "lmp\\nls"}\n', "exploration.lammps"),
        ('elements: [Cu]\ninitial_dataset: ["a\\e[2J"]\n', "initial_dataset"),
        ("\n".join(f"k{number}: 1" for number in range(5000)), "and 4981 more"),
        (f"elements: [{', '.join(f'X{number}' for number in range(5000))}]\n", "and 4980 more"),
        (f"? {'k' * 500_000}\n: 1\n", "unknown key"),
        ('elements: ["\\x1b[2J"]\n', "elements"),
        ("elements: [" + "Xx" * 100_000 + "]\n", "elements"),
    ],
)
def test_invalid_settings_give_a_short_message(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "CONFIG.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read(path)
    printed = safe_message(str(caught.value))
    assert message in printed
    assert len(printed) < 5000 and "\x1b" not in printed and "Traceback" not in printed


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("content", [b"\xff\xfee\x00l\x00", b"a: \x00", b"\x89PNG\r\n\x1a\n" + bytes(range(256))])
def test_files_that_are_not_text_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "CONFIG.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not"):
        read_yaml(path)


@pytest.mark.usefixtures("limits")
def test_endless_and_too_large_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a regular file"):
        read_yaml(Path("/dev/zero"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        read_yaml(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        read_yaml(tmp_path)
    (tmp_path / "long.yaml").write_text("#" * 2_000_000)
    with pytest.raises(UserError, match="more than 1000000 bytes"):
        read_yaml(tmp_path / "long.yaml")


def test_merge_keys_dates_exponents_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "CONFIG.yaml"
    path.write_bytes(
        b"\xef\xbb\xbfelements: [Cu]\noracle: {parameters: {day: 2024-01-02, small: 1e-5}}\n"
        b"resources:\n  oracle: &base {cores: 2, walltime: 60}\n  trainer: {<<: *base, cores: 4}\n"
    )
    config = read(path)
    assert (config.resources.trainer.cores, config.resources.trainer.walltime) == (4, 60)
    assert config.oracle.model_dump()["parameters"] == {"day": "2024-01-02", "small": 1e-5}


@pytest.mark.parametrize(
    "setting",
    [
        {"mpirun": ["srun\nls"]},
        {"queue": "a\nb"},
        {"account": "a\tb"},
        {"key": "/a\n  ProxyCommand ls"},
        {"host": "-oProxyCommand=ls"},
        {"user": "a\n"},
        {"work_folder": "/a\nb"},
        {"environment": "a\r\nb"},
        {"cores": True},
        {"poll_interval": float("inf")},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_settings_that_could_add_lines_to_other_files_are_refused(setting: dict[str, object]) -> None:
    content = {"label": "hpc", "host": "login", "work_folder": "/scratch"}
    assert parse_settings(ComputerConfig, content, "file").label == "hpc"
    with pytest.raises(UserError, match=next(iter(setting))):
        parse_settings(ComputerConfig, {**content, **setting}, "file")


def test_shell_settings_may_have_several_lines() -> None:
    lines = "module load a\n\tsource b\n"
    assert ResourcesConfig(prepend_text=lines).prepend_text == lines
    content = {"label": "hpc", "host": "login", "work_folder": "/scratch", "environment": lines}
    assert ComputerConfig.model_validate(content).environment == lines


def test_settings_stored_as_json_are_read_again() -> None:
    config = PipelineConfig.model_validate(
        {
            "elements": ["Cu"],
            "training": {"seed": 2**40, "n_functions": "auto", "cutoff": 5, "time_limit": 10},
            "resources": {"oracle": {"queue": "a,b", "account": "x@y", "scheduler_lines": ["#SBATCH --gres=gpu:1"]}},
        }
    )
    assert PipelineConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_values_are_shown_short_and_without_control_characters() -> None:
    assert len(shown("x" * 10_000)) < 200
    assert safe_message("a\x1b[31mb\x9b\u202e\r") == "a\\x1b[31mb\\x9b\\u202e\\r"


def mutated(text: bytes, rng: random.Random) -> bytes:
    """Return a text with a few changes: bytes, lines, tokens of YAML."""
    lines = text.split(b"\n")
    for _ in range(rng.randint(1, 4)):
        where = rng.randrange(len(lines))
        kind = rng.randrange(6)
        if kind == 0:
            lines[where] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 20)))
        elif kind == 1:
            lines.insert(where, lines[rng.randrange(len(lines))])
        elif kind == 2:
            line = bytearray(lines[where] or b" ")
            line[rng.randrange(len(line))] = rng.randrange(256)
            lines[where] = bytes(line)
        elif kind == 3:
            head, _, _ = lines[where].partition(b":")
            odd = (
                b"true",
                b".inf",
                b"-1",
                b"1e400",
                b"[" * 500,
                b"&a *a",
                b"!!set {}",
                b"2024-99-99",
                b"9" * 400,
                b"{}",
                b"~",
            )
            lines[where] = head + b": " + rng.choice(odd)
        elif kind == 4:
            lines[where] = b"  " * rng.randint(0, 5) + lines[where].lstrip()
        else:
            del lines[where]
        lines = lines or [b""]
    return b"\n".join(lines)


@pytest.mark.usefixtures("limits")
def test_mutated_files_give_settings_or_a_message(tmp_path: Path) -> None:
    rng = random.Random(20)
    original = annotated_yaml(PipelineConfig(elements=["Cu"])).encode()
    path = tmp_path / "CONFIG.yaml"
    refused, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        path.write_bytes(mutated(original, rng))
        try:
            read(path)
        except UserError as error:
            refused += 1
            assert safe_message(str(error)).isascii() or "\x1b" not in safe_message(str(error))
            assert len(safe_message(str(error))) < 20_000
    assert 20 < refused < 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024
