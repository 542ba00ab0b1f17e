"""The views that providers and the scheduler call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import Response, request

from sample_app.catalogue import Provider
from sample_app.errors import ApiError, ErrorCode
from sample_app.jobs import Job
from sample_app.requests import JSON_MEDIA_TYPE, read_query, refuse_body
from sample_app.responses import success

if TYPE_CHECKING:
    from sample_app.inbox import Inbox
    from sample_app.jobs import Jobs
    from sample_app.runner import Runner

_TOKEN: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CallbackViews:
    """Reports of providers, and periodic jobs."""

    inbox: Inbox
    jobs: Jobs
    runner: Runner

    def receive(self, provider: str) -> Response:
        """Take a provider's report: 202 once it is stored."""
        query = read_query(request.args, ("attempt",))
        if provider not in list(Provider):
            raise ApiError(ErrorCode.NOT_FOUND)
        token = query.get("attempt", "")
        if not _TOKEN.fullmatch(token):
            raise ApiError(ErrorCode.INVALID_PARAMETER, "attempt must be the token of an attempt.")
        if not JSON_MEDIA_TYPE.fullmatch(request.mimetype):
            raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE)
        report = self.inbox.receive(Provider(provider), token, dict(request.headers), request.get_data(cache=False))
        if report.generation_id is not None:
            self.runner.wake(report.generation_id)
        return success({"stored": report.stored}, 202)

    def run_job(self, job: str) -> Response:
        """Run a periodic job once."""
        read_query(request.args, ())
        refuse_body(request)
        if job not in list(Job):
            raise ApiError(ErrorCode.NOT_FOUND)
        handled = self.jobs.run(Job(job))
        if handled is None:
            raise ApiError(ErrorCode.JOB_RUNNING)
        return success({"job": job, "handled": handled})
