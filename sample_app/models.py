"""The models on sale: data only. What the parts mean is in ``catalogue``.

The names are the sample's own. Replace them by the models that your providers really offer.
"""

from __future__ import annotations

from typing import Final

from sample_app.catalogue import Catalogue, MediaKind, Offer, Options, Price, Provider, sell

_REEF = sell(
    "reef-1",
    MediaKind.IMAGE,
    "Reef 1, fast images",
    [
        Offer(
            Provider.REPLICATE,
            Options(
                ratios=("1:1", "16:9", "9:16", "4:3", "3:4", "21:9"),
                output_formats=("png", "jpeg", "webp"),
                resolutions=("1K", "2K"),
                output_number_max=4,
                input_file=True,
            ),
        ),
        Offer(
            Provider.FAL,
            Options(
                ratios=("1:1", "4:3", "3:4", "16:9", "9:16"),
                output_formats=("jpeg", "png"),
                resolutions=("1K", "2K", "4K"),
                output_number_max=4,
                input_file=True,
            ),
        ),
    ],
    Price(per_output={"1K": 3, "2K": 6}, per_second={"1K": 0, "2K": 0}),
)

_REEF_PRO = sell(
    "reef-1-pro",
    MediaKind.IMAGE,
    "Reef 1 Pro, detailed images",
    [
        Offer(
            Provider.FAL,
            Options(
                ratios=("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"),
                output_formats=("png", "jpeg", "webp"),
                resolutions=("1K", "2K", "4K"),
                output_number_max=4,
                input_file=True,
            ),
        ),
        Offer(
            Provider.REPLICATE,
            Options(
                ratios=("1:1", "16:9", "9:16", "3:2", "2:3"),
                output_formats=("png", "webp"),
                resolutions=("1K", "2K", "4K"),
                output_number_max=2,
                input_file=True,
            ),
        ),
        # Signed up but not switched on: it must not narrow what the other two have in common.
        Offer(
            Provider.OPENROUTER,
            Options(ratios=("1:1",), output_formats=("png",), resolutions=("1K",)),
            active=False,
        ),
    ],
    Price(per_output={"1K": 10, "2K": 18, "4K": 40}, per_second={"1K": 0, "2K": 0, "4K": 0}),
)

_PEARL = sell(
    "pearl-2",
    MediaKind.IMAGE,
    "Pearl 2, images with readable text",
    [
        Offer(
            Provider.OPENROUTER,
            Options(
                ratios=("1:1", "3:2", "2:3", "16:9", "9:16"),
                output_formats=("png", "webp"),
                resolutions=("1K",),
                output_number_max=1,
            ),
        ),
    ],
    Price(per_output={"1K": 12}, per_second={"1K": 0}),
)

_CURRENT = sell(
    "current-1",
    MediaKind.VIDEO,
    "Current 1, video with sound",
    [
        Offer(
            Provider.FAL,
            Options(
                ratios=("16:9", "9:16", "1:1"),
                output_formats=("mp4",),
                resolutions=("720p", "1080p"),
                durations=(4, 6, 8),
                output_number_max=2,
                input_file=True,
                audio=True,
            ),
        ),
        Offer(
            Provider.REPLICATE,
            Options(
                ratios=("16:9", "9:16"),
                output_formats=("mp4", "webm"),
                resolutions=("480p", "720p", "1080p"),
                durations=(4, 8, 12),
                output_number_max=4,
                input_file=True,
                audio=True,
            ),
        ),
    ],
    Price(per_output={"720p": 5, "1080p": 5}, per_second={"720p": 20, "1080p": 35}, per_second_audio=10),
)

_CURRENT_FAST = sell(
    "current-1-fast",
    MediaKind.VIDEO,
    "Current 1 Fast, silent video",
    [
        Offer(
            Provider.REPLICATE,
            Options(
                ratios=("16:9", "9:16", "1:1", "4:3"),
                output_formats=("mp4", "webm"),
                resolutions=("480p", "720p"),
                durations=(2, 4, 6, 8, 10),
                output_number_max=2,
                input_file=True,
                audio=True,
            ),
        ),
        Offer(
            Provider.OPENROUTER,
            Options(
                ratios=("16:9", "9:16", "1:1"),
                output_formats=("webm", "mp4"),
                resolutions=("480p", "720p"),
                durations=(4, 8),
                output_number_max=1,
            ),
        ),
    ],
    Price(per_output={"480p": 2, "720p": 2}, per_second={"480p": 6, "720p": 11}),
)

_LAGOON = sell(
    "lagoon-3",
    MediaKind.VIDEO,
    "Lagoon 3, long video",
    [
        Offer(
            Provider.OPENROUTER,
            Options(
                ratios=("16:9", "9:16", "21:9"),
                output_formats=("mp4",),
                resolutions=("720p", "1080p"),
                durations=(10, 20, 30),
                input_file=True,
                audio=True,
            ),
        ),
        Offer(
            Provider.FAL,
            Options(
                ratios=("16:9", "21:9"),
                output_formats=("mp4", "webm"),
                resolutions=("1080p",),
                durations=(10, 15, 20),
                output_number_max=2,
                input_file=True,
                audio=True,
            ),
        ),
    ],
    Price(per_output={"1080p": 0}, per_second={"1080p": 60}, per_second_audio=15),
)

CATALOGUE: Final = Catalogue((_REEF, _REEF_PRO, _PEARL, _CURRENT, _CURRENT_FAST, _LAGOON))
