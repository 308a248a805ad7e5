"""Each example of docs/filters.md selects what the page says, over HTTP."""

import pytest

from bugtracker.contract import load_contract
from bugtracker.queries.issue_filters import FIELDS
from bugtracker.rsql.fields import OPERATORS
from tests.rsql.documented import PAGE, REFUSALS, SELECTIONS, Scene, code, make_scene, table
from tests.world import World, refused

PARAMETER = load_contract().document["components"]["parameters"]["IssueFilter"]


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    return make_scene(world)


class TestExamples:
    @pytest.mark.parametrize(("text", "keys"), SELECTIONS)
    def test_select_what_the_page_says(self, scene: Scene, text: str, keys: list[str]) -> None:
        assert sorted(scene.keys(filter=text)) == sorted(keys)
        for project, there in scene.projects.items():
            path = f"/api/projects/{there['id']}/issues"
            own = [key for key in keys if key.startswith(f"{project}-")]
            assert sorted(scene.keys(path, filter=text)) == sorted(own)

    @pytest.mark.parametrize(("text", "errors"), REFUSALS)
    def test_are_refused_where_the_page_says(
        self, scene: Scene, text: str, errors: list[str]
    ) -> None:
        response = scene.caller.get("/api/issues", params={"filter": text})
        problem = refused(response, 400, "filter_invalid")
        assert {error["parameter"] for error in problem["errors"]} == {"filter"}
        assert [f"{error['position']} {error['code']}" for error in problem["errors"]] == errors

    @pytest.mark.parametrize("name", PARAMETER["examples"])
    def test_of_the_contract_can_be_used(self, scene: Scene, name: str) -> None:
        scene.keys(filter=PARAMETER["examples"][name]["value"])


class TestPage:
    def test_has_examples_of_every_field_and_operator(self) -> None:
        examples = "\n".join(text for text, _ in SELECTIONS)
        for name in {*FIELDS} - {"id", "updated_at"}:
            assert name in examples, name
        for operator in OPERATORS:
            assert operator in examples, operator

    def test_and_contract_list_every_field(self) -> None:
        on_page = {code(name) for row in table("field | values") for name in row[0].split(", ")}
        assert on_page == set(FIELDS)
        for name in FIELDS:
            assert f"`{name}`" in PARAMETER["description"]

    def test_is_not_too_long_for_its_tables(self) -> None:
        assert len(SELECTIONS) >= 40
        assert len(REFUSALS) >= 15
        assert PAGE.exists()
