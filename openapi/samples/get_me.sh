curl -fsS "$BUGTRACKER_URL/api/auth/me" -H "Authorization: Bearer $TOKEN"
