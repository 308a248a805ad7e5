import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
answer = client.post("/api/projects", json={"name": "Harbour Lights", "key": "HARB"})
answer.raise_for_status()
project = answer.json()
print(project["key"], project["id"])
