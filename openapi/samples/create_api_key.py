import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
wanted = {"name": "Nightly export", "scopes": ["projects.read", "issues.read"]}
answer = client.post("/api/api-keys", json=wanted)
answer.raise_for_status()
created = answer.json()
# The key is shown this once: a program sends it as its bearer token.
print(created["api_key"]["name"], created["key"])
