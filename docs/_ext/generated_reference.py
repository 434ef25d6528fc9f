"""Reference pages generated from the installed package, so that they cannot differ from the code.

A page of the documentation holds placeholders such as `<!-- generated: settings pipeline -->`. Before a page is parsed they are
replaced by Markdown made from the pydantic models, the specifications of the processes and the failure kinds of the programs.
Processes are found by their entry points and models by the models that hold them: modules may move.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

DISTRIBUTION = "aiida-mlip-autopipec"

MODELS = {
    "pipeline": "aiida_mlip_autopipec.config.schemas.pipeline:PipelineConfig",
    "training": "aiida_mlip_autopipec.config.schemas.pipeline:TrainingRunConfig",
    "properties": "aiida_mlip_autopipec.config.schemas.properties:PropertiesConfig",
    "profile": "aiida_mlip_autopipec.config.schemas.setup:ProfileConfig",
    "computer": "aiida_mlip_autopipec.config.schemas.setup:ComputerConfig",
}
"""The models of the files that users write."""

REMEDIES = Path(__file__).parent / "remedies.yaml"
"""Cause and remedy of each exit code, and of each failure kind of the programs."""

PLACEHOLDER = re.compile(r"^<!-- generated: (\w+)(?: (\w+))? -->$", re.M)


def model_of(name: str) -> type[BaseModel]:
    """Return the settings model of a file that users write.

    :param name: a key of :data:`MODELS`.
    """
    loaded: type[BaseModel] = EntryPoint(name, MODELS[name], "").load()
    return loaded


def processes(group: str) -> dict[str, Any]:
    """Return the processes of this package in an entry point group such as `aiida.workflows`, by entry point."""
    found = distribution(DISTRIBUTION).entry_points.select(group=group)
    return {entry.name: entry.load() for entry in sorted(found, key=lambda entry: entry.name)}


def exit_codes() -> dict[tuple[str, str], Any]:
    """Return the exit codes that the processes of this package define, by (entry point, label)."""
    from aiida.engine import BaseRestartWorkChain, CalcJob

    of_aiida = set(CalcJob.spec().exit_codes) | set(BaseRestartWorkChain.spec().exit_codes)
    codes = {}
    for group in ("aiida.workflows", "aiida.calculations"):
        for name, process in processes(group).items():
            for label, code in _class_of(process).spec().exit_codes.items():
                if label not in of_aiida:
                    codes[name, label] = code
    return codes


def settings(name: str) -> str:
    """Return a section for a model and each model in it: key, type, default, limits and description of each setting."""
    return "\n\n".join(_sections(model_of(name), ""))


def workflows() -> str:
    """Return inputs, outputs and exit codes of the WorkChains."""
    return "\n\n".join(_process(name, process) for name, process in processes("aiida.workflows").items())


def calculations() -> str:
    """Return inputs, outputs and exit codes of the calculations: CalcJobs and calcfunctions."""
    return "\n\n".join(_process(name, process) for name, process in processes("aiida.calculations").items())


def remedies() -> str:
    """Return message, cause and remedy of each exit code, process by process."""
    known = yaml.safe_load(REMEDIES.read_text(encoding="utf-8"))["exit_codes"]
    lines: list[str] = []
    shown = ""
    for (name, label), code in exit_codes().items():
        if name != shown:
            lines += ["", f"### `{name}`", ""]
            shown = name
        remedy = known.get(f"{name} {label}") or known.get(label)
        if remedy is None:
            raise ValueError(f"{REMEDIES.name}: no remedy for exit code {label} of {name}")
        lines += [f"**{code.status} `{label}`**", f": {_inline(_message(code))}", ""]
        lines += [f"  *Cause:* {remedy['cause']}", "", f"  *Remedy:* {remedy['remedy']}", ""]
    return "\n".join(lines)


def failure_kinds() -> str:
    """Return the failure kinds of the programs that run as jobs."""
    known = yaml.safe_load(REMEDIES.read_text(encoding="utf-8"))["failure_kinds"]
    return _table(
        ["kind", "cause", "remedy"], [[f"`{kind}`", entry["cause"], entry["remedy"]] for kind, entry in known.items()]
    )


GENERATORS: dict[str, Callable[..., str]] = {
    "settings": settings,
    "workflows": workflows,
    "calculations": calculations,
    "remedies": remedies,
    "failure_kinds": failure_kinds,
}


def expand(text: str) -> str:
    """Return a page with its placeholders replaced; generated headings are one level below the last heading above them."""

    def generated(match: re.Match[str]) -> str:
        name, argument = match.groups()
        markdown = GENERATORS[name](argument) if argument else GENERATORS[name]()
        above = re.findall(r"^(#+) ", text[: match.start()], re.M)
        return re.sub(r"^### ", above[-1] + "# ", markdown, flags=re.M)

    return PLACEHOLDER.sub(generated, text)


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    title = f"`{path}`" if path else "Top level"
    rows, nested = [], []
    for key, field in model.model_fields.items():
        inner = _models_of(field)
        name = f"{path}.{key}" if path else key
        nested += [(name, one, len(inner) > 1) for one in inner]
        limits = ", ".join(filter(None, map(_limit, field.metadata)))
        kind = "section" if inner else _type(field.annotation)
        default = "" if inner else _default(field)
        rows.append(
            [f"`{key}`", kind + (f"; {limits}" if limits else ""), default, " ".join(_words(field.description))]
        )
    yield f"### {title}\n\n{_inline(model.__doc__ or '')}\n\n" + _table(["key", "type", "default", "meaning"], rows)
    for name, one, is_variant in nested:
        yield from _sections(one, f"{name} (type: {one.model_fields['type'].default})" if is_variant else name)


def _models_of(field: Any) -> list[type[BaseModel]]:
    """Return the models that the value of a field may have."""
    from aiida_mlip_autopipec.config.oracles import InstalledOracles

    for choice in field.metadata:
        if isinstance(choice, InstalledOracles):
            return choice.models()
    return _models_in(field.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _type(annotation: Any) -> str:
    """Return what may be written for an annotation, for readers who do not know Python."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = ", ".join(filter(None, map(_limit, annotation.__metadata__)))
        return _type(arguments[0]) + (f" ({limits})" if limits else "")
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if arguments and origin not in (list, tuple, dict):
        parts = ["empty" if argument is type(None) else _type(argument) for argument in arguments]
        return " or ".join(parts)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"{len(arguments)} values: {_type(arguments[0])}"
    if origin in (list, tuple):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping to {_type(arguments[1])}"
    names = {int: "integer", float: "number", bool: "`true` or `false`", str: "text", Path: "path", Any: "any value"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)).lower().replace("secretstr", "text"))


