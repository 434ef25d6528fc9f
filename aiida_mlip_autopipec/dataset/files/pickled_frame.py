"""Safe reading of a pickled data frame of structures, without running code of the file.

Unpickling calls any function that a file names, so an untrusted pickle is an untrusted program. This reader neither
calls nor imports anything that the file names: each name in an allow-list (data frame, arrays, ``ase.Atoms``) is
replaced by a :class:`_Record`, which only records arguments and state; any other name is an error. The columns are then
read from the records, with all types and sizes checked. So the reader does not depend on pandas or its version.
"""

from __future__ import annotations

import gzip
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms


class ForeignObjectError(ValueError):
    """A pickle contains other objects than a data frame of structures."""


class _Sealed(type):
    """Metaclass that prevents a pickle from setting class attributes, which its opcode BUILD allows."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f"attribute {name} of {cls.__name__} cannot be set")


class _Record(metaclass=_Sealed):
    """Arguments, state and items of one object of a pickle."""

    args: tuple[Any, ...]
    state: Any
    items: dict[Any, Any]

    def __new__(cls, *args: Any) -> _Record:
        record = super().__new__(cls)
        record.args, record.state, record.items = args, None, {}
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value


class _Frame(_Record): ...


class _Manager(_Record): ...


class _Block(_Record): ...


class _Index(_Record): ...


class _Strings(_Record): ...


class _Structure(_Record): ...


class _Cell(_Record): ...


class _Array(_Record): ...


class _Buffer(_Record): ...


class _Scalar(_Record): ...


class _Dtype(_Record): ...


class _Bytes(_Record): ...


class _Ignored(_Record): ...


_ALLOWED: dict[tuple[str, str], type] = {
    ("pandas.core.frame", "DataFrame"): _Frame,
    ("pandas", "DataFrame"): _Frame,
    ("pandas.core.internals.managers", "BlockManager"): _Manager,
    ("pandas._libs.internals", "_unpickle_block"): _Block,
    ("pandas.core.indexes.base", "_new_Index"): _Index,
    ("pandas.core.indexes.base", "Index"): _Ignored,
    ("pandas", "Index"): _Ignored,
    ("pandas.core.indexes.range", "RangeIndex"): _Ignored,
    ("pandas", "RangeIndex"): _Ignored,
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"): _Strings,
    ("pandas.arrays", "StringArray"): _Ignored,
    ("pandas.core.arrays.string_", "StringArray"): _Ignored,
    ("pandas", "StringDtype"): _Ignored,
    ("pandas.core.arrays.string_", "StringDtype"): _Ignored,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.numeric", "_frombuffer"): _Buffer,
    ("numpy.core.numeric", "_frombuffer"): _Buffer,
    ("numpy._core.multiarray", "scalar"): _Scalar,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy", "ndarray"): _Ignored,
    ("numpy", "dtype"): _Dtype,
    ("ase.atoms", "Atoms"): _Structure,
    ("ase.cell", "Cell"): _Cell,
    ("ase.calculators.singlepoint", "SinglePointCalculator"): _Ignored,
    ("ase.calculators.calculator", "Parameters"): _Ignored,
    ("ase.constraints", "FixAtoms"): _Ignored,
    ("ase.constraints", "FixCartesian"): _Ignored,
    ("ase.constraints.fix_atoms", "FixAtoms"): _Ignored,
    ("ase.constraints.fix_cartesian", "FixCartesian"): _Ignored,
    # The state of a calculator contains a bound method, pickled as getattr(calculator, name).
    ("builtins", "getattr"): _Ignored,
    ("builtins", "slice"): slice,
    ("builtins", "bytes"): _Bytes,
    ("_codecs", "encode"): _Bytes,
}

_PLAIN_TYPE = re.compile(r"[fiub][1-8]|U[0-9]{1,6}|O8?")
"""Type codes of readable arrays: numbers, text, objects."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        stand_in = _ALLOWED.get(("builtins" if module == "__builtin__" else module, name))
        if stand_in is None:
            raise ForeignObjectError(f"it contains {module}.{name}, which is not part of a data frame of structures")
        return stand_in


