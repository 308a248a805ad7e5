curl -fsS -G "$BUGTRACKER_URL/api/search" \
  -H "Authorization: Bearer $TOKEN" \
  --data-urlencode 'q=spring tide'
