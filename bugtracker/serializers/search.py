"""What a search found, as the contract shows it. No queries here."""

from collections.abc import Iterable
from typing import Any

from bugtracker.snippets import Segment, has_marks, marked, with_words

Json = dict[str, Any]


def found(hit: Any, row: Any, words: str) -> Json:
    """``SearchResult`` of the contract: a hit, what is shown of it, the words to find in names."""
    title, snippet = _TEXTS[hit.type](row, words)
    has_issue = row.issue_id is not None
    return {
        "type": hit.type,
        "id": hit.id,
        "score": hit.score / 1_000_000,
        "title": title,
        "snippet": [{"text": text, "highlighted": is_hit} for text, is_hit in snippet],
        "url": f"/api/{hit.type}s/{hit.id}",
        "project_id": row.project_id,
        "project_key": row.project_key,
        "issue_id": row.issue_id,
        "issue_key": f"{row.project_key}-{row.number}" if has_issue else None,
    }


def _issue(row: Any, words: str) -> tuple[str, list[Segment]]:  # noqa: ARG001
    """The text, unless only the title has the words, or there is no text."""
    in_text = has_marks(row.text_marked) or not (has_marks(row.title_marked) or row.text_marked)
    return row.title, marked(row.text_marked if in_text else row.title_marked)


def _comment(row: Any, words: str) -> tuple[str, list[Segment]]:  # noqa: ARG001
    return row.title, marked(row.text_marked)


def _project(row: Any, words: str) -> tuple[str, list[Segment]]:
    return row.project_name, _line(
        (row.project_key, row.project_name, row.project_description), words
    )


def _person(row: Any, words: str) -> tuple[str, list[Segment]]:
    return row.name or row.username, _line((row.name, row.username, row.email), words)


def _line(texts: Iterable[str | None], words: str) -> list[Segment]:
    return with_words(" · ".join(text for text in texts if text), words)


_TEXTS = {"issue": _issue, "comment": _comment, "project": _project, "user": _person}
