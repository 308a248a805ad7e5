"""What grows while it is made harmless."""

from tests.world import World, refused


class TestGrowth:
    def test_a_comment_of_quotes_in_an_attribute_is_refused_with_its_place(
        self, world: World
    ) -> None:
        org = world.create_org()
        issue = org.member.create_issue(org.manager.create_project())
        text = f"<a x=1 title='{chr(34) * 1980}'>"
        answer = org.member.post(f"/api/issues/{issue['id']}/comments", {"content": text})
        assert answer.status_code == 422
        assert answer.json()["code"] == "content_invalid"
        assert answer.json()["errors"][0]["pointer"] == "/content"

    def test_a_description_of_ampersands_in_an_attribute_is_refused(self, world: World) -> None:
        org = world.create_org()
        issue = org.member.create_issue(org.manager.create_project())
        text = f"<a x=1 title='{'&' * 4980}'>"
        path, body = f"/api/projects/{issue['project_id']}/issues", {"title": "New"}
        for answer in (
            org.member.patch(f"/api/issues/{issue['id']}", {"description": text}),
            org.member.post(path, {**body, "description": text}),
        ):
            problem = refused(answer, 422, "content_invalid")
            assert problem["errors"][0]["pointer"] == "/description"
