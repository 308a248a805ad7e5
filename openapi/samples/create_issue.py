import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
path = f"/api/projects/{os.environ['PROJECT_ID']}/issues"
issue = {"title": "Loans vanish at spring tide", "priority": "high", "due_date": "2025-03-31"}
key = {"Idempotency-Key": "crash-report-2025-03-04-17"}
for attempts_left in (2, 1, 0):
    try:
        answer = client.post(path, json=issue, headers=key)
        break
    except httpx.TransportError:
        # It may have arrived: with the same key it is made once, and the answer is the same.
        if not attempts_left:
            raise
answer.raise_for_status()
print(answer.json()["key"], answer.json()["title"])
