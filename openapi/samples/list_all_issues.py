import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
# All issues, page after page: next_cursor leads on until it is null.
query = {"limit": "100", "fields": "key,title,status"}
while True:
    answer = client.get("/api/issues", params=query)
    answer.raise_for_status()
    page = answer.json()
    for issue in page["items"]:
        print(issue["key"], issue["status"], issue["title"])
    if page["next_cursor"] is None:
        break
    query["cursor"] = page["next_cursor"]
