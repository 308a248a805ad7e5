"""Memberships that change at the same moment: an owner is always left."""

from collections import Counter
from functools import partial

import pytest

from tests.parallel import Call, at_once
from tests.world import Caller, Org

OWNERS = 20


def url(org: Org, person: Caller) -> str:
    return f"/api/organisations/{org.id}/members/{person.id}"


def owners(org: Org) -> list[Caller]:
    return [org.caller("owner", str(n)) for n in range(OWNERS)]


def left_over(org: Org) -> list[str]:
    """The owners that an auditor still sees."""
    path = f"/api/organisations/{org.id}/members"
    page = org.auditor.get(path, params={"role": "owner", "limit": 100}).json()
    return [item["id"] for item in page["items"]]


class TestOwners:
    def test_all_leaving_at_once_leave_one(self, org: Org) -> None:
        people = owners(org)
        answers = at_once([partial(person.delete, url(org, person)) for person in people])
        codes = Counter(answer.status_code for answer in answers)
        assert codes == {204: OWNERS - 1, 409: 1}
        assert len(left_over(org)) == 1

    def test_all_stepping_down_at_once_leave_one(self, org: Org) -> None:
        people = owners(org)
        body = {"role": "admin"}
        answers = at_once([partial(person.patch, url(org, person), body) for person in people])
        assert Counter(answer.status_code for answer in answers) == {200: OWNERS - 1, 409: 1}
        assert len(left_over(org)) == 1

    @pytest.mark.parametrize("verb", ["demote", "remove"])
    def test_each_turning_on_the_next_leaves_one_or_more(self, org: Org, verb: str) -> None:
        people = owners(org)
        calls: list[Call] = []
        for person, victim in zip(people, [*people[1:], people[0]], strict=True):
            path = url(org, victim)
            demote = partial(person.patch, path, {"role": "member"})
            calls.append(demote if verb == "demote" else partial(person.delete, path))
        answers = at_once(calls)
        done = sum(answer.is_success for answer in answers)
        # Whoever was hit before their own turn has no say any more; 401 for the removed.
        assert {answer.status_code for answer in answers} <= {200, 204, 401, 403, 409}
        assert len(left_over(org)) == OWNERS - done >= 1

    def test_two_who_demote_each_other_leave_exactly_one(self, org: Org) -> None:
        for n in range(10):
            one, two = org.caller("owner", "one"), org.caller("owner", f"two{n}")
            body = {"role": "admin"}
            answers = at_once(
                [partial(one.patch, url(org, two), body), partial(two.patch, url(org, one), body)]
            )
            assert sorted(answer.status_code for answer in answers) == [200, 403]
            (owner,) = left_over(org)
            if owner != str(one.id):
                two.patch(url(org, one), {"role": "owner"})
                one.patch(url(org, two), {"role": "admin"})
