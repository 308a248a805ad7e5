# The next step of its life: open, in_progress, resolved, closed or reopened.
curl -fsS -X PATCH "$BUGTRACKER_URL/api/issues/TLS-1" \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{"status": "in_progress"}'
