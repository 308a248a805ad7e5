import os

import httpx

answer = httpx.post(
    f"{os.environ['BUGTRACKER_URL']}/api/auth/refresh",
    json={"refresh_token": os.environ["REFRESH_TOKEN"]},
)
answer.raise_for_status()
tokens = answer.json()
# Keep the new refresh token: the old one works only once.
print(tokens["token_type"], tokens["access_token"], tokens["refresh_token"])
