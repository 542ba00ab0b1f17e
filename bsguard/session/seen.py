"""One request of a session, as its profile takes it in: numbers and keyed hashes, and what an event about it says."""

from __future__ import annotations

from typing import Final, NamedTuple

AS_WRITTEN: Final = -1


class Seen(NamedTuple):
    """What one request adds to its session."""

    time: float
    #: Id of the session under each of the operator's secrets, newest first.
    sessions: tuple[str, ...]
    #: Id of the credential, where that is something else than the session.
    credential: str
    account: str
    #: Id of the account, where the application named it and the session is something else: its key after this one
    #: begins with what this one was used to.
    owner: str
    #: Hash of the route's label, and the label, such as ``GET /v1/files/{}``.
    operation: int
    label: str
    #: Hash of the object that the path names, 0 where it names none; the number at its end, or -1.
    object: int
    number: int
    status: int
    #: Hashes of the client's network and its kind of agent.
    network: int
    agent: int
    cloud: bool
    #: The operation before, and when: by the trail, so whichever worker served it; 0 when there was none. Where the
    #: store was not asked, :data:`AS_WRITTEN`: the profile knows what was written last.
    before: int
    before_time: float
    #: What an event tells of the request that made it: id, method, path, client, surface.
    request: tuple[str, str, str, str, str]
