"""The event feed: the record of an organisation, to be read and followed by programs of its own.

docs/webhooks.md tells them what they can rely on, docs/decisions/0036 why it is built so.
"""
