"""Settings of providers, storage and customers' servers: what is taken, and every problem in one sentence."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from sample_app import edge_settings
from sample_app.artifacts.local_folder import LocalFolder
from sample_app.catalogue import Provider
from sample_app.clock import system_clock
from sample_app.edges import open_edges

if TYPE_CHECKING:
    from sample_app.edge_settings import EdgeSettings

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
ALL = {
    "CONTROL_PLANE_REPLICATE_TOKEN": "r8_token",
    "CONTROL_PLANE_REPLICATE_WEBHOOK_SECRETS": f"{SECRET}, {SECRET}",
    "CONTROL_PLANE_FAL_TOKEN": "fal:token",
    "CONTROL_PLANE_OPENROUTER_TOKEN": "sk-or-token",
    "CONTROL_PLANE_OPENROUTER_WEBHOOK_SECRETS": SECRET,
}


def settle(config: dict[str, object]) -> tuple[EdgeSettings, list[str]]:
    problems: list[str] = []
    return edge_settings.read(config, "/instance", problems), problems


def test_without_tokens_no_provider_is_used() -> None:
    settings, problems = settle({})
    edges = open_edges(settings, system_clock)

    assert (problems, dict(edges.ports), settings.private_providers) == ([], {}, False)
    assert settings.artifacts == "/instance/artifacts"


def test_a_token_and_a_secret_are_all_that_the_real_services_need() -> None:
    settings, problems = settle(dict(ALL))
    edges = open_edges(settings, system_clock)

    assert problems == []
    assert list(edges.ports) == list(Provider)
    assert settings.providers[Provider.REPLICATE].url == "https://api.replicate.com"
    assert settings.providers[Provider.REPLICATE].webhook_secrets == (b"s" * 32, b"s" * 32)
    # OpenRouter's secret is a key as it is written, and not what it would be in base64.
    assert settings.providers[Provider.OPENROUTER].webhook_secrets == (SECRET.encode(),)
    assert settings.providers[Provider.FAL].keys_url == "https://rest.fal.ai/.well-known/jwks.json"
    assert settings.providers[Provider.OPENROUTER].output_hosts == ("openrouter.ai",)


def test_no_secret_is_shown_by_what_holds_it() -> None:
    settings, _ = settle(dict(ALL))
    shown = repr(settings) + repr(open_edges(settings, system_clock))

    for secret in ("r8_token", "fal:token", "sk-or-token", "ssss"):
        assert secret not in shown


def test_numbers_and_switches_may_be_pythons() -> None:
    settings, problems = settle({"CONTROL_PLANE_PROVIDER_SECONDS_MAX": 7, "CONTROL_PLANE_PRIVATE_PROVIDERS": True})

    assert (problems, settings.provider_seconds_max, settings.private_providers) == ([], 7, True)


@pytest.mark.parametrize(("opened", "outcome"), [("PROVIDERS", "not_https"), ("WEBHOOKS", "unreachable")])
def test_a_provider_of_ones_own_does_not_open_the_network_to_customers(opened: str, outcome: str) -> None:
    settings, problems = settle(ALL | {f"CONTROL_PLANE_PRIVATE_{opened}": "yes"})
    sent = open_edges(settings, system_clock).sender.send("http://127.0.0.1:1/", SECRET, "evt_1", 1, b"{}")

    assert (problems, sent.outcome) == ([], outcome)


def test_s3_is_chosen_by_its_address() -> None:
    pytest.importorskip("obstore", reason="obstore is not installed")
    from sample_app.artifacts.s3 import S3

    in_s3 = open_edges(settle({"CONTROL_PLANE_ARTIFACTS": "s3://bucket/prefix"})[0], system_clock)
    in_folder = open_edges(settle({"CONTROL_PLANE_ARTIFACTS": "/var/lib/artifacts"})[0], system_clock)

    assert isinstance(in_s3.artifacts.store, S3)  # type: ignore[attr-defined]
    assert isinstance(in_folder.artifacts.store, LocalFolder)  # type: ignore[attr-defined]


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"CONTROL_PLANE_REPLICATE_WEBHOOK_SECRETS": ""}, "REPLICATE_WEBHOOK_SECRETS is needed"),
    ({"CONTROL_PLANE_REPLICATE_WEBHOOK_SECRETS": "hunter2"}, "whsec_ and 24 to 64 bytes"),
    ({"CONTROL_PLANE_OPENROUTER_WEBHOOK_SECRETS": "hunter2"}, "16 to 255 printable ASCII"),
    ({"CONTROL_PLANE_REPLICATE_TOKEN": "hunter2 hunter2"}, "printable ASCII without spaces"),
    ({"CONTROL_PLANE_REPLICATE_URL": "http://api.replicate.com"}, "https:// address"),
    ({"CONTROL_PLANE_REPLICATE_URL": "https://hunter2@api.replicate.com"}, "https:// address"),
    ({"CONTROL_PLANE_REPLICATE_URL": "https://api.replicate.com?x=1"}, "https:// address"),
    ({"CONTROL_PLANE_REPLICATE_URL": "https://[::1"}, "https:// address"),
    ({"CONTROL_PLANE_REPLICATE_URL": ""}, "https:// address"),
    ({"CONTROL_PLANE_FAL_KEYS_URL": "http://rest.fal.ai/"}, "FAL_KEYS_URL must be an https:// address"),
    ({"CONTROL_PLANE_FAL_OUTPUT_HOSTS": ""}, "FAL_OUTPUT_HOSTS must be lower-case host names"),
    ({"CONTROL_PLANE_FAL_OUTPUT_HOSTS": "https://fal.media"}, "FAL_OUTPUT_HOSTS must be lower-case host names"),
    ({"CONTROL_PLANE_FAL_OUTPUT_HOSTS": "*"}, "FAL_OUTPUT_HOSTS must be lower-case host names"),
    ({"CONTROL_PLANE_PROVIDER_SECONDS_MAX": "0"}, "from 1 to 600"),
    ({"CONTROL_PLANE_PROVIDER_SECONDS_MAX": "1e3"}, "from 1 to 600"),
    ({"CONTROL_PLANE_PROVIDER_SECONDS_MAX": "\u0661"}, "from 1 to 600"),
    ({"CONTROL_PLANE_PROVIDER_SECONDS_MAX": None}, "must be text"),
    ({"CONTROL_PLANE_ARTIFACTS": "s3:/bucket"}, "a folder or s3://bucket/prefix"),
    ({"CONTROL_PLANE_PRIVATE_WEBHOOKS": "perhaps"}, "must be yes or no"),
]


@pytest.mark.parametrize(("changed", "said"), REFUSED, ids=range(len(REFUSED)))
def test_is_refused(changed: dict[str, object], said: str) -> None:
    _, problems = settle(ALL | changed)

    assert any(said in problem for problem in problems)
    assert len(problems) <= 2
    assert "hunter2" not in str(problems)


def test_all_refusals_were_there() -> None:
    assert len(REFUSED) == 19
