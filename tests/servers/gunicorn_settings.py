"""gunicorn's settings for all servers under test; `GUNICORN_PLAN` holds what one profile changes.

Settings that the installed gunicorn does not know are passed over by it, so that one file serves all releases from 23
on.
"""

from __future__ import annotations

import json
import os

workers = 1  # the calls are counted in one process
timeout = 30  # far above the tests' own deadline: a test that waits for this has failed already
graceful_timeout = 1
keepalive = 5
http_parser = "python"
control_socket_disable = True
accesslog = None
errorlog = "-"

globals().update(json.loads(os.environ.get("GUNICORN_PLAN", "{}")))