def read_columns(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a gzipped, pickled ``pandas.DataFrame`` of structures.

    :returns: columns by name; arrays as ``numpy.ndarray``, structures as ``ase.Atoms`` without calculator and
        constraints, with the numbers and text of their ``info``.
    :raises ForeignObjectError: if the pickle contains other objects than a data frame, arrays and structures.
    :raises ValueError: if the file is damaged or has another content.
    """
    try:
        with gzip.open(path, "rb") as file:
            return _columns(_Unpickler(file).load())
    except (ForeignObjectError, OSError, EOFError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"no readable data frame: {error or type(error).__name__}") from error


def _expect(record: Any, kind: type[_Record]) -> Any:
    if not isinstance(record, kind):
        raise ValueError(f"{type(record).__name__.strip('_').lower()} where {kind.__name__.strip('_').lower()} belongs")
    return record


def _columns(frame: Any) -> dict[str, list[Any]]:
    manager = _expect(_expect(frame, _Frame).state["_mgr"], _Manager)
    blocks, (names_of, _) = manager.args
    names = [str(name) for name in _values(_expect(names_of, _Index).args[1]["data"]).tolist()]
    columns: dict[str, list[Any]] = {}
    for block in blocks:
        values, placement, _ = _expect(block, _Block).args
        array = _values(values)
        rows = array if array.ndim == 2 else array[None]
        places = range(len(names))[placement] if isinstance(placement, slice) else _values(placement).tolist()
        for place, row in zip(places, rows, strict=True):
            columns[names[place]] = [_value(entry) for entry in row.tolist()]
    return columns


def _value(entry: Any) -> Any:
    if isinstance(entry, _Structure):
        return _structure(entry)
    if isinstance(entry, (_Array, _Buffer)):
        return _values(entry)
    return _number(entry) if isinstance(entry, _Scalar) else entry


def _structure(record: _Structure) -> Atoms:
    arrays = record.state["arrays"]
    cell = record.state.get("_cellobj", record.state.get("_cell"))
    info = {key: _value(value) for key, value in record.state.get("info", {}).items() if isinstance(key, str)}
    return Atoms(
        numbers=_values(arrays["numbers"]),
        positions=_values(arrays["positions"]),
        cell=_values(cell.state["array"] if isinstance(cell, _Cell) else cell),
        pbc=_values(record.state["_pbc"]),
        info={key: value for key, value in info.items() if isinstance(value, (bool, int, float, str))},
    )


def _values(record: Any) -> np.ndarray:
    if isinstance(record, _Strings):
        return _values(next(part for part in record.state if isinstance(part, (_Array, _Buffer))))
    if isinstance(record, _Buffer):
        raw, dtype, shape, order = record.args
        fortran = order == "F"
    else:
        _, shape, dtype, fortran, raw = _expect(record, _Array).state
    kind = _dtype(dtype)
    size = math.prod(shape)
    if kind.hasobject:
        if not isinstance(raw, list) or len(raw) != size:
            raise ValueError("an array of objects is incomplete")
        flat = np.empty(size, dtype=object)
        for index, entry in enumerate(raw):
            flat[index] = entry
    else:
        content = _content(raw)
        if len(content) != size * kind.itemsize:
            raise ValueError("an array of numbers is incomplete")
        flat = np.frombuffer(content, dtype=kind).astype(kind.newbyteorder("="))
    return flat.reshape(shape, order="F" if fortran else "C")


def _dtype(record: Any) -> np.dtype:
    record = _expect(record, _Dtype)
    code, order = str(record.args[0]), "|"
    if record.state is not None:
        order, parts = str(record.state[1]), record.state[2:5]
        if any(part is not None for part in parts):
            raise ValueError("an array of records")
    if not _PLAIN_TYPE.fullmatch(code) or order not in "<>|=":
        raise ValueError(f"an array of the type {order}{code}")
    return np.dtype(code) if code.startswith("O") else np.dtype(order + code)


def _number(record: _Scalar) -> Any:
    kind, raw = record.args
    dtype = _dtype(kind)
    if dtype.hasobject:
        raise ValueError("a number that is an object")
    return np.frombuffer(_content(raw), dtype=dtype, count=1)[0].item()


def _content(raw: Any) -> bytes:
    if isinstance(raw, _Bytes):  # protocols before 3 write bytes as text
        return raw.args[0].encode("latin-1") if raw.args else b""
    if not isinstance(raw, (bytes, bytearray)):
        raise ValueError("an array without content")
    return bytes(raw)
