"""People of an organisation as others see them."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, SQLColumnExpression, and_, case, func, select

from bugtracker.models import Account, Member
from bugtracker.models.organisation import ERASED

USERNAME: ColumnElement[str] = func.coalesce(Account.username, Member.imported_username)
NAME: ColumnElement[str | None] = func.coalesce(Account.name, Member.imported_name)


def has_account() -> ColumnElement[bool]:
    """Joins members to their account: their own, or that of the member they were linked to.

    Not for those who were erased: the account may live on, in other organisations.
    """
    linked_to = case((Member.imported_from == ERASED, None), else_=Member.linked_to)
    return Account.id == func.coalesce(Member.account_id, linked_to)


PEOPLE: FromClause = (
    select(Member.org_id, Member.user_id, USERNAME.label("username"), NAME.label("name"))
    .outerjoin(Account, has_account())
    .subquery("people")
)


def is_person(
    org_id: SQLColumnExpression[Any], user_id: SQLColumnExpression[Any]
) -> ColumnElement[bool]:
    """Joins PEOPLE to whoever a column names, members who have left included."""
    return and_(PEOPLE.c.org_id == org_id, PEOPLE.c.user_id == user_id)
