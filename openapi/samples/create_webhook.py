import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
wanted = {"url": "https://hooks.example.com/bugtracker", "event_types": ["issue.*"]}
answer = client.post("/api/webhooks", json=wanted)
answer.raise_for_status()
created = answer.json()
# The secret is shown this once: messages are signed with it.
print(created["webhook"]["url"], created["secret"])
