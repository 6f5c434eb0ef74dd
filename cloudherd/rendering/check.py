"""A Context checked by itself, before any cluster uses it: what it names must be declared, and it must render with
sample values.

Pure, and as costly as a rendering: for worker processes only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from cloudherd.rendering.known import ROOTS, Known, known, names
from cloudherd.rendering.model import RenderRequest, RenderResult
from cloudherd.rendering.render import RenderError, rendered, told
from cloudherd.rendering.sandbox import Unknown
from cloudherd.rendering.template import SANDBOX, parsed

if TYPE_CHECKING:  # a worker process has no use for pydantic
    from cloudherd.api.context import ContextSpec

SAMPLES = ("1", "192.0.2.1/24:80,192.0.2.2/24:80")
"""For required parameters: a number, then something that can be split. A template that renders with one of them is
good.
"""

SERVICE = {"address": "192.0.2.1", "addresses": ["192.0.2.1", "192.0.2.2"], "hostname": "batch-master-0-6f0c2d1e"}


class AnyService(Known):
    """Every name is a service, since the Context does not know which cluster will use it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("services", {"master": known(SERVICE, "services.master")})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __missing__(self, name: str) -> Known:
        return known(SERVICE, f"services.{name}")


def check_context(spec: ContextSpec) -> RenderResult:
    """What the Context renders to with sample values (its length is the status' size), or why it does not."""
    return first_good([check(request) for request in samples(spec)])


def first_good(results: list[RenderResult]) -> RenderResult:
    return next((result for result in results if not result.error), results[0])


def samples(spec: ContextSpec) -> list[RenderRequest]:
    """What to try: one request for each sample of the required parameters; without `services`: `check` knows any."""
    parts = tuple((part.content_type, part.template) for part in spec.parts)
    open_ = any(parameter.required and parameter.default is None for parameter in spec.parameters)
    return [RenderRequest(parts, _values(spec, sample)) for sample in (SAMPLES if open_ else SAMPLES[:1])]


def check(request: RenderRequest) -> RenderResult:
    """Names first, also where no rendering comes by; then a rendering."""
    values = {**known(request.values), "services": AnyService()}
    try:
        for number, (_, source) in enumerate(request.parts, 1):
            _check_names(number, source, values)
        return RenderResult(user_data=rendered(request.parts, values))
    except RenderError as error:
        return RenderResult(error=str(error))


def _values(spec: ContextSpec, sample: str) -> dict[str, Any]:
    return {
        "cluster": {"name": "batch", "namespace": "default"},
        "parameters": {
            each.name: sample if each.required and each.default is None else each.default for each in spec.parameters
        },
        "service": {"name": "worker"},
        "site": {"account": "home", "provider": "simulated", "region": "home"},
    }


def _check_names(number: int, source: str, values: Mapping[str, Any]) -> None:
    with told(number):
        tree = parsed(source)
        free = find_undeclared_variables(tree)
    for name in tree.find_all(nodes.Name):
        if name.name in free and name.name not in ROOTS:
            raise RenderError(
                f"part {number}, line {name.lineno}: `{name.name}` is not known; known are: {names(ROOTS)}"
            )
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        path = _path(node)
        if path and path[0] in values.keys() - own:
            _check_path(number, node.lineno, path, values)


def _path(node: nodes.Node) -> tuple[str, ...]:
    """`("services", "master", "address")` for what is written so, with dots or brackets; empty for all else."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        key = node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        key = node.arg.value
    else:
        return ()
    before = _path(node.node)
    return (*before, key) if before else ()


def _check_path(number: int, line: int, path: tuple[str, ...], values: Mapping[str, Any]) -> None:
    value: Any = values[path[0]]
    for key in path[1:]:
        value = SANDBOX.getattr(value, key)
        if isinstance(value, Unknown):
            break
    if isinstance(value, Unknown) and not value.is_absent:
        raise RenderError(f"part {number}, line {line}: {value._undefined_message}")
