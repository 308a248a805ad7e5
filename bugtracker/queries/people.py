"""People of an organisation as others see them."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, SQLColumnExpression, and_, func, select

from bugtracker.models import Account, Member

PEOPLE: FromClause = (
    select(
        Member.org_id,
        Member.user_id,
        func.coalesce(Account.username, Member.imported_username).label("username"),
        func.coalesce(Account.name, Member.imported_name).label("name"),
    )
    .outerjoin(Account, Account.id == Member.account_id)
    .subquery("people")
)


def is_person(
    org_id: SQLColumnExpression[Any], user_id: SQLColumnExpression[Any]
) -> ColumnElement[bool]:
    """Joins PEOPLE to whoever a column names, members who have left included."""
    return and_(PEOPLE.c.org_id == org_id, PEOPLE.c.user_id == user_id)
