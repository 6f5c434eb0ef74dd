import email
import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudherd.rendering.model import MAX_USER_DATA, RenderRequest
from cloudherd.rendering.render import render
from tests.unit.rendering.namespace import SECRET, VALUES, error, request, text

MASTER = """\
#cloud-config
write_files:
  - path: /etc/condor/config.d/50-pool
    content: |
      COLLECTOR_NAME = {{ parameters.pool }}
      SEC_PASSWORD = {{ parameters.password }}
"""
WORKER = """\
#cloud-config
write_files:
  - path: /etc/condor/config.d/50-pool
    content: |
      CONDOR_HOST = {{ services.master.address }}
      SEC_PASSWORD = {{ parameters.password }}
"""
json_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.text("abcdefgh_", min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | json_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


def test_the_contexts_of_the_condor_example_render_as_their_author_means() -> None:
    assert text(MASTER) == MASTER.replace("{{ parameters.pool }}", "physics").replace(
        "{{ parameters.password }}", SECRET
    )
    assert text(WORKER) == WORKER.replace("{{ services.master.address }}", "10.1.0.17").replace(
        "{{ parameters.password }}", SECRET
    )


def test_every_name_of_the_contract_is_known() -> None:
    template = (
        "{{ cluster.namespace }}/{{ cluster.name }} {{ service.name }} {{ site.account }} {{ site.provider }} "
        "{{ site.region }} {{ services.my_db.hostname }} {{ services.master.addresses | join(',') }}"
    )
    site = {"account": "home", "provider": "ec2", "region": "us-east-1"}
    assert text(template, site=site) == (
        "physics/batch worker home ec2 us-east-1 batch-my-db-0-77aa 10.1.0.17,10.1.0.18"
    )


@pytest.mark.parametrize("template", ["", "\n", "no newline at the end", "one\n", "two\n\n", "Grüße, 世界\n"])
def test_a_single_part_is_the_user_data_to_the_last_newline(template: str) -> None:
    assert text(template) == template


def test_nothing_is_escaped_as_html() -> None:
    assert text("{{ parameters.a }}", parameters={"a": "<a href='x'>&</a>"}) == "<a href='x'>&</a>"


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("a\n\n{{ services.mastr }}", "part 1, line 3: `services.mastr` is not known; known are: master, my_db"),
        ("{{ services.mastr.address }}", "part 1, line 1: `services.mastr` is not known; known are: master, my_db"),
        (
            "\n{{ services.master.ip }}",
            "part 1, line 2: `services.master.ip` is not known; known are: address, addresses, hostname",
        ),
        (
            "{{ parameters.pol }}",
            "part 1, line 1: `parameters.pol` is not known; known are: debug, password, pool, proxy, slots",
        ),
        (
            "{{ clustr }}",
            "part 1, line 1: `clustr` is not known; known are: cluster, parameters, service, services, site",
        ),
        (
            "{{ parameters.proxy }}",
            "part 1, line 1: `parameters.proxy` has no value: none was given and there is no default",
        ),
        ("{{ site.region }}", "part 1, line 1: `site.region` has no value: none was given and there is no default"),
        ("{{ [services.mastr] }}", "part 1, line 1: `services.mastr` is not known; known are: master, my_db"),
        ("{{ services['mastr'] }}", "part 1, line 1: `services[...]` is not known; known are: master, my_db"),
    ],
)
def test_an_unknown_name_is_an_error_with_line_and_alternatives(template: str, sentence: str) -> None:
    assert error(template) == sentence


def test_the_error_names_the_part() -> None:
    outcome = render(request("fine\n", "fine\n", "\n\n{{ nothing }}"))
    assert outcome.error.startswith("part 3, line 3: `nothing` is not known")


def test_a_line_inside_a_loop_a_condition_and_a_macro_is_found() -> None:
    template = "{% macro m(x) %}\n{{ x.nothing }}\n{% endmacro %}\n{% for s in [services] %}\n{{ m(s) }}\n{% endfor %}"
    assert error(template).startswith("part 1, line 2: `services.nothing` is not known")


@pytest.mark.parametrize(
    ("template", "line"),
    [("\n{% if %}", 2), ("{{ a b }}", 1), ("x\ny\n{% for %}", 3), ("{{ x | fooo }}", 1), ("{% endif %}", 1)],
)
def test_a_syntax_error_has_its_line(template: str, line: int) -> None:
    assert error(template).startswith(f"part 1, line {line}: ")


def test_an_optional_parameter_without_value_can_be_asked_for() -> None:
    assert text("{% if parameters.proxy is defined %}proxy{% else %}direct{% endif %}") == "direct"
    assert text("{{ parameters.proxy | default('none') }}") == "none"


