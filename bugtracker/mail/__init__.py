"""Mails: their texts, their headers, and the way out."""
