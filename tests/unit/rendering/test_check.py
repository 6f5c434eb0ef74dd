from typing import Any

import pytest
import yaml

from cloudherd.api.context import ContextSpec
from cloudherd.rendering.check import check_context
from cloudherd.rendering.model import RenderResult

CONDOR = """
parameters:
  - {name: pool, default: physics, description: the pool's name}
  - {name: password, required: true, secret: true}
parts:
  - contentType: text/cloud-config
    template: |
      #cloud-config
      write_files:
        - path: /etc/condor/config.d/50-pool
          content: |
            COLLECTOR_NAME = {{ parameters.pool }}
            CONDOR_HOST = {{ services.master.address }}
            SEC_PASSWORD = {{ parameters.password }}
"""
PARAMETERS: list[dict[str, Any]] = [
    {"name": "pool", "default": "physics"},
    {"name": "slots", "required": True},
    {"name": "proxy"},
]


def checked(*templates: str, parameters: list[dict[str, Any]] = PARAMETERS) -> RenderResult:
    parts = [{"template": template} for template in templates]
    return check_context(ContextSpec.model_validate({"parameters": parameters, "parts": parts}))


def test_a_good_context_has_a_size_and_no_error() -> None:
    outcome = check_context(ContextSpec.model_validate(yaml.safe_load(CONDOR)))
    assert outcome.error == ""
    assert outcome.user_data.decode().splitlines()[-3:] == [
        "      COLLECTOR_NAME = physics",
        "      CONDOR_HOST = 192.0.2.1",
        "      SEC_PASSWORD = 1",
    ]


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("\n{{ parameters.pol }}", "part 1, line 2: `parameters.pol` is not known; known are: pool, proxy, slots"),
        ("{{ parameters['pol'] }}", "part 1, line 1: `parameters.pol` is not known; known are: pool, proxy, slots"),
        ("{{ cluster.nam }}", "part 1, line 1: `cluster.nam` is not known; known are: name, namespace"),
        ("{{ service.names }}", "part 1, line 1: `service.names` is not known; known are: name"),
        ("{{ site.zone }}", "part 1, line 1: `site.zone` is not known; known are: account, provider, region"),
        (
            "{{ services.master.adress }}",
            "part 1, line 1: `services.master.adress` is not known; known are: address, addresses, hostname",
        ),
        (
            "{{ master.address }}",
            "part 1, line 1: `master` is not known; known are: cluster, parameters, service, services, site",
        ),
    ],
)
def test_a_name_that_nothing_declares_is_found_also_where_no_rendering_comes_by(template: str, sentence: str) -> None:
    assert checked(template).error == sentence
    assert checked("{% if false %}" + template + "{% endif %}").error == sentence
    assert checked("fine", template).error == sentence.replace("part 1", "part 2")


def test_an_alias_of_a_known_name_is_followed_by_the_rendering() -> None:
    assert checked("{% set s = services.master %}{{ s.adress }}").error.startswith(
        "part 1, line 1: `services.master.adress` is not known"
    )


def test_syntax_errors_and_filters_that_there_are_not_have_their_line() -> None:
    assert checked("\n\n{% if %}").error.startswith("part 1, line 3: ")
    assert checked("\n{% if false %}{{ 1 | nothing }}{% endif %}").error.startswith(
        "part 1, line 2: there is no filter `nothing`"
    )
    assert checked("{{ " + "(" * 2000 + " }}").error.endswith("it nests or calls itself too deeply")


def test_an_error_in_a_constant_is_told_though_it_comes_up_in_compiling() -> None:
    assert checked("{% set x = 1 if (1).real else 2 %}").error.startswith("part 1: `.real` is not known")


def test_any_service_is_known_since_the_cluster_decides() -> None:
    outcome = checked(
        "{{ services.my_db.address }} {{ services['x'].hostname }} "
        "{% for s in services %}{{ services[s].address }}{% endfor %}"
    )
    assert outcome.error == ""
    assert outcome.user_data.startswith(b"192.0.2.1 ")


def test_an_optional_parameter_must_be_asked_for_before_it_is_used() -> None:
    assert checked("{{ parameters.proxy }}").error == (
        "part 1, line 1: `parameters.proxy` has no value: none was given and there is no default"
    )
    assert checked("{% if parameters.proxy is defined %}{{ parameters.proxy }}{% endif %}").error == ""
    assert checked("{{ parameters.proxy | default('') }}").error == ""


@pytest.mark.parametrize(
    "template",
    [
        "{{ parameters.slots | int + 1 }}",
        "{% for i in range(parameters.slots | int) %}{{ i }}{% endfor %}",
        "{{ (parameters.slots | split(','))[1] }}",
        "{{ (parameters.slots | split('/'))[1] }}",
        "{{ parameters.slots | upper }}",
    ],
)
def test_a_required_parameter_is_tried_as_a_number_and_as_text(template: str) -> None:
    assert checked(template).error == ""


def test_what_fits_no_sample_is_an_error() -> None:
    assert checked("\n{{ parameters.slots + 1 }}").error.startswith("part 1, line 2: the values do not fit")


def test_names_that_the_template_sets_itself_are_its_own() -> None:
    template = "{% for service in services %}{{ service }}{{ services[service].hostname }}{% endfor %}"
    assert checked(template).error == ""
    assert checked("{% macro m(site) %}{{ site.zone }}{% endmacro %}{{ m({'zone': 1}) }}").error == ""
    assert (
        checked(
            "{% set x = {'a': 1} %}{{ x.a }}{{ namespace(b=2).b }}{% for i in [1] %}{{ loop.index }}{% endfor %}"
        ).error
        == ""
    )


def test_what_does_not_fit_into_user_data_is_an_error() -> None:
    assert checked("{{ 'a' * 70000 }}").error.startswith("the user data would have more than 65536 bytes")
