"""The catalogue: what is sold is what all active providers have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sample_app.catalogue import MediaKind, Offer, Options, Price, Provider, intersect, sell
from sample_app.demo import _SAMPLES
from sample_app.generation_request import OUTPUT_FORMATS, RATIOS, RESOLUTIONS, read_fields
from sample_app.models import CATALOGUE
from sample_app.pricing import credits_for, dimensions

if TYPE_CHECKING:
    from tests.sample_app.support import Service

WIDE = Options(("1:1", "16:9", "9:16"), ("png", "webp"), ("1K", "2K"), (4, 8), 4, input_file=True, audio=True)
NARROW = Options(("9:16", "1:1"), ("webp",), ("2K", "1K"), (8, 12), 2, input_file=True)
FREE = Price({"1K": 1, "2K": 1}, {"1K": 0, "2K": 0})


def test_options_are_those_of_all_in_the_order_of_the_first() -> None:
    assert intersect([WIDE, NARROW]) == Options(("1:1", "9:16"), ("webp",), ("1K", "2K"), (8,), 2, input_file=True)
    assert intersect([WIDE]) == WIDE
    assert intersect([WIDE, NARROW, Options(("1:1", "16:9"), ("webp", "png"), ("1K",))]) == Options(
        ("1:1",), ("webp",), ("1K",)
    )


def test_inactive_providers_neither_run_nor_narrow() -> None:
    offers = [Offer(Provider.FAL, WIDE), Offer(Provider.REPLICATE, NARROW, active=False)]
    model = sell("x", MediaKind.IMAGE, "X", offers, FREE)

    assert (model.providers, model.options) == ((Provider.FAL,), WIDE)


@pytest.mark.parametrize(
    ("offers", "price", "problem"),
    [
        ([], FREE, "no provider is active"),
        ([Offer(Provider.FAL, WIDE, active=False)], FREE, "no provider is active"),
        ([Offer(Provider.FAL, Options(("1:1",), (), ("1K",)))], FREE, "no common output_formats, durations"),
        (
            [Offer(Provider.FAL, WIDE), Offer(Provider.REPLICATE, Options(("4:3",), ("png",), ("4K",), (2,)))],
            FREE,
            "no common ratios, resolutions, durations",
        ),
        ([Offer(Provider.FAL, WIDE)], Price({"1K": 1}, {"1K": 1, "2K": 1}), "no price for 2K"),
        ([Offer(Provider.FAL, WIDE)], Price({"1K": 1, "2K": 1}, {"2K": 1}), "no price for 1K"),
        ([Offer(Provider.FAL, WIDE)], Price({"1K": 0, "2K": 1}, {"1K": 0, "2K": 0}), "1K would cost nothing"),
    ],
)
def test_what_cannot_be_sold_is_said_at_once(offers: list[Offer], price: Price, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        sell("x", MediaKind.VIDEO, "X", offers, price)


def test_the_models_on_sale_use_the_contracts_words() -> None:
    models = CATALOGUE.list()

    for model in models:
        assert set(model.options.ratios) <= set(RATIOS)
        assert set(model.options.output_formats) <= set(OUTPUT_FORMATS)
        assert set(model.options.resolutions) <= set(RESOLUTIONS)
        assert bool(model.options.durations) == (model.kind is MediaKind.VIDEO)
    assert len({model.name for model in models}) == len(models) == 6


def test_models_can_be_listed_by_kind(service: Service) -> None:
    def names(query: str) -> list[str]:
        response = service.call("GET", f"/v1/models{query}", headers=service.headers())
        return [model["model"] for model in response.get_json()["data"]["models"]]

    images, videos = ["reef-1", "reef-1-pro", "pearl-2"], ["current-1", "current-1-fast", "lagoon-3"]
    assert names("") == images + videos
    assert names("?kind=image") == images
    assert names("?kind=video") == videos


def test_a_model_is_shown_with_what_its_providers_share(service: Service) -> None:
    shown: dict[str, dict[str, Any]] = {
        model["model"]: model
        for model in service.call("GET", "/v1/models", headers=service.headers()).get_json()["data"]["models"]
    }

    assert shown["reef-1"]["ratios"] == ["1:1", "16:9", "9:16", "4:3", "3:4"]
    assert shown["reef-1"]["output_formats"] == ["png", "jpeg"]
    assert shown["reef-1-pro"]["providers"] == ["fal", "replicate"]
    assert shown["current-1"]["durations"] == [4, 8]
    assert shown["current-1-fast"]["audio"] is False
    assert shown["reef-1"]["defaults"]["generation_duration"] is None


def test_the_demo_generations_cost_what_an_estimate_says() -> None:
    for sample in _SAMPLES:
        model = CATALOGUE.find(sample.model)
        assert model is not None
        assert credits_for(model, dimensions(model, read_fields(sample.request))) == sample.credits
        assert sample.kind is model.kind
        assert sample.provider is None or sample.provider in model.providers
    assert len(_SAMPLES) == 5
