"""Links of the contract: from what was made to the operations on it."""

from bugtracker.contract import load_contract

CONTRACT = load_contract()


class TestLinks:
    def test_lead_from_what_was_made_to_operations_on_it(self) -> None:
        links = [
            (response, link)
            for response in CONTRACT.document["components"]["responses"].values()
            for link in response.get("links", {}).values()
        ]
        assert len(links) > 20
        for response, link in links:
            operation = CONTRACT.operations[link["operationId"]]
            ((name, expression),) = link["parameters"].items()
            assert f"{{{name}}}" in operation.path
            for example in response["content"]["application/json"]["examples"].values():
                value = CONTRACT.resolve(example)["value"]
                for part in expression.removeprefix("$response.body#/").split("/"):
                    value = value[part]
                assert isinstance(value, str)
