# The secret is shown this once: messages are signed with it.
curl -fsS "$BUGTRACKER_URL/api/webhooks" \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{"url": "https://hooks.example.com/bugtracker", "event_types": ["issue.*"]}'
