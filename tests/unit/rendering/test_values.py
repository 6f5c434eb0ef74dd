from cloudherd.api.context import Parameter
from cloudherd.rendering.values import ServiceAddresses, parameter_values, template_values
from tests.unit.rendering.namespace import text

DECLARED = [
    Parameter(name="pool", default="physics"),
    Parameter(name="slots", required=True),
    Parameter(name="password", required=True, secret=True),
    Parameter(name="proxy"),
]


def test_what_is_given_goes_before_the_secret_and_the_secret_before_the_default() -> None:
    given, secrets = {"slots": "4"}, {"slots": "8", "pool": "atlas", "password": "p"}
    assert parameter_values(DECLARED, given, secrets) == (
        {"pool": "atlas", "slots": "4", "password": "p", "proxy": None},
        "",
    )
    assert parameter_values(DECLARED, {"slots": "4", "pool": ""}, {"password": "p"})[0]["pool"] == ""


def test_a_secret_may_hold_keys_for_other_contexts() -> None:
    values, error = parameter_values(DECLARED, {"slots": "4"}, {"password": "p", "token": "t"})
    assert error == ""
    assert "token" not in values


def test_a_required_parameter_that_is_missing_says_where_to_set_it() -> None:
    assert parameter_values(DECLARED, {}, {"password": "p"}) == (
        {},
        (
            "parameter `slots` is required: set it in the service's parameters, or in a Secret of parametersFrom under "
            "the key `slots`"
        ),
    )
    assert parameter_values(DECLARED, {"slots": "4"}, {}) == (
        {},
        "parameter `password` is required: set it in a Secret of parametersFrom, under the key `password`",
    )


def test_a_parameter_that_the_context_does_not_declare_is_an_error() -> None:
    assert parameter_values(DECLARED, {"slot": "4"}, {})[1] == (
        "parameter `slot` is not declared by the Context; declared are: password, pool, proxy, slots"
    )
    assert parameter_values([], {"slot": "4"}, {})[1].endswith("declared are: none")


def test_a_secret_parameter_is_not_taken_from_the_manifest_and_its_value_is_not_shown() -> None:
    values, error = parameter_values(DECLARED, {"slots": "4", "password": "hunter2"}, {"password": "p"})
    assert values == {}
    assert error == "parameter `password` is secret: give it in a Secret of parametersFrom, not in parameters"


def test_templates_reach_everything_under_the_names_of_the_contract() -> None:
    services = {"my-db": ServiceAddresses(address="10.1.0.20", addresses=("10.1.0.20", "10.1.0.21"), hostname="h")}
    values = template_values(
        "batch", "physics", "worker", "home", "simulated", "cern", services, {"pool": "p", "proxy": None}
    )
    assert values == {
        "cluster": {"name": "batch", "namespace": "physics"},
        "parameters": {"pool": "p", "proxy": None},
        "service": {"name": "worker"},
        "services": {"my_db": {"address": "10.1.0.20", "addresses": ["10.1.0.20", "10.1.0.21"], "hostname": "h"}},
        "site": {"account": "home", "provider": "simulated", "region": "cern"},
    }
    assert text("{{ services.my_db.address }}", **values) == "10.1.0.20"


def test_what_is_empty_has_no_value() -> None:
    services = {"db": ServiceAddresses(address="", addresses=(), hostname="")}
    values = template_values("batch", "physics", "worker", "home", "simulated", "", services, {})
    assert values["site"]["region"] is None
    assert values["services"]["db"] == {"address": None, "addresses": [], "hostname": None}
