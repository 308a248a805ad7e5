# What is urgent and not done in one project, the most important first.
curl -fsS -G "$BUGTRACKER_URL/api/projects/$PROJECT_ID/issues" \
  -H "Authorization: Bearer $TOKEN" \
  --data-urlencode 'filter=priority>=high;status=out=(resolved,closed)' \
  --data-urlencode 'sort=-priority'
