# Keep the new refresh token: the old one works only once.
curl -fsS "$BUGTRACKER_URL/api/auth/refresh" \
  -H 'Content-Type: application/json' \
  -d "{\"refresh_token\": \"$REFRESH_TOKEN\"}"
