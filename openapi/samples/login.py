import os

import httpx

answer = httpx.post(
    f"{os.environ['BUGTRACKER_URL']}/api/auth/login",
    json={"email": "ada@example.com", "password": "Tide-Table-1843"},
)
answer.raise_for_status()
tokens = answer.json()
print("Send with each request: Authorization:", tokens["token_type"], tokens["access_token"])
