# The key is shown this once: a program sends it as its bearer token.
curl -fsS "$BUGTRACKER_URL/api/api-keys" \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{"name": "Nightly export", "scopes": ["projects.read", "issues.read"]}'
