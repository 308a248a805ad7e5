# However often it is sent, with this key the issue is made once.
curl -fsS "$BUGTRACKER_URL/api/projects/$PROJECT_ID/issues" --retry 3 \
  -H "Authorization: Bearer $TOKEN" \
  -H 'Content-Type: application/json' \
  -H 'Idempotency-Key: crash-report-2025-03-04-17' \
  -d '{"title": "Loans vanish at spring tide", "priority": "high", "due_date": "2025-03-31"}'
