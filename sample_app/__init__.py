"""The sample control plane: metered media generation over several providers, guarded by bsguard.

Serve it with ``gunicorn -c sample_app/gunicorn.conf.py 'sample_app:create_app()'`` and manage it with
``flask --app sample_app control-plane --help``. Its contract is ``openapi/control-plane.yaml``.
"""

from __future__ import annotations

from sample_app.app import create_app

__all__ = ["create_app"]
