"""How gunicorn serves the control plane: ``gunicorn -c sample_app/gunicorn.conf.py 'sample_app:create_app()'``.

gunicorn 23 or newer. The aim: whatever the guard can judge reaches the guard, and what a WSGI app cannot see is
settled here. The comments say what each value is for; `CONTROL_PLANE_*` variables change what deployments differ in.
"""
# ruff: noqa: N999 - the name by which gunicorn's users know such a file

from __future__ import annotations

import os
from typing import Any

# Loopback by default: plain HTTP is for this machine and for a proxy on it that ends TLS.
bind = os.environ.get("CONTROL_PLANE_BIND", "127.0.0.1:8000")

# Threads, because a slow body or an event stream must hold one thread and not a whole worker. Two workers, so that one
# can be replaced while the other serves.
worker_class = "gthread"
workers = os.environ.get("CONTROL_PLANE_WORKERS", "2")
threads = os.environ.get("CONTROL_PLANE_THREADS", "8")

# Each worker makes its own app: databases and the guard's stores must not be opened before the fork.
preload_app = False

# The Python parser is the one whose blind spots the guard knows; "auto" would pick another one if it is installed.
http_parser = "python"

# `X_Account_Id` and `X-Account-Id` become the same key in a WSGI environ. A header with an underscore is refused rather
# than dropped, so that whoever sends it learns that it never arrives.
header_map = "refuse"

# By default gunicorn lets a trusted peer set SCRIPT_NAME and PATH_INFO by header, which moves a request to another
# path after the proxy has judged it. No header may do that here.
forwarder_headers = ""

# Whose X-Forwarded-Proto may set the scheme: nobody's. gunicorn's default trusts every process on this machine. The
# guard reads forwarding headers itself, from the networks in BSGUARD_TRUSTED_PROXIES.
forwarded_allow_ips = os.environ.get("CONTROL_PLANE_FORWARDED_ALLOW_IPS", "")

# Bounds before the guard's own, and a little wider, so that the guard answers first, with a code and an event. The
# request line cannot be wider: 8190 is gunicorn's maximum. The guard's: 100 headers, 8192 bytes of Authorization.
limit_request_line = 8190
limit_request_fields = 128
limit_request_field_size = 16_380

# Seconds a worker may be silent before it is replaced. A gthread worker keeps reporting while its threads work, so this
# ends a stuck process, not a long answer.
timeout = 30

# Seconds that requests get to finish when the server stops, event streams included.
graceful_timeout = 30

# Seconds that an idle connection is kept: longer than the pause between two requests of a page, and no longer.
keepalive = 5

# gunicorn 25 and newer listen on a control socket in the user's home unless told not to.
control_socket_disable = True

# Errors to standard error. No access log: the guard records every request as an event, without credentials.
errorlog = "-"
accesslog = None


def worker_exit(_server: Any, worker: Any) -> None:
    """Hand back what a worker was at before it ends: other workers go on at once, not when its leases run out.

    A worker that is killed cannot do that; then the leases do run out.
    """
    app = getattr(worker, "wsgi", None)
    if app is not None:
        app.extensions["control_plane"].stop()
