import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
after = "beginning"
while True:
    answer = client.get("/api/events", params={"after": after, "types": "project.*,issue.*"})
    answer.raise_for_status()
    feed = answer.json()
    for event in feed["items"]:
        print(event["type"], event["id"])
    after = feed["next_cursor"]  # keep it where you keep what you made of the events
    if not feed["has_more"]:
        break  # or go on with wait=30, which answers at the next event
