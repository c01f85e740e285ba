"""Listeners: the ways in for prediction events."""
