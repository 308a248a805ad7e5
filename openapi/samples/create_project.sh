curl -fsS "$BUGTRACKER_URL/api/projects" \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -d '{"name": "Harbour Lights", "key": "HARB"}'