def _limit(constraint: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign}\N{NO-BREAK SPACE}{getattr(constraint, name):g}"
        for name, sign in signs.items()
        if hasattr(constraint, name)
    ]
    return ", ".join(found)


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
    return "empty" if text == "null" or text == "''" else f"`{text}`"


def _class_of(process: Any) -> Any:
    """Return the class of a process; a calcfunction holds its own."""
    return process if isinstance(process, type) else process.process_class


def _process(name: str, process: Any) -> str:
    spec = _class_of(process).spec()
    parts = [f"### `{name}`", _inline(process.__doc__ or "")]
    for title, namespace in (("Inputs", spec.inputs), ("Outputs", spec.outputs)):
        rows = [[f"`{key}`", *rest] for key, *rest in _ports(namespace) if not key.startswith("metadata")]
        if rows:
            parts.append(f"*{title}*\n\n" + _table(["name", "type", "required", "meaning"], rows))
    codes = [
        [str(code.status), f"`{label}`", _inline(_message(code))]
        for (one, label), code in exit_codes().items()
        if one == name
    ]
    if codes:
        parts.append("*Exit codes*\n\n" + _table(["status", "label", "message"], codes))
    return "\n\n".join(parts)


def _ports(namespace: Any, prefix: str = "") -> Iterator[list[str]]:
    for key, port in namespace.items():
        if hasattr(port, "items"):
            if prefix or key != "metadata":
                if port.dynamic:
                    yield [f"{prefix}{key}.*", _valid_type(port), _yes(port.required), _help(port)]
                yield from _ports(port, f"{prefix}{key}.")
        else:
            yield [prefix + key, _valid_type(port), _yes(port.required and not _has_default(port)), _help(port)]


def _has_default(port: Any) -> bool:
    return hasattr(port, "has_default") and bool(port.has_default())


def _help(port: Any) -> str:
    return _inline(port.help or "")


def _yes(required: bool) -> str:
    return "yes" if required else "no"


def _valid_type(port: Any) -> str:
    kinds = port.valid_type if isinstance(port.valid_type, tuple) else (port.valid_type,)
    return ", ".join(kind.__name__ for kind in kinds if kind is not None and kind is not type(None)) or "any"


def _message(code: Any) -> str:
    return str(code.message or "")


def _words(text: str | None) -> list[str]:
    return (text or "").split()


def _inline(text: str) -> str:
    """Return the first part of a docstring as one paragraph of Markdown, without its fields of reStructuredText."""
    text = re.split(r"\n\s*:(?:param|return|raises|ivar)", text)[0]
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text).replace("``", "`")
    return " ".join(text.split()).replace("{", r"\{")


def _table(head: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])


def _replace(app: Any, page: str, source: list[str]) -> None:
    source[0] = expand(source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("source-read", _replace)
    return {"parallel_read_safe": True}
