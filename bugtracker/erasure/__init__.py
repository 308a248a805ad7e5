"""Erasing people: what an organisation holds about one of them, and accounts with nothing left.

A job does it, once a request is approved. It may be killed anywhere and run again: rows that were
erased are found erased, events by their missing salt, and the request remembers how far it was.
"""
