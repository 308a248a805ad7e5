import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
content = "The date is compared as **text**."
answer = client.post("/api/issues/TLS-1/comments", json={"content": content})
if answer.status_code == 404:
    print("There is no such issue:", answer.json()["detail"])
else:
    answer.raise_for_status()
    print(answer.json()["content"])
