import os

import httpx

client = httpx.Client(
    base_url=os.environ["BUGTRACKER_URL"],
    headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
)
# What is urgent and not done in one project, the most important first.
answer = client.get(
    f"/api/projects/{os.environ['PROJECT_ID']}/issues",
    params={"filter": "priority>=high;status=out=(resolved,closed)", "sort": "-priority"},
)
answer.raise_for_status()
for issue in answer.json()["items"]:
    print(issue["key"], issue["title"])
