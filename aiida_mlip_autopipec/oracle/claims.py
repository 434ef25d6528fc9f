"""Claims: the structures that a process labels, so that no other process labels them at the same time.

A claim is an extra of the process that computes the labels. It is valid while that process is active, not after it has
finished, excepted or been killed, nor after its node was deleted. Jobs carry a claim for their own structures, which
stays valid if their caller fails first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from aiida.manage import get_manager
from aiida.orm import ProcessNode, QueryBuilder, load_node
from sqlalchemy import text

CLAIM = "mlip_autopipec_claim"
"""Extra of a process: hash of the `method`, and `keys` of the structures that it labels."""

PROGRESS = "mlip_autopipec_progress"
"""Extra of a running labelling: number of labels `reused`, and PKs of the runs it is `waiting_for`."""

_ACTIVE = ("created", "waiting", "running")
_LOCK = "mlip_autopipec|claims"
_LOCK_STATEMENT = text(
    "INSERT INTO db_dbsetting (key, val, description, time) "
    "VALUES (:key, '0', 'Locked while structures are claimed.', CURRENT_TIMESTAMP) "
    "ON CONFLICT (key) DO UPDATE SET val = excluded.val"
)
"""As the first statement of a transaction it locks out all others with the same statement: PostgreSQL locks the row, SQLite the
database."""


def claim(node: ProcessNode, method: str, keys: Collection[str]) -> dict[str, int]:
    """Claim the structures that no other active process has claimed, in place of earlier claims of this process.

    :param method: hash of the method, see :func:`~..dataset.identity.method_id`.
    :param keys: keys of the structures, see :func:`~..dataset.identity.structure_key`.
    :returns: keys that another active process has claimed, with the PK of that process.
    """
    with _locked_claims():
        others = {key: pk for pk, claimed in _claims(method) if pk != node.pk for key in claimed}
        set_claim(node, method, [key for key in keys if key not in others])
    return {key: others[key] for key in keys if key in others}


def set_claim(node: ProcessNode, method: str, keys: Iterable[str], **details: object) -> None:
    """Set the claim of a process without a check for other claims, for a job whose caller holds the claim."""
    node.base.extras.set(CLAIM, {"method": method, "keys": sorted(set(keys)), **details})


def release(node: ProcessNode) -> None:
    """Delete the claim of a process, if it has one."""
    if node.base.extras.get(CLAIM, None) is not None:
        node.base.extras.delete(CLAIM)


def owners(method: str, pks: Collection[int], keys: Collection[str]) -> set[int]:
    """Return the PKs, among `pks`, of active processes that claim at least one of the structures."""
    wanted = set(keys)
    return {pk for pk, claimed in _claims(method, pks) if not wanted.isdisjoint(claimed)}


def _claims(method: str, pks: Collection[int] | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield PK and claimed structure keys of each active process, restricted to `pks` if given."""
    filters = {"attributes.process_state": {"in": list(_ACTIVE)}, f"extras.{CLAIM}.method": method}
    if pks is not None:
        filters["id"] = {"in": list(pks)}
    query = QueryBuilder().append(ProcessNode, filters=filters, project=["id", f"extras.{CLAIM}.keys"])
    # All rows are fetched immediately, since an open cursor keeps a lock on SQLite.
    yield from query.all()


def root_pk(pk: int) -> int:
    """Return the PK of the run that a process belongs to: its topmost caller."""
    node = load_node(pk)
    while node.caller is not None:
        node = node.caller
    return int(node.pk)


@contextmanager
def _locked_claims() -> Iterator[None]:
    """Open a transaction in which no other process, on any machine, reads or writes claims."""
    with get_manager().get_profile_storage().transaction() as session:
        session.execute(_LOCK_STATEMENT, {"key": _LOCK})
        yield
