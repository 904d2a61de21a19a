"""The condition of a connection: facts are collected, pure functions judge them, and the result is a list of findings.

``health`` uses what tasks and the receiver recorded and sends no request to Toggl; ``doctor`` tests each part.
Both report with :mod:`findings` and take meanings and fixes from :mod:`problems`.
"""
