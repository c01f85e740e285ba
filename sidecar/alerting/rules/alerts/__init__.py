"""Alerts, a subject a file; `common` has what all of them share."""
