#!/usr/bin/env -S verdi run
"""Write the files to publish a potential: an AiiDA archive with its provenance, its dataset as extended XYZ, the `.yace` file.

    verdi run examples/publish.py PK|UUID FOLDER

PK or UUID is that of a run or of a potential. Others import the archive by `verdi archive import` and can run the same queries.
"""

import sys
from pathlib import Path

from aiida import orm
from aiida.tools.archive import create_archive

from aiida_mlip_autopipec.dataset.library import load_dataset
from aiida_mlip_autopipec.dataset.trajectory import all_frames
from aiida_mlip_autopipec.trainer.database import DatabaseManager

if len(sys.argv) != 3:
    raise SystemExit("usage: verdi run examples/publish.py PK|UUID FOLDER")
node, folder = orm.load_node(sys.argv[1]), Path(sys.argv[2])
run = node
while not isinstance(run, orm.WorkChainNode) or run.caller is not None:
    run = run.caller if isinstance(run, orm.ProcessNode) else run.creator
folder.mkdir(parents=True)
create_archive([run.outputs.potential], filename=folder / "potential.aiida")
frames = all_frames(load_dataset(run.uuid))
DatabaseManager().save_dataset(frames, folder / "dataset.extxyz", keep_duplicates=True)
(folder / "potential.yace").write_bytes(run.outputs.potential.get_content(mode="rb"))
print(f"{folder}: potential.aiida, dataset.extxyz ({len(frames)} structures), potential.yace")
