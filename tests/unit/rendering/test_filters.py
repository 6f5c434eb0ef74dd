from jinja2.filters import FILTERS as JINJA

from cloudherd.rendering.filters import FILTERS
from tests.unit.rendering.namespace import error, text


def test_a_number_is_made_of_text_by_a_filter_and_never_by_accident() -> None:
    assert text("{{ parameters.slots | int * 2 + 1 }} {{ parameters.slots | float / 8 }}") == "9 0.5"
    assert text("{% for i in range(parameters.slots | int) %}{{ i }}{% endfor %}") == "0123"
    for template in ("{{ parameters.slots + 1 }}", "{{ parameters.slots * 2 }}", "{{ parameters.slots > 3 }}"):
        assert "`| int`" in error(template)
    for template in ("{{ parameters.slots == 4 }}", "{{ parameters.slots != 4 }}", "{{ parameters.debug == false }}"):
        assert "text is compared with a number or with true or false" in error(template)


def test_what_is_no_number_is_never_taken_for_zero() -> None:
    assert error("{{ parameters.pool | int }}") == "part 1, line 1: `| int` was given something that is no whole number"
    assert error("{{ parameters.pool | float }}") == "part 1, line 1: `| float` was given something that is no number"
    assert text("{{ parameters.pool | int(7) }}") == "7"
    assert "is not known" in error("{{ parameters.nothing | int(7) }}")


def test_json_is_that_of_the_value_and_not_of_its_html() -> None:
    assert text("{{ parameters.a | tojson }}", parameters={"a": 'it\'s "<é>"\n'}) == '"it\'s \\"<é>\\"\\n"'
    assert "`parameters.nothing` is not known" in error("{{ [parameters.nothing] | tojson }}")
    assert error("{{ [range] | tojson }}").endswith("no text, number, list or mapping")


def test_filters_that_user_data_needs() -> None:
    assert text("{{ 'é' | b64encode }}") == "w6k="
    assert text("{{ ('a,b' | split(','))[1] }} {{ 'x y' | split | join('-') }}") == "b x-y"
    assert text("{{ 'a\nb' | indent(2) }}") == "a\n  b"
    assert text("{{ services | list | join(' ') }} {{ 'master' in services }}") == "master my_db true"
    assert text("{{ services.master.addresses | map('upper') | reverse | join(',') }}") == "10.1.0.18,10.1.0.17"


def test_filters_that_are_random_or_reach_for_attributes_are_not_offered() -> None:
    assert JINJA.keys() - FILTERS.keys() >= {"random", "attr", "pprint", "xmlattr", "safe"}
