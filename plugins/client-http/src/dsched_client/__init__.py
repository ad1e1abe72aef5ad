"""Typed sync and async Python clients of the HTTP API."""
