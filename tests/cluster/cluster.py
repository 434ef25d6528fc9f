"""A cluster on this machine: SLURM with two nodes behind an SSH server, PostgreSQL and RabbitMQ."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

from .service import ClusterError, Service, as_user, clean_environment, succeeds

STATE_VARIABLE = "MLIP_CLUSTER"
SSH_HOST = "mlip-cluster"
"""Name of the cluster in `~/.ssh/config`."""
USER = "mlipcluster"
USER_COMMENT = "test cluster of aiida-mlip-autopipec"
PACKAGES = (
    "acl",
    "mariadb-client-core",
    "mariadb-server-core",
    "munge",
    "openssh-client",
    "openssh-server",
    "postgresql",
    "rabbitmq-server",
    "slurm-wlm",
    "slurmdbd",
)
PORTS = ("postgres", "rabbitmq", "rabbitmq_peers", "epmd", "ssh", "slurmctld", "slurmdbd", "node1", "node2")
FAULTS = {
    "ssh": "sshd",
    "slurmctld": "slurmctld",
    "rabbitmq": "rabbitmq",
    "postgres": "postgres",
    "node": "node2",
}
"""Faults, and the service that is stopped to cause each."""

FULL_DISK = "disk"
"""A further fault: the disk of a second work folder is filled."""

SMALL_DISK = "16m"


class Cluster:
    """The cluster; its state is in a given folder, by default that of `MLIP_CLUSTER` or a folder among the temporary files."""

    def __init__(self, state: Path | None = None) -> None:
        default = Path(tempfile.gettempdir()) / "mlip-cluster"
        self.state = (state or Path(os.environ.get(STATE_VARIABLE) or default)).resolve()
        self.description_file = self.state / "cluster.json"

    def up(self, *pythons: Path) -> bool:
        """Install missing packages, and start the services that do not run.

        :param pythons: Python environments that the user of the cluster may run.
        :returns: whether a service was started.
        """
        if os.geteuid() != 0:
            raise ClusterError("the cluster needs root: it creates a user, and starts services as several users")
        with self._alone():
            if not self.description_file.exists() and any(path.name != "lock" for path in self.state.iterdir()):
                raise ClusterError(f"{self.state} contains other files: set {STATE_VARIABLE} to an empty folder")
            install_packages()
            description = self.describe() if self.description_file.exists() else self._new_description()
            services = self.services(description)
            idle = [service for service in services.values() if service.pid is None]
            if idle:
                self._prepare(description)
                self._start(services)
            for python in pythons:
                self._open(python)
            description["pythons"] = sorted({*description["pythons"], *map(str, pythons)})
            self._write(description)
        return bool(idle)

    def down(self, *, purge: bool = False) -> None:
        """Stop every service; with `purge`, also remove the user and the content of the folder."""
        if not self.description_file.exists():
            return
        with self._alone():
            services = self.services(self.describe())
            if services["slurmctld"].pid is not None:
                # Else the controller would start the waiting jobs at the next `up`.
                succeeds("scancel", f"--user={USER}", environment=self._slurm_environment)
            for service in reversed(services.values()):
                service.stop()
            if self._small.is_mount():
                _run("umount", str(self._small))
            self._close()
        if purge:
            if _is_ours(USER):
                _run("userdel", USER)
            shutil.rmtree(self.state)

    def fault(self, name: str, *, heal: bool = False) -> None:
        """Cause a fault: stop a service, or fill the small disk; with `heal`, start the service again, or free the space."""
        if name == FULL_DISK:
            if not self._small.is_mount():
                raise ClusterError(f"{self._small} is not a separate disk: this machine does not permit to mount one")
            filler = self._small / "filler"
            filler.unlink() if heal else _fill(filler)
            return
        service = self.services(self.describe())[FAULTS[name]]
        with self._alone():
            if heal:
                service.start()
                service.wait()
            else:
                service.stop()

    def describe(self) -> dict[str, Any]:
        """Return the content of `cluster.json`: addresses, ports, users and passwords for the tests."""
        if not self.description_file.exists():
            raise ClusterError(f"there is no cluster in {self.state}: start it with tests/cluster/up")
        description: dict[str, Any] = json.loads(self.description_file.read_text())
        return description

    def services(self, description: dict[str, Any]) -> dict[str, Service]:
        """Return the services in the order in which `up` starts them; `down` stops them in the reverse order."""
        ports = description["ports"]
        slurm = self._slurm_environment
        rabbitmq = self.state / "rabbitmq"
        etc = self.state / "etc"

        def serves(port: str) -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", ports[port])) == 0

        def node_serves(name: str) -> bool:
            command = ["sinfo", "--noheader", f"--nodes={name}", "--format=%t"]
            state = subprocess.run(command, capture_output=True, text=True, env=slurm, check=False)
            # For some time after its start, the controller reports a node as idle although the node has not registered.
            return serves(name) and state.stdout.strip() in ("idle", "mix", "alloc", "comp")

        def slurm_answers(*command: str) -> bool:
            return succeeds(*command, environment=slurm)

        def service(name: str, *command: object, **options: Any) -> Service:
            return Service(name, self.state / "run", tuple(str(part) for part in command), **options)

        services = [
            service(
                "rabbitmq",
                "/usr/lib/rabbitmq/bin/rabbitmq-server",
                is_ready=lambda: serves("rabbitmq"),
                user="rabbitmq",
                isolated=True,
                environment={
                    "HOME": str(rabbitmq),
                    "ERL_EPMD_ADDRESS": "127.0.0.1",
                    "ERL_EPMD_PORT": str(ports["epmd"]),
                    "RABBITMQ_NODENAME": "mlip@localhost",
                    "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                    "RABBITMQ_NODE_PORT": str(ports["rabbitmq"]),
                    "RABBITMQ_DIST_PORT": str(ports["rabbitmq_peers"]),
                    "RABBITMQ_MNESIA_BASE": str(rabbitmq / "mnesia"),
                    "RABBITMQ_LOG_BASE": str(rabbitmq / "log"),
                    "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq.conf"),
                    "RABBITMQ_ADVANCED_CONFIG_FILE": str(etc / "rabbitmq_advanced.config"),
                    "RABBITMQ_ENABLED_PLUGINS_FILE": str(rabbitmq / "plugins"),
                    # Listen for other RabbitMQ nodes on the loopback address only, and use no processor time when idle.
                    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
                },
            ),
            service(
                "postgres",
                _postgres_program("postgres"),
                *("-D", self.state / "postgres/data"),
                is_ready=lambda: serves("postgres"),
                user="postgres",
                stop_signal=signal.SIGINT,
            ),
            service(
                "sshd",
                *("/usr/sbin/sshd", "-D", "-e", "-f", etc / "sshd_config"),
                is_ready=lambda: succeeds("ssh", "-F", str(etc / "ssh_config"), SSH_HOST, "true"),
                isolated=True,
            ),
            service(
                "munged",
                *("/usr/sbin/munged", "--foreground", "--force", "--num-threads=2"),
                f"--key-file={self.state}/munge/key",
                f"--socket={self._munge_socket}",
                f"--pid-file={self.state}/munge/pid",
                f"--seed-file={self.state}/munge/seed",
                is_ready=lambda: succeeds("munge", "--no-input", f"--socket={self._munge_socket}"),
                user="munge",
            ),
            service(
                "mariadb",
                *("/usr/sbin/mariadbd", "--no-defaults", "--skip-networking", "--innodb-flush-log-at-trx-commit=0"),
                *("--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--innodb-lock-wait-timeout=900"),
                f"--datadir={self.state}/mariadb/data",
                f"--socket={self._mariadb_socket}",
                f"--pid-file={self.state}/mariadb/pid",
                is_ready=lambda: slurm_answers("mariadb", "--no-defaults", "--execute=SELECT 1"),
                user="slurm",
            ),
            service(
                "slurmdbd",
                *("/usr/sbin/slurmdbd", "-D"),
                is_ready=lambda: slurm_answers("sacctmgr", "--noheader", "list", "cluster"),
                environment=slurm,
            ),
            service(
                "slurmctld",
                *("/usr/sbin/slurmctld", "-D"),
                is_ready=lambda: slurm_answers("scontrol", "ping"),
                environment=slurm,
            ),
        ]
        for node in ("node1", "node2"):
            services.append(
                service(
                    node,
                    *("/usr/sbin/slurmd", "-D", "-N", node),
                    is_ready=lambda node=node: node_serves(node),
                    environment=slurm,
                    isolated=True,
                )
            )
        return {service.name: service for service in services}

    @property
    def _slurm_environment(self) -> dict[str, str]:
        conf = self.state / "etc/slurm.conf"
        return clean_environment(SLURM_CONF=str(conf), MYSQL_UNIX_PORT=str(self._mariadb_socket))

    @property
    def _small(self) -> Path:
        return self.state / "home/small"

    @property
    def _munge_socket(self) -> Path:
        return self.state / "munge/socket"

    @property
    def _mariadb_socket(self) -> Path:
        return self.state / "mariadb/socket"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the folder, so that one command runs at a time. The folder must belong to this user."""
        self.state.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self.state.stat().st_uid != os.geteuid():
            raise ClusterError(f"{self.state} belongs to somebody else: set {STATE_VARIABLE} to another folder")
        with (self.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _new_description(self) -> dict[str, Any]:
        ports = _free_ports()
        password = secrets.token_hex(8)
        postgres = {"host": "127.0.0.1", "port": ports["postgres"], "user": "aiida", "password": password}
        rabbitmq = {"host": "127.0.0.1", "port": ports["rabbitmq"], "user": "aiida", "password": password}
        return {
            "state": str(self.state),
            "ports": ports,
            "user": USER,
            "work": str(self.state / "home/work"),
            "small": str(self._small),
            "pythons": [],
            "ssh": {
                "host": SSH_HOST,
                "config": str(self.state / "etc/ssh_config"),
                "address": "127.0.0.1",
                "port": ports["ssh"],
                "key": str(self.state / "ssh/key"),
                "known_hosts": str(self.state / "ssh/known_hosts"),
            },
            "slurm": {"conf": str(self.state / "etc/slurm.conf"), "partition": "main", "nodes": ["node1", "node2"]},
            "postgres": {**postgres, "database": "aiida"},
            "rabbitmq": {"protocol": "amqp", **rabbitmq, "virtual_host": ""},
        }

    def _write(self, description: dict[str, Any]) -> None:
        self.description_file.touch(mode=0o600)
        self.description_file.write_text(json.dumps(description, indent=2) + "\n")

    def _prepare(self, description: dict[str, Any]) -> None:
        """Create user, folders, keys, settings and empty databases, as far as they are missing."""
        self._write(description)
        self._make_user()
        home = self.state / "home"
        for folder, owner in {
            self.state / "run": "root",
            self.state / "etc": "root",
            self.state / "ssh": "root",
            self.state / "slurm": "root",
            self.state / "slurm/controller": "root",
            self.state / "slurm/node1": "root",
            self.state / "slurm/node2": "root",
            self.state / "munge": "munge",
            self.state / "mariadb": "slurm",
            self.state / "postgres": "postgres",
            self.state / "rabbitmq": "rabbitmq",
            home: USER,
            home / "work": USER,
            self._small: USER,
            Path("/run/sshd"): "root",
        }.items():
            folder.mkdir(mode=0o755, exist_ok=True)
            if folder == self._small and not folder.is_mount():
                # Before the services start, since they do not see a disk that is mounted later. Some machines do not permit it.
                succeeds("mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=0755", "tmpfs", str(folder))
            shutil.chown(folder, owner, owner)
        if not succeeds(*as_user(USER), "test", "-x", str(home)):
            raise ClusterError(
                f"only root can enter {self.state}: set {STATE_VARIABLE} to a folder that other users can enter"
            )

        values = {f"{name}_port": port for name, port in description["ports"].items()}
        values |= {"state": self.state, "user": USER, "munge_socket": self._munge_socket, "ssh_host": SSH_HOST}
        values |= {"password": description["rabbitmq"]["password"]}
        readers = {"slurmdbd.conf": "root", "rabbitmq.conf": "rabbitmq"}
        for template in sorted((Path(__file__).parent / "etc").iterdir()):
            target = self.state / "etc" / template.name
            target.touch()
            if template.name in readers:
                target.chmod(0o600)
                shutil.chown(target, readers[template.name])
            target.write_text(Template(template.read_text()).substitute(values))

        for key in ("key", "host_key"):
            if not (self.state / "ssh" / key).exists():
                _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", str(self.state / "ssh" / key))
        host_key = " ".join((self.state / "ssh/host_key.pub").read_text().split()[:2])
        (self.state / "ssh/known_hosts").write_text(f"[127.0.0.1]:{description['ports']['ssh']} {host_key}\n")

        munge_key = self.state / "munge/key"
        if not munge_key.exists():
            munge_key.touch(mode=0o400)
            shutil.chown(munge_key, "munge", "munge")
            munge_key.write_bytes(secrets.token_bytes(1024))

        if not (data := self.state / "postgres/data").exists():
            options = ["--auth-local=peer", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
            _run(_postgres_program("initdb"), f"--pgdata={data}", "--no-sync", *options, user="postgres")
            settings = (self.state / "etc/postgresql.conf").read_text()
            with (data / "postgresql.conf").open("a") as file:
                file.write(settings)

        if not (data := self.state / "mariadb/data").exists():
            options = ["--no-defaults", "--auth-root-authentication-method=socket", "--skip-test-db"]
            _run("mariadb-install-db", *options, f"--datadir={data}", user="slurm")

    def _make_user(self) -> None:
        home = str(self.state / "home")
        if not _exists(USER):
            # sshd refuses locked users: the user is not locked, but no password is valid.
            _run("useradd", "-M", "-d", home, "-s", "/bin/bash", "-c", USER_COMMENT, "-p", "*", USER)
        elif not _is_ours(USER):
            raise ClusterError(f"a user {USER} exists that does not belong to the test cluster")
        elif pwd.getpwnam(USER).pw_dir != home:
            _run("usermod", "-d", home, USER)

    def _start(self, services: dict[str, Service]) -> None:
        slurm = self._slurm_environment
        if services["postgres"].pid is None:
            # A killed server leaves this file; another process may have the same id by now.
            (self.state / "postgres/data/postmaster.pid").unlink(missing_ok=True)
        for name in ("rabbitmq", "postgres", "sshd", "munged", "mariadb"):
            services[name].start()
        for name in ("munged", "mariadb", "slurmdbd"):
            services[name].start()
            services[name].wait()
        if not _run("sacctmgr", "--noheader", "list", "cluster", environment=slurm).strip():
            _run("sacctmgr", "--immediate", "add", "cluster", "mlip", environment=slurm)
        services["slurmctld"].start()
        services["slurmctld"].wait()
        for service in services.values():
            service.start()
        for service in services.values():
            service.wait()
        self._make_database()

    def _make_database(self) -> None:
        psql = ["psql", f"--host={self.state}/postgres", f"--port={self.describe()['ports']['postgres']}"]
        psql += ["--no-psqlrc", "--quiet", "--tuples-only", "--set=ON_ERROR_STOP=1"]
        if _run(*psql, "--command=SELECT 1 FROM pg_roles WHERE rolname = 'aiida'", user="postgres").strip():
            return
        # By standard input, since lists of processes show the arguments of commands.
        role = f"CREATE ROLE aiida LOGIN CREATEDB PASSWORD '{self.describe()['postgres']['password']}';"
        _run(*psql, user="postgres", stdin=f"{role} CREATE DATABASE aiida OWNER aiida;")

    def _open(self, python: Path) -> None:
        """Allow the user to enter the folders above a Python environment that are closed to others."""
        program = python / "bin/python3"
        if not program.exists():
            raise ClusterError(f"{python} is no Python environment: there is no {program}")
        ask = "import json, os, sys; print(json.dumps([os.path.realpath(sys.executable), sys.prefix, *sys.path]))"
        used = [Path(path) for path in json.loads(_run(str(program), "-c", ask)) if path]
        closed = {
            folder
            for path in used
            for folder in [*path.parents, *path.resolve().parents]
            if folder.exists() and not folder.stat().st_mode & 0o001
        }
        opened = self.state / "opened.json"
        before = json.loads(opened.read_text()) if opened.exists() else []
        opened.write_text(json.dumps(sorted({*before, *map(str, closed)})))
        for folder in closed:
            _run("setfacl", "--modify", f"user:{USER}:x", str(folder))
        if not succeeds(*as_user(USER), str(program), "-c", "import sys", environment=clean_environment()):
            raise ClusterError(f"the user {USER} cannot run {program}")

    def _close(self) -> None:
        opened = self.state / "opened.json"
        if opened.exists() and _exists(USER):
            for folder in json.loads(opened.read_text()):
                if Path(folder).exists():
                    _run("setfacl", "--remove", f"user:{USER}", folder)
        opened.unlink(missing_ok=True)


def install_packages() -> None:
    """Install missing packages of Debian without starting their services."""
    if shutil.which("apt-get") is None:
        raise ClusterError("the cluster is installed from packages of Debian, and this machine has no apt-get")
    known = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    missing = [package for package in PACKAGES if f"{package} installed" not in known.stdout.splitlines()]
    if not missing:
        return
    print("installing", *missing, file=sys.stderr)
    # Else the package of PostgreSQL would create a database cluster in /var/lib.
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if not settings.exists():
        settings.parent.mkdir(exist_ok=True)
        settings.write_text("create_main_cluster = false\n")
    policy = Path("/usr/sbin/policy-rc.d")
    created = not policy.exists()
    if created:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["--quiet", "--yes", "--no-install-recommends"]
    options += ["-oDpkg::Options::=--force-confold", "-oDpkg::Options::=--force-unsafe-io"]
    try:
        _run("apt-get", "--quiet", "update", environment=environment)
        _run("apt-get", "install", *options, *missing, environment=environment)
    finally:
        if created:
            policy.unlink()


def _run(*command: str, user: str = "root", environment: dict[str, str] | None = None, stdin: str = "") -> str:
    """Run a command and return its output.

    :raises ClusterError: if it fails, with its output.
    """
    run = subprocess.run(
        [*as_user(user), *command],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        env=clean_environment() if environment is None else environment,
        check=False,
    )
    if run.returncode != 0:
        raise ClusterError(f"{' '.join(command)} ended with {run.returncode}:\n{run.stdout}")
    return run.stdout


def _fill(file: Path) -> None:
    """Fill the disk of a file to the last block."""
    try:
        with file.open("wb", buffering=0) as handle:
            while True:
                handle.write(bytes(4096))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _exists(user: str) -> bool:
    return any(entry.pw_name == user for entry in pwd.getpwall())


def _is_ours(user: str) -> bool:
    return _exists(user) and pwd.getpwnam(user).pw_gecos == USER_COMMENT


def _postgres_program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        raise ClusterError(f"{name} of PostgreSQL is not installed")
    return str(found[-1])


def _free_ports() -> dict[str, int]:
    """Return consecutive free ports, below those that the kernel uses for outgoing connections."""
    for first in range(16000, 32000, 20):
        ports = dict(zip(PORTS, range(first, first + len(PORTS)), strict=True))
        if all(_is_free(port) for port in ports.values()):
            return ports
    raise ClusterError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
