import pytest

from tests.unit.rendering.namespace import error, text


@pytest.mark.parametrize("value", ["007", "1.10", "true", "False", "0", "", "1e3", "null", "yes", "{{ x }}", "a\nb"])
def test_a_parameter_prints_as_it_was_written(value: str) -> None:
    assert text("[{{ parameters.a }}]", parameters={"a": value}) == f"[{value}]"


@pytest.mark.parametrize(
    ("value", "meant"),
    [("true", "yes"), ("false", "no"), ("False", "no"), ("0", "no"), ("1", "yes"), ("", "no"), ("x", "yes")],
)
def test_a_boolean_written_as_text_counts_as_what_it_says(value: str, meant: str) -> None:
    for condition in (
        "parameters.a",
        "parameters.a | lower",
        "parameters.a | trim",
        "parameters.b | default(parameters.a)",
    ):
        assert text(f"{{{{ 'yes' if {condition} else 'no' }}}}", parameters={"a": value, "b": None}) == meant
    assert text("{{ 'no' if not parameters.a else 'yes' }}", parameters={"a": value}) == meant


def test_many_names_are_cut_to_a_sentence() -> None:
    sentence = error("{{ parameters.x }}", parameters={f"p{number:02}": "" for number in range(64)})
    assert sentence.endswith("p10, p11 and 52 more")
