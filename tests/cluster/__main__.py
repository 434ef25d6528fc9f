"""The commands `up`, `down` and `fault`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from .cluster import FAULTS, FULL_DISK, STATE_VARIABLE, Cluster
from .service import ClusterError


def main() -> int:
    """Run a command."""
    # Only needed to import this package, not by the services.
    os.environ.pop("PYTHONPATH", None)
    where = f"Its state is in the folder ${STATE_VARIABLE}, by default mlip-cluster among the temporary files."
    parser = argparse.ArgumentParser(prog="tests/cluster", description=f"A small real cluster for tests. {where}")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser(
        "up", help="install missing packages, start the services that do not run, and print the path of cluster.json"
    )
    up.add_argument(
        "--python",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="Python environment that the user of the cluster may run; may be repeated",
    )
    down = commands.add_parser("down", help="stop all services")
    down.add_argument("--purge", action="store_true", help="also remove the user and the folder of the cluster")
    fault = commands.add_parser("fault", help="stop a service, or start it again")
    fault.add_argument("name", choices=sorted([*FAULTS, FULL_DISK]))
    fault.add_argument("action", choices=("start", "stop"), help="start or stop the fault")
    arguments = parser.parse_args()

    cluster = Cluster()
    began = time.monotonic()
    try:
        if arguments.command == "up":
            changed = cluster.up(*(folder.absolute() for folder in arguments.python))
            took = f"up after {time.monotonic() - began:.1f} s"
            print(took if changed else "it is up already", file=sys.stderr)
            print(cluster.description_file)
        elif arguments.command == "down":
            cluster.down(purge=arguments.purge)
            print(f"down after {time.monotonic() - began:.1f} s", file=sys.stderr)
        else:
            cluster.fault(arguments.name, heal=arguments.action == "stop")
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
