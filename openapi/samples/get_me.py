import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
answer = client.get("/api/auth/me")
answer.raise_for_status()
me = answer.json()
print(me["username"], "is", me["role"], "and may:", ", ".join(me["permissions"]))
