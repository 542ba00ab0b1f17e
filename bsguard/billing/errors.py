"""What can go wrong, as narrow exceptions with the facts as attributes.

Each says by :attr:`BillingError.retryable` whether the same call may simply be made again. Nothing was written when one
of these is raised, :class:`OutcomeUnknown` excepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bsguard.core.errors import BsguardError

if TYPE_CHECKING:
    from bsguard.billing.outcomes import Hold


class BillingError(BsguardError):
    """Base of all errors of the ledger."""

    #: Whether making the same call again can help.
    retryable: ClassVar[bool] = False


class ArgumentInvalid(BillingError, ValueError):
    """An argument cannot be used: a bug in the calling program, never the state of an account."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        self.name = name
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{name} {problem}; {remedy}")


class UnknownAccount(BillingError):
    """There is no such account."""

    def __init__(self, account: str) -> None:
        self.account = account
        super().__init__(f"there is no account {account!r}; open it, or give it credits")


class UnknownGeneration(BillingError):
    """Nothing was ever reserved for this generation."""

    def __init__(self, generation: str) -> None:
        self.generation = generation
        super().__init__(f"nothing is reserved for generation {generation!r}; reserve first")


class WrongOwner(BillingError):
    """The generation belongs to another account than the one named."""

    def __init__(self, generation: str, account: str) -> None:
        self.generation = generation
        #: The account that the caller named. The owner is not told: the text may end up in an answer to this account.
        self.account = account
        super().__init__(f"generation {generation!r} does not belong to account {account!r}")


class InsufficientCredits(BillingError):
    """The account does not have what is asked for."""

    def __init__(self, account: str, required: int, available: int) -> None:
        self.account = account
        self.required = required
        #: What could have been taken: the balance above the floor, without grants that have expired.
        self.available = available
        super().__init__(f"account {account!r} needs {required} credits and has {available}")


class BalanceTooLarge(BillingError):
    """The operation would lift a balance above what 64 bits hold safely."""

    def __init__(self, account: str, amount: int) -> None:
        self.account = account
        self.amount = amount
        super().__init__(f"adding {amount} would lift account {account!r} above the largest balance")


class AlreadyOpen(BillingError):
    """The account exists with another floor."""

    def __init__(self, account: str, floor: int) -> None:
        self.account = account
        #: The floor it has.
        self.floor = floor
        super().__init__(f"account {account!r} is open with floor {floor}; set_floor changes it")


class KeyConflict(BillingError):
    """The idempotency key was used before for something else."""

    def __init__(self, account: str, key: str) -> None:
        self.account = account
        self.key = key
        super().__init__(f"key {key!r} of account {account!r} was used with other parameters; use a new key")


class AlreadySettled(BillingError):
    """Base of the errors that tell how a generation was dealt with before; :attr:`hold` has the amounts."""

    how: ClassVar[str] = "settled"

    def __init__(self, hold: Hold) -> None:
        #: The hold as it is now.
        self.hold = hold
        self.generation = hold.generation
        super().__init__(f"generation {hold.generation!r} was already {self.how}: {hold.amounts}")


class AlreadyReserved(AlreadySettled):
    """The generation is reserved with other parameters."""

    how = "reserved"


class AlreadyCharged(AlreadySettled):
    """The first settlement was a charge, or one of another amount."""

    how = "charged"


class AlreadyReleased(AlreadySettled):
    """The first settlement was a release."""

    how = "released"


class AlreadyExpired(AlreadySettled):
    """The reservation ran out before it was settled."""

    how = "released because it expired"


class AlreadyRefunded(AlreadySettled):
    """The generation was refunded before, by another amount."""

    how = "refunded"


class NotCharged(BillingError):
    """A refund needs a charge, and the generation is still open."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.generation = hold.generation
        super().__init__(f"generation {hold.generation!r} is not charged yet; release it instead")


class OverSettlement(BillingError):
    """More is to be charged than is reserved, or refunded than was charged."""

    def __init__(self, generation: str, required: int, limit: int) -> None:
        self.generation = generation
        self.required = required
        #: The most that could be settled.
        self.limit = limit
        super().__init__(f"generation {generation!r} allows {limit} credits, not {required}")


class Contention(BillingError):
    """The account or the database stayed locked for too long. Nothing was done; try again a little later."""

    retryable = True
    #: What to tell a client in ``Retry-After``.
    retry_after_seconds: ClassVar[int] = 1


class DatabaseUnavailable(BillingError):
    """The database cannot be reached or cannot write. Nothing was done."""

    retryable = True


class OutcomeUnknown(BillingError):
    """The database was lost before it answered: the operation was done entirely or not at all, and nobody knows.

    Making the same call again is safe and gives the answer: generations, and the key in :attr:`key`, count once.
    """

    retryable = True

    def __init__(self, operation: str, key: str | None = None) -> None:
        self.operation = operation
        #: The idempotency key to repeat the call with; None where the generation or account is the key.
        self.key = key
        again = f" with key={key!r}" if key is not None else ""
        super().__init__(f"the database was lost during {operation}; repeat the same call{again}")


class SchemaUnusable(BillingError):
    """The tables are missing, or not of the version that this code needs."""

    def __init__(self, found: str | None, wanted: str, *, migratable: bool = True) -> None:
        #: The version found; None when there are no tables.
        self.found = found
        self.wanted = wanted
        state = "the tables of the ledger are missing" if found is None else f"the tables are of version {found}"
        # Newer tables were made by newer code, and nothing leads back.
        remedy = "run `flask bsguard billing init`" if migratable else "install the version of bsguard that made them"
        super().__init__(f"{state}, version {wanted} is needed; {remedy}")


class SchemaMissing(SchemaUnusable):
    """There are no tables, or no permission to see them."""


class SchemaOutdated(SchemaUnusable):
    """The tables are older or newer than this code."""
