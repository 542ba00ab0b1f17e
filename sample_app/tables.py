"""The tables of the control plane, on SQLite and PostgreSQL. The ledger's own are `bsguard.billing`'s.

Moments are milliseconds since 1970, UTC; null means never. Whoever changes a state names the states that it may come
from, in the statement that changes it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# Rises when a table changes; a database of a version that leads nowhere is refused rather than half understood.
VERSION: Final = 3

# What makes the next version of each.
UPGRADES: Final = {
    2: (
        "ALTER TABLE attempts ADD COLUMN quoted_micro_usd BIGINT NOT NULL DEFAULT 0",
        "UPDATE attempts SET quoted_micro_usd = spend_micro_usd",
        "DROP INDEX idx_attempts_provider_updated",
        "CREATE INDEX idx_attempts_updated ON attempts (updated_at)",
    ),
}

metadata = MetaData()

# On SQLite only a column of this very type counts up by itself.
_Counter: Final = BigInteger().with_variant(Integer, "sqlite")

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("secret_sha256", LargeBinary(32), nullable=False),
    Column("account_id", String(63), nullable=False),
    Column("label", String(100), nullable=False),
    # Scope names separated by spaces, sorted.
    Column("scopes", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("idx_api_keys_account", "account_id"),
)

generations = Table(
    "generations",
    metadata,
    Column("generation_id", String(36), primary_key=True),
    Column("account_id", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("model", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    # The common fields as they were sent, as JSON.
    Column("request", Text, nullable=False),
    Column("credits", BigInteger, nullable=False),
    Column("provider", String(32)),
    # The file ids of the outputs, as a JSON list.
    Column("outputs", Text, nullable=False),
    Column("failure_code", String(64)),
    Column("failure_message", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # When somebody has to look at it next; null when there is nothing left to do.
    Column("due_at", BigInteger),
    # Who works on it, and until when nobody else does.
    Column("lease_owner", String(64)),
    Column("lease_until", BigInteger),
    # Counts what others have to tell the one who works on it, so that he does not go to sleep over it.
    Column("signals", Integer, nullable=False, default=0),
    # Serves the newest-first walk through one account without sorting.
    Index("idx_generations_account_created", "account_id", "created_at", "generation_id"),
    Index("idx_generations_due", "due_at"),
    Index("idx_generations_account_status", "account_id", "status"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("generation_id", String(36), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("provider", String(32), nullable=False),
    # Goes to the provider with the order and comes back with its report.
    Column("token", String(32), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("provider_id", String(255)),
    # The provider's addresses of the outputs, as a JSON list.
    Column("outputs", Text, nullable=False),
    Column("reason", String(32)),
    # What the operator pays the provider, in millionths of a US dollar: by the price list, and as far as it is known;
    # until then the one stands for the other.
    Column("quoted_micro_usd", BigInteger, nullable=False),
    Column("spend_micro_usd", BigInteger, nullable=False),
    Column("spend_known", Boolean, nullable=False),
    # How often the provider was asked in vain, when it is asked next, and when asking ends.
    Column("polls", Integer, nullable=False, default=0),
    Column("poll_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger, nullable=False),
    Column("cancel_asked", Boolean, nullable=False, default=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # Serves the look at every provider's last minute.
    Index("idx_attempts_updated", "updated_at"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("provider", String(32), primary_key=True),
    Column("event_id", String(255), primary_key=True),
    Column("token", String(32), nullable=False),
    # What became of it: applied, late, repeated, stranger.
    Column("outcome", String(16), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Index("idx_inbox_received", "received_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("event_id", _Counter, primary_key=True, autoincrement=True),
    Column("generation_id", String(36), nullable=False),
    Column("account_id", String(63), nullable=False),
    Column("version", Integer, nullable=False),
    # The generation as the API shows it, at this version.
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # Whether the account's webhooks have a delivery of it each.
    Column("dispatched", Boolean, nullable=False, default=False),
    UniqueConstraint("generation_id", "version"),
    Index("idx_outbox_dispatched", "dispatched", "event_id"),
)

subscriptions = Table(
    "webhook_subscriptions",
    metadata,
    Column("subscription_id", String(36), primary_key=True),
    Column("account_id", String(63), nullable=False),
    Column("url", String(2048), nullable=False),
    # The key that events are signed with; it must be known to sign, so it cannot be a digest.
    Column("secret", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Index("idx_webhook_subscriptions_account", "account_id"),
)

deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subscription_id", String(36), primary_key=True),
    Column("tries", Integer, nullable=False, default=0),
    # Null once it is delivered or given up.
    Column("due_at", BigInteger),
    Column("delivered_at", BigInteger),
    Column("last_outcome", String(64)),
    Index("idx_webhook_deliveries_due", "due_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", String(63), primary_key=True),
    Column("operation", String(32), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("parameters_sha256", LargeBinary(32), nullable=False),
    # The first answer, as JSON; it is written by the transaction that claims the key.
    Column("answer", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("idx_idempotency_keys_created", "created_at"),
)

files = Table(
    "files",
    metadata,
    Column("file_id", String(37), primary_key=True),
    Column("account_id", String(63), nullable=False),
    # Null for uploads.
    Column("generation_id", String(36)),
    Column("storage_key", String(255), nullable=False),
    Column("media_type", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index("idx_files_expires", "expires_at"),
)

# Jobs of which one runs at a time, whatever the number of machines.
jobs = Table(
    "jobs",
    metadata,
    Column("job", String(32), primary_key=True),
    Column("owner", String(64)),
    Column("until", BigInteger, nullable=False),
)

# One row a name: what the deployment made up for itself at its first start.
secrets = Table(
    "secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(128), nullable=False),
)

version = Table(
    "control_plane_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)
