import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
answer = client.get("/api/search", params={"q": "spring tide"})
answer.raise_for_status()
for found in answer.json()["items"]:
    print(found["type"], found["title"], found["url"])
