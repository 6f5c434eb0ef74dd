"""Templates parsed and compiled.

What a template can never do (reach for other templates, call a filter that there is not) is refused here, with its
line, even where a rendering would not come by.
"""

from __future__ import annotations

import functools

from jinja2 import Template, TemplateAssertionError, nodes

from cloudherd.rendering.sandbox import Sandbox

SANDBOX = Sandbox()
ALONE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


def parsed(source: str) -> nodes.Template:
    """TemplateSyntaxError, with a line, where the source makes no sense."""
    tree = SANDBOX.parse(source)
    for node in tree.find_all((*ALONE, nodes.Filter, nodes.Test)):
        if isinstance(node, ALONE):
            raise TemplateAssertionError(
                "a template stands alone: it cannot include, import or extend another", node.lineno
            )
        if isinstance(node, nodes.Filter) and node.name not in SANDBOX.filters:
            raise TemplateAssertionError(
                f"there is no filter `{node.name}`; there are: {', '.join(sorted(SANDBOX.filters))}", node.lineno
            )
        if isinstance(node, nodes.Test) and node.name not in SANDBOX.tests:
            raise TemplateAssertionError(f"there is no test `{node.name}`", node.lineno)
    return tree


@functools.lru_cache(maxsize=64)
def compiled(source: str) -> Template:
    """Compiling takes a hundred times as long as rendering, and most clusters render the same few templates."""
    return SANDBOX.from_string(parsed(source))
