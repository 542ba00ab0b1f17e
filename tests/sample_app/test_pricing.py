"""Prices: whole credits, the same every time, and never less for more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app.catalogue import MediaKind, Model
from sample_app.errors import ApiError, ErrorCode
from sample_app.generation_request import DURATION_SECONDS_MAX, OUTPUT_FORMATS, RATIOS, RESOLUTIONS, GenerationRequest
from sample_app.models import CATALOGUE
from sample_app.pricing import Dimensions, credits_for, dimensions

if TYPE_CHECKING:
    from tests.sample_app.support import Service

MODELS = CATALOGUE.list()

models = st.sampled_from(MODELS)


@st.composite
def priced(draw: st.DrawFn) -> tuple[Model, Dimensions]:
    """A model with dimensions that it supports."""
    model = draw(models)
    options = model.options
    return model, Dimensions(
        output_number=draw(st.integers(1, options.output_number_max)),
        duration=draw(st.sampled_from(options.durations)) if options.durations else 0,
        resolution=draw(st.sampled_from(options.resolutions)),
        generate_audio=draw(st.booleans()) if options.audio else False,
    )


anything = st.builds(
    GenerationRequest,
    ratio=st.none() | st.sampled_from(RATIOS),
    output_format=st.none() | st.sampled_from(OUTPUT_FORMATS),
    output_number=st.none() | st.integers(1, 4),
    input_file=st.none() | st.just("file_" + "0" * 32),
    duration=st.none() | st.integers(1, DURATION_SECONDS_MAX),
    resolution=st.none() | st.sampled_from(RESOLUTIONS),
    generate_audio=st.none() | st.booleans(),
)


@given(priced())
def test_is_a_positive_integer_and_the_same_every_time(drawn: tuple[Model, Dimensions]) -> None:
    model, wanted = drawn

    assert type(credits_for(model, wanted)) is int
    assert credits_for(model, wanted) > 0
    assert credits_for(model, wanted) == credits_for(model, replace(wanted))


@given(priced())
def test_each_output_costs_the_same(drawn: tuple[Model, Dimensions]) -> None:
    model, wanted = drawn
    one = credits_for(model, replace(wanted, output_number=1))

    assert credits_for(model, wanted) == one * wanted.output_number
    assert credits_for(model, replace(wanted, output_number=wanted.output_number + 1)) > credits_for(model, wanted)


@given(priced(), st.data())
def test_more_never_costs_less(drawn: tuple[Model, Dimensions], data: st.DataObject) -> None:
    model, wanted = drawn
    options = model.options
    better = options.resolutions[
        data.draw(st.integers(options.resolutions.index(wanted.resolution), len(options.resolutions) - 1)) :
    ]
    longer = [each for each in options.durations if each >= wanted.duration]

    more = replace(
        wanted,
        resolution=better[0],
        duration=data.draw(st.sampled_from(longer)) if longer else 0,
        generate_audio=wanted.generate_audio or options.audio,
    )

    assert credits_for(model, more) >= credits_for(model, wanted)


def answer(model: Model, request: GenerationRequest) -> tuple[Dimensions | None, ErrorCode | None]:
    try:
        return dimensions(model, request), None
    except ApiError as refused:
        return None, refused.error


@given(models, anything)
def test_whatever_the_schema_takes_has_a_price_or_a_reason(model: Model, request: GenerationRequest) -> None:
    wanted, refused = answer(model, request)
    if wanted is None:
        assert refused is ErrorCode.UNSUPPORTED_OPTION
        return
    assert credits_for(model, wanted) > 0
    assert request.output_number in (None, wanted.output_number)
    assert request.duration in (None, wanted.duration)
    assert request.resolution in (None, wanted.resolution)


# (body, credits), worked out by hand from the price list.
WORKED_OUT = [
    ({"model": "reef-1"}, 3),
    ({"model": "reef-1", "generation_output_number": 4, "generation_resolution": "2K"}, 24),
    ({"model": "reef-1-pro", "generation_output_number": 2, "generation_resolution": "4K"}, 80),
    ({"model": "pearl-2", "generation_prompt": "A poster", "generation_ratio": "3:2"}, 12),
    ({"model": "current-1"}, 5 + 4 * 20),
    ({"model": "current-1", "generation_generate_audio": True}, 5 + 4 * 30),
    ({"model": "current-1", "generation_duration": 8, "generation_output_number": 2}, 2 * (5 + 8 * 20)),
    ({"model": "current-1", "generation_duration": 8.0, "generation_output_number": 2.0}, 2 * (5 + 8 * 20)),
    ({"model": "current-1-fast", "generation_resolution": "720p", "generation_generate_audio": False}, 2 + 4 * 11),
    ({"model": "lagoon-3", "generation_duration": 20, "generation_generate_audio": True}, 20 * 75),
    ({"model": "reef-1", "generation_provider_order": ["fal"], "generation_input_file": "file_" + "a" * 32}, 3),
]


@pytest.mark.parametrize(("body", "price"), WORKED_OUT)
def test_worked_out_prices(body: dict[str, Any], price: int, service: Service) -> None:
    response = service.call("POST", "/v1/estimate", json=body, headers=service.headers())

    assert response.status_code == 200
    assert response.get_json()["data"]["credits"] == price


# What no model supports in this way, and the field that the message must name.
UNSUPPORTED = [
    ({"model": "reef-1", "generation_ratio": "21:9"}, "generation_ratio"),  # one provider only
    ({"model": "reef-1", "generation_output_format": "webp"}, "generation_output_format"),  # one provider only
    ({"model": "reef-1", "generation_resolution": "4K"}, "generation_resolution"),  # one provider only
    ({"model": "reef-1-pro", "generation_output_number": 3}, "generation_output_number"),
    ({"model": "pearl-2", "generation_input_file": "file_" + "a" * 32}, "generation_input_file"),
    ({"model": "reef-1", "generation_duration": 4}, "generation_duration"),
    ({"model": "current-1", "generation_duration": 6}, "generation_duration"),  # one provider only
    ({"model": "current-1-fast", "generation_generate_audio": True}, "generation_generate_audio"),
    ({"model": "reef-1", "generation_generate_audio": False}, "generation_generate_audio"),
    ({"model": "reef-1-pro", "generation_provider_order": ["openrouter"]}, "generation_provider_order"),  # not active
    ({"model": "reef-1", "generation_resolution": "720p"}, "generation_resolution"),
]


@pytest.mark.parametrize(("body", "field"), UNSUPPORTED)
def test_unsupported_options_are_named(body: dict[str, Any], field: str, service: Service) -> None:
    response = service.call("POST", "/v1/estimate", json=body, headers=service.headers())

    assert (response.status_code, response.get_json()["error"]["code"]) == (422, "BSE2202")
    assert field in response.get_json()["error"]["message"]


INVALID = [
    ([], "object"),
    ("reef-1", "object"),
    (None, "object"),
    ({}, "model"),
    ({"model": None}, "model"),
    ({"model": "Reef 1"}, "model"),
    ({"model": "reef-1\n"}, "model"),
    ({"model": "r" * 65}, "model"),
    ({"model": "reef-1", "width": 1024}, "contract"),
    ({"model": "reef-1", "generation_prompt": ""}, "generation_prompt"),
    ({"model": "reef-1", "generation_prompt": "x" * 4001}, "generation_prompt"),
    ({"model": "reef-1", "generation_prompt": ["x"]}, "generation_prompt"),
    ({"model": "reef-1", "generation_ratio": "5:4"}, "generation_ratio"),
    ({"model": "reef-1", "generation_ratio": {}}, "generation_ratio"),
    ({"model": "reef-1", "generation_output_format": "gif"}, "generation_output_format"),
    ({"model": "reef-1", "generation_output_number": 0}, "generation_output_number"),
    ({"model": "reef-1", "generation_output_number": 5}, "generation_output_number"),
    ({"model": "reef-1", "generation_output_number": True}, "generation_output_number"),
    ({"model": "reef-1", "generation_output_number": 1.5}, "generation_output_number"),
    ({"model": "reef-1", "generation_output_number": 1e300}, "generation_output_number"),
    ({"model": "reef-1", "generation_output_number": 10**400}, "generation_output_number"),
    ({"model": "reef-1", "generation_output_number": "2"}, "generation_output_number"),
    ({"model": "reef-1", "generation_output_number": None}, "generation_output_number"),
    ({"model": "reef-1", "generation_input_file": "my reef.png"}, "generation_input_file"),
    ({"model": "current-1", "generation_duration": -4}, "generation_duration"),
    ({"model": "current-1", "generation_duration": 61}, "generation_duration"),
    ({"model": "current-1", "generation_resolution": 720}, "generation_resolution"),
    ({"model": "current-1", "generation_generate_audio": 1}, "generation_generate_audio"),
    ({"model": "reef-1", "generation_provider_order": []}, "generation_provider_order"),
    ({"model": "reef-1", "generation_provider_order": "fal"}, "generation_provider_order"),
    ({"model": "reef-1", "generation_provider_order": ["fal", "fal"]}, "generation_provider_order"),
    ({"model": "reef-1", "generation_provider_order": ["fal", ["fal"]]}, "generation_provider_order"),
    ({"model": "reef-1", "generation_provider_order": ["acme"]}, "generation_provider_order"),
]


@pytest.mark.parametrize(("body", "named"), INVALID)
def test_invalid_bodies_are_refused_with_the_field(body: Any, named: str, service: Service) -> None:
    headers = service.headers() | {"Content-Type": "application/json"}
    response = service.call("POST", "/v1/estimate", data=json.dumps(body), headers=headers)

    assert (response.status_code, response.get_json()["error"]["code"]) == (422, "BSE2106")
    assert named in response.get_json()["error"]["message"]


def test_all_tables_were_there() -> None:
    assert (len(WORKED_OUT), len(UNSUPPORTED), len(INVALID)) == (11, 11, 33)


def test_the_price_list_of_the_contract_gives_the_same_prices(service: Service) -> None:
    """A client that computes by the published formula comes to what an estimate says."""
    headers, compared = service.headers(), 0
    for shown in service.call("GET", "/v1/models", headers=headers).get_json()["data"]["models"]:
        video = shown["kind"] == MediaKind.VIDEO
        for row in shown["pricing"]["resolutions"]:
            for seconds in shown["durations"] or [0]:
                body = {"model": shown["model"], "generation_resolution": row["generation_resolution"]}
                body |= {"generation_duration": seconds} if video else {}
                body |= {"generation_generate_audio": True} if shown["audio"] else {}
                sound = shown["pricing"]["credits_per_second_audio"] if shown["audio"] else 0
                expected = row["credits_per_output"] + seconds * (row["credits_per_second"] + sound)

                response = service.call("POST", "/v1/estimate", json=body, headers=headers)
                assert response.get_json()["data"]["credits"] == expected
                compared += 1

    assert compared == 2 + 3 + 1 + 4 + 4 + 2
