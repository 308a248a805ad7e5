"""Who logs in how often: events by a queued job, counted by UTC day.

docs/login-analytics.md says what can be relied on at which moment.
"""
