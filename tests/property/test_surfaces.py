"""A Host header alone never loosens a check."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bsguard.core.paths import under
from bsguard.core.surfaces import Surface, Surfaces
from tests.property.support import joined, looks, native

HOSTS = ["api.test", "app.test", "*.api.test", "*.test", "www.test"]
ASKED = [*HOSTS, "eu.api.test", "a.test", "evil.example", "", "test"]
PREFIXES = ["/", "/v1", "/v1/docs", "/v2", "/pages", "/v"]


@st.composite
def declared(draw: Any) -> Surfaces:
    count = draw(st.integers(1, 4))
    return Surfaces(
        Surface(
            name=str(number),
            kind=draw(st.sampled_from(["api", "web"])),
            hosts=tuple(draw(st.lists(st.sampled_from(HOSTS), max_size=2, unique=True))),
            prefixes=tuple(draw(st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3, unique=True))),
        )
        for number in range(count)
    )


hosts = st.sampled_from(ASKED) | native(12)
paths = joined("/", "v1", "docs", "v", "v2", "pages", "x", "10").map(lambda text: "/" + text) | native(10)


@looks(80)
@given(declared(), hosts, paths)
def test_a_path_that_an_api_surface_claims_is_judged_as_api_whatever_the_host(
    surfaces: Surfaces, host: str, path: str
) -> None:
    claimed = any(
        under(prefix, path)
        for surface in surfaces.declared
        if surface.kind == "api"
        for prefix in surface.prefixes
        if prefix != "/"
    )
    placement = surfaces.place(host, path)

    if claimed:
        assert placement.api
    if placement.problem is None:
        assert placement.surface is not None
        assert any(under(prefix, path or "/") or path == "*" for prefix in placement.surface.prefixes)
        assert not placement.surface.hosts or host in placement.surface.hosts or "*" in "".join(placement.surface.hosts)
        assert placement.api or placement.surface.kind == "web"


@looks(80)
@given(declared(), hosts, hosts, paths)
def test_what_one_host_has_judged_as_api_no_other_host_serves_as_web(
    surfaces: Surfaces, host: str, other: str, path: str
) -> None:
    here, there = surfaces.place(host, path), surfaces.place(other, path)
    by_prefix = here.surface is not None and any(
        prefix != "/" and under(prefix, path) for prefix in here.surface.prefixes
    )
    if here.surface is not None and here.surface.kind == "api" and here.problem is None and by_prefix:
        assert there.api


@looks(40)
@given(declared(), native(20))
def test_a_host_that_nobody_declared_is_served_by_nobody_where_all_surfaces_have_hosts(
    surfaces: Surfaces, path: str
) -> None:
    placement = surfaces.place("evil.example", path)
    if all(surface.hosts for surface in surfaces.declared):
        assert placement.problem == "host"
        assert placement.api is any(surface.kind == "api" for surface in surfaces.declared)
    else:
        assert placement.problem != "host"


@looks(40)
@given(declared(), hosts, paths)
def test_a_path_outside_every_surface_of_its_host_is_a_problem(surfaces: Surfaces, host: str, path: str) -> None:
    placement = surfaces.place(host, path)
    asked = "/" if path in ("", "*") else path
    served = any(under(prefix, asked) for surface in surfaces.declared for prefix in surface.prefixes)

    assert served or placement.problem is not None
