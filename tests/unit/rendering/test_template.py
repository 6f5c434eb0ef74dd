import pytest
from jinja2 import TemplateSyntaxError

from cloudherd.rendering.template import compiled, parsed


@pytest.mark.parametrize(
    "source",
    ["{% if false %}{{ 1 | nothing }}{% endif %}", "{% if false %}{{ 1 is nothing }}{% endif %}", "{% include x %}"],
)
def test_what_can_never_work_is_refused_where_no_rendering_comes_by(source: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        parsed("\n" + source)
    assert caught.value.lineno == 2


def test_a_template_is_compiled_once() -> None:
    assert compiled("{{ cluster.name }}") is compiled("{{ cluster.name }}")
