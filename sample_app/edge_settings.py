"""Settings of everything outside: providers, the storage of artifacts, customers' servers.

Pointing an adapter at the real service is an address and a token. A provider without a token is not used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sample_app.catalogue import Provider
from sample_app.webhooks.signatures import read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS: Final[Mapping[str, object]] = {
    # Replicate's API, your token for it, the secrets that its webhooks are signed with (`whsec_…`, comma-separated,
    # several while one is replaced), and the hosts that outputs are fetched from (`*.` for all below a name).
    "CONTROL_PLANE_REPLICATE_URL": "https://api.replicate.com",
    "CONTROL_PLANE_REPLICATE_TOKEN": "",
    "CONTROL_PLANE_REPLICATE_WEBHOOK_SECRETS": "",
    "CONTROL_PLANE_REPLICATE_OUTPUT_HOSTS": "replicate.delivery,*.replicate.delivery",
    # The same for fal's queue, whose webhooks are signed with keys published at an address.
    "CONTROL_PLANE_FAL_URL": "https://queue.fal.run",
    "CONTROL_PLANE_FAL_TOKEN": "",
    "CONTROL_PLANE_FAL_KEYS_URL": "https://rest.fal.ai/.well-known/jwks.json",
    "CONTROL_PLANE_FAL_OUTPUT_HOSTS": "fal.media,*.fal.media",
    # The same for OpenRouter, which serves outputs itself; its secrets are any text.
    "CONTROL_PLANE_OPENROUTER_URL": "https://openrouter.ai",
    "CONTROL_PLANE_OPENROUTER_TOKEN": "",
    "CONTROL_PLANE_OPENROUTER_WEBHOOK_SECRETS": "",
    "CONTROL_PLANE_OPENROUTER_OUTPUT_HOSTS": "openrouter.ai",
    # The longest that a provider's answer is waited for. After it, nobody knows whether the order was taken.
    "CONTROL_PLANE_PROVIDER_SECONDS_MAX": "30",
    # How long a submit to Replicate waits for an inline result; 0 does not wait.
    "CONTROL_PLANE_REPLICATE_WAIT_SECONDS": "0",
    # Where artifacts are kept: a folder, or `s3://bucket/prefix`. Empty means `artifacts` in the instance folder.
    # Credentials, region and endpoint of S3 come from the usual AWS_… variables.
    "CONTROL_PLANE_ARTIFACTS": "",
    # The largest output that is fetched from a provider.
    "CONTROL_PLANE_ARTIFACT_BYTES_MAX": str(512 * 1024 * 1024),
    # Whether providers and their outputs may be plain HTTP and on this machine or its network.
    "CONTROL_PLANE_PRIVATE_PROVIDERS": "no",
    # Whether customers' webhooks may. For trying things out: whoever may name an address there then reaches what this
    # server can reach. Apart from the other, so that a provider of one's own does not open this.
    "CONTROL_PLANE_PRIVATE_WEBHOOKS": "no",
}

_TOKEN: Final = re.compile(r"[!-~]{1,512}", re.ASCII)
# Shorter ones could be tried.
_TEXT_SECRET: Final = re.compile(r"[!-~]{16,255}", re.ASCII)
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f:.]{2,45}", re.ASCII)
_S3: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/-]{1,512})?", re.ASCII)
_SWITCH: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One provider. ``webhook_secrets`` or ``keys_url`` is empty, according to the dialect."""

    url: str
    token: str = field(repr=False)
    output_hosts: tuple[str, ...]
    webhook_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    keys_url: str = ""


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """All of it, checked. Only providers with a token are in ``providers``."""

    providers: Mapping[Provider, ProviderSettings]
    provider_seconds_max: float
    replicate_wait_seconds: int
    artifacts: str
    artifact_bytes_max: int
    private_providers: bool
    private_webhooks: bool


