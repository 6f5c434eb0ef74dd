import pytest

from tests.unit.rendering.namespace import error, text


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ parameters.__class__ }}",
        "{{ parameters['__class__'] }}",
        "{{ services.master.addresses.__class__ }}",
        "{{ services.master.addresses.append('x') }}",
        "{{ (1).__class__ }}",
        "{{ 1.5.real }}",
        "{{ none.__class__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ joiner }}",
        "{{ dict }}",
        "{{ self.__init__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ range.__call__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{% set n = namespace() %}{{ n.__class__ }}",
        "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in [1] %}{{ loop._iterator }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
        "{% macro m() %}{% endmacro %}{{ m._func }}",
        "{{ ''.format }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{0.__class__}' | attr('format') }}",
        "{{ 'x' | attr('__class__') }}",
        "{{ ['x'] | map(attribute='__class__') | list }}",
        "{{ [parameters] | map(attribute='__class__') | list }}",
        "{{ parameters | xmlattr }}",
        "{{ [1, 2] | random }}",
        "{{ 'x' | pprint }}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% set parameters.pool = 'x' %}",
        "{{ undefined_name.__class__ }}",
        "{{ range }}",
        "{{ namespace }}",
        "{% macro m() %}{% endmacro %}{{ m }}",
        "{% for x in [1] %}{{ loop }}{% endfor %}",
    ],
)
def test_what_leads_out_of_the_sandbox_is_an_error(template: str) -> None:
    assert error(template).startswith("part 1, line 1: ")


@pytest.mark.parametrize(
    "template", ["{{ range(10 ** 9) }}", "{% for i in range(10 ** 9) %}x{% endfor %}", "{{ range(100001) | list }}"]
)
def test_a_long_range_is_refused_before_it_costs_anything(template: str) -> None:
    assert error(template) == "part 1, line 1: a number or a range is too large"


@pytest.mark.parametrize(
    "template",
    [
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
    ],
)
def test_endless_recursion_ends_with_a_sentence(template: str) -> None:
    assert error(template).endswith("it nests or calls itself too deeply")


def test_loops_nested_deeper_than_python_can_are_an_error() -> None:
    assert error("{% for i in [1] %}" * 40 + "{% endfor %}" * 40).startswith("part 1")


def test_the_cure_for_a_method_is_a_filter() -> None:
    assert error("{{ parameters.pool.upper() }}") == (
        "part 1, line 1: `.upper` is not known: text has no fields or methods here; there are filters instead, "
        "such as `| upper`"
    )
    assert error("{{ parameters.pool | upperr }}").startswith(
        "part 1, line 1: there is no filter `upperr`; there are: abs, "
    )


def test_a_parameter_may_have_the_name_of_a_method() -> None:
    assert (
        text("{{ parameters.items }} {{ parameters.keys }}", parameters={"items": "many", "keys": "few"}) == "many few"
    )


def test_a_boolean_prints_as_yaml_and_shells_spell_it() -> None:
    assert text("{{ true }} {{ 1 > 2 }} {{ parameters.pool == 'physics' }}") == "true false true"


def test_nothing_at_all_does_not_print() -> None:
    assert error("{{ none }}") == "part 1, line 1: what stands in the braces is no text, number or list"


def test_a_namespace_counts_across_a_loop() -> None:
    template = "{% set n = namespace(x=1) %}{% for i in [1, 2] %}{% set n.x = n.x + i %}{% endfor %}{{ n.x }}"
    assert text(template) == "4"


def test_an_item_that_is_not_there_is_an_error() -> None:
    assert (
        text("{{ services.master.addresses[1] }} {{ services.master.addresses[:1] | first }}") == "10.1.0.18 10.1.0.17"
    )
    assert error("{{ services.master.addresses[2] }}").endswith("a list is shorter than that")
