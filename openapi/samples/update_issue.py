import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
issue = client.get("/api/issues/TLS-1")
issue.raise_for_status()
# Refused with 412 when somebody else was faster.
unchanged = {"If-Match": issue.headers["ETag"]}
answer = client.patch("/api/issues/TLS-1", json={"status": "in_progress"}, headers=unchanged)
answer.raise_for_status()
print(answer.json()["key"], answer.json()["status"])
