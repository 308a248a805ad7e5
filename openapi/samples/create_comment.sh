curl -fsS "$BUGTRACKER_URL/api/issues/TLS-1/comments" \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{"content": "The date is compared as **text**."}'
