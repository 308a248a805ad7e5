curl -fsS "$BUGTRACKER_URL/api/auth/login" \
  -H 'Content-Type: application/json' \
  -d '{"email": "ada@example.com", "password": "Tide-Table-1843"}'