@pytest.mark.parametrize(
    "template",
    [
        "{{ services[parameters.password] }}",
        "{{ parameters[parameters.password] }}",
        "{{ [][parameters.password] }}",
        "{{ parameters.password.x }}",
        "{{ parameters.password() }}",
        "{{ parameters.password + 1 }}",
        "{{ 1 / parameters.password }}",
        "{{ parameters.password | int }}",
        "{{ parameters.password | float }}",
        "{{ parameters.password | b64encode | int }}",
        "{{ parameters | tojson | int }}",
        "{{ parameters.password | format(1, 2) }}",
        "{{ '%d' | format(parameters.password) }}",
        "{{ range(parameters.password) }}",
        "{{ [1] | map(parameters.password) | list }}",
        "{{ [1] | select(parameters.password) | list }}",
        "{{ [1, 2] | groupby(parameters.password) }}",
        "{{ [parameters] | map(attribute=parameters.password) | join }}",
        "{{ [1, 2] | sort(attribute=parameters.password) }}",
        "{% set d = {parameters.password: 1} %}{{ d.x }}",
        "{% set d = {parameters.password: 1} %}{{ d['x'] }}",
        "{% set n = namespace() %}{{ n[parameters.password] }}",
        "{% include parameters.password %}",
        "{% for a, b in [parameters.password] %}{{ a }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m(parameters.password) }}",
        "{{ parameters.password == 1 }}",
        "{{ parameters.password * 2 }}",
        "{{ parameters.password }}{{ '\\ud800' }}",
        "{{ parameters.password * (10 ** 6) }}",
    ],
)
def test_no_value_gets_into_an_error(template: str) -> None:
    sentence = error(template)
    assert SECRET not in sentence
    assert b64encode(SECRET.encode()).decode()[:12] not in sentence


def test_neither_request_nor_result_shows_what_it_holds() -> None:
    asked = request("{{ parameters.password }}")
    assert SECRET not in f"{asked!r} {asked} {render(asked)!r}"


def test_too_much_output_is_an_error_that_says_how_much_is_allowed() -> None:
    assert text("{{ 'a' * 65536 }}") == "a" * MAX_USER_DATA
    for template in ("{{ 'a' * 65537 }}", "{% for i in range(100000) %}many{% endfor %}", "{{ 'é' * 40000 }}"):
        assert error(template).startswith("the user data would have more than 65536 bytes")
    assert render(request("a" * 40000, "b" * 40000)).error.startswith("the user data would have more than 65536 bytes")


def test_what_utf8_lacks_is_an_error() -> None:
    assert error("{{ '\\ud800' }}") == "part 1: it holds characters that UTF-8 does not have"


def test_several_parts_become_a_message_whose_parts_are_what_each_renders_to() -> None:
    parts = (
        ("text/cloud-config", "#cloud-config\nhostname: {{ cluster.name }}\n"),
        ("text/x-shellscript", "#!/bin/sh\n"),
    )
    message = email.message_from_bytes(render(RenderRequest(parts, VALUES)).user_data)
    assert [(part.get_content_type(), part.get_payload(decode=True)) for part in message.walk()][1:] == [
        ("text/cloud-config", b"#cloud-config\nhostname: batch\n"),
        ("text/x-shellscript", b"#!/bin/sh\n"),
    ]


def test_a_message_cannot_be_a_part_of_a_message() -> None:
    outcome = render(RenderRequest((("text/plain", "a"), ("multipart/mixed", "b")), VALUES))
    assert outcome.error.startswith("part 2: a part of type multipart/mixed would be taken apart")


@given(st.dictionaries(words, values, max_size=5), st.randoms())
def test_requests_of_one_key_give_the_same_bytes(parameters: dict[str, Any], random: Any) -> None:
    shuffled = list(json.loads(json.dumps(parameters)).items())
    random.shuffle(shuffled)
    template = (
        "{{ parameters }} {{ parameters | tojson }} "
        "{% for name, value in parameters | items %}{{ name }}={{ value }};{% endfor %}"
        "{{ parameters | list }} {{ [parameters, range, namespace, 'x' | map('upper')] }}"
    )
    one, other = (
        RenderRequest((("text/plain", template), ("text/plain", "second")), VALUES | {"parameters": each})
        for each in (parameters, dict(shuffled))
    )
    assert one.key == other.key
    assert render(one) == render(other)


@given(st.text(max_size=40), json_text)
def test_whatever_stands_in_the_braces_nothing_is_raised(inside: str, value: str) -> None:
    for template in (
        inside,
        "{{" + inside + "}}",
        "{% set x = " + inside + " %}{{ x }}",
        "{% if " + inside + " %}{% endif %}",
    ):
        outcome = render(request(template, parameters={"a": value}))
        assert not (outcome.error and outcome.user_data)