def read(config: Mapping[str, object], instance_path: str, problems: list[str]) -> EdgeSettings:
    """The settings out of *config*; what cannot be used is added to *problems*, without repeating any value."""
    reader = _Reader(config, problems)
    private = reader.switch("CONTROL_PLANE_PRIVATE_PROVIDERS")
    artifacts = reader.text("CONTROL_PLANE_ARTIFACTS") or str(Path(instance_path) / "artifacts")
    if artifacts.startswith("s3:") and not _S3.fullmatch(artifacts):
        problems.append("CONTROL_PLANE_ARTIFACTS must be a folder or s3://bucket/prefix.")
    return EdgeSettings(
        providers={
            provider: settings
            for provider in Provider
            if (settings := _provider(provider, reader, private=private)) is not None
        },
        provider_seconds_max=reader.whole("CONTROL_PLANE_PROVIDER_SECONDS_MAX", 1, 600),
        replicate_wait_seconds=reader.whole("CONTROL_PLANE_REPLICATE_WAIT_SECONDS", 0, 60),
        artifacts=artifacts,
        artifact_bytes_max=reader.whole("CONTROL_PLANE_ARTIFACT_BYTES_MAX", 1, 2**40),
        private_providers=private,
        private_webhooks=reader.switch("CONTROL_PLANE_PRIVATE_WEBHOOKS"),
    )


def _provider(provider: Provider, reader: _Reader, *, private: bool) -> ProviderSettings | None:
    name = f"CONTROL_PLANE_{provider.upper()}"
    token = reader.text(f"{name}_TOKEN")
    if not token:
        return None
    if not _TOKEN.fullmatch(token):
        reader.problems.append(f"{name}_TOKEN must be printable ASCII without spaces.")
    settings = ProviderSettings(
        url=reader.url(f"{name}_URL", private=private),
        token=token,
        output_hosts=reader.hosts(f"{name}_OUTPUT_HOSTS"),
        webhook_secrets=(
            reader.texts(f"{name}_WEBHOOK_SECRETS")
            if provider is Provider.OPENROUTER
            else reader.webhook_secrets(f"{name}_WEBHOOK_SECRETS")
        ),
        keys_url=reader.url(f"{name}_KEYS_URL", private=private) if f"{name}_KEYS_URL" in DEFAULTS else "",
    )
    if not settings.keys_url and not settings.webhook_secrets:
        reader.problems.append(
            f"{name}_WEBHOOK_SECRETS is needed with {name}_TOKEN: without it no webhook is believed."
        )
    return settings


@dataclass(frozen=True, slots=True)
class _Reader:
    config: Mapping[str, object]
    problems: list[str]

    def text(self, name: str) -> str:
        value = self.config.get(name, DEFAULTS.get(name, ""))
        if isinstance(value, int):
            # Python settings may say 30 and True where the environment says "30" and "true".
            value = str(value)
        if not isinstance(value, str):
            self.problems.append(f"{name} must be text.")
            return ""
        return value.strip()

    def listed(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def whole(self, name: str, minimum: int, maximum: int) -> int:
        text = self.text(name)
        if not (text.isascii() and text.isdecimal() and len(text) < 20 and minimum <= int(text) <= maximum):
            self.problems.append(f"{name} must be a whole number from {minimum} to {maximum}.")
            return minimum
        return int(text)

    def switch(self, name: str) -> bool:
        text = self.text(name).lower()
        if text not in _SWITCH:
            self.problems.append(f"{name} must be yes or no.")
        return _SWITCH.get(text, False)

    def hosts(self, name: str) -> tuple[str, ...]:
        found = self.listed(name)
        if not found or not all(_HOST.fullmatch(host) for host in found):
            self.problems.append(f"{name} must be lower-case host names without ports, separated by commas.")
        return found

    def url(self, name: str, *, private: bool) -> str:
        text = self.text(name)
        try:
            parts = urlsplit(text)
            usable = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment or "@" in text)
        except ValueError:
            usable = False
        if not usable or parts.scheme not in (("https", "http") if private else ("https",)):
            self.problems.append(f"{name} must be an https:// address without user name, query and fragment.")
        return text

    def texts(self, name: str) -> tuple[bytes, ...]:
        """Secrets that are keys as they are written."""
        found = self.listed(name)
        if not all(_TEXT_SECRET.fullmatch(text) for text in found):
            self.problems.append(f"{name} must be 16 to 255 printable ASCII characters, separated by commas.")
        return tuple(text.encode() for text in found if text.isascii())

    def webhook_secrets(self, name: str) -> tuple[bytes, ...]:
        secrets = []
        for text in self.listed(name):
            try:
                secrets.append(read_secret(text))
            except ValueError:
                self.problems.append(f"{name} must be whsec_ and 24 to 64 bytes in base64, separated by commas.")
        return tuple(secrets)
