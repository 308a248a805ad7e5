"""Events that leave the house: made into deliveries, signed, sent, tried again.

docs/webhooks.md tells receivers what they can rely on.
"""
