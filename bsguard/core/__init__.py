"""What every layer stands on: the request, the body, verdicts, the one driver, events and settings.

Nothing here knows a layer, a framework or a database.
"""
