# From the beginning; then with next_cursor as after, again and again.
curl -fsS -G "$BUGTRACKER_URL/api/events" \
  -H "Authorization: Bearer $TOKEN" \
  --data-urlencode 'after=beginning' \
  --data-urlencode 'types=project.*,issue.*'
