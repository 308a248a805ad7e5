# All issues, page after page: the Link header leads on until there is no next one.
path="/api/issues?limit=100&fields=key,title,status"
while [ -n "$path" ]; do
  headers=$(mktemp)
  curl -fsS "$BUGTRACKER_URL$path" -H "Authorization: Bearer $TOKEN" -D "$headers"
  path=$(sed -n 's/^[Ll]ink: .*<\([^>]*\)>; rel="next".*/\1/p' "$headers")
  rm "$headers"
done
