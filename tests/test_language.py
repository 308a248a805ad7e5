"""Which language an answer is in: the header, else the person's setting, else English."""

import httpx
import pytest

from bugtracker.language import MAX_RANGES, negotiate
from bugtracker.messages import LANGUAGES
from tests.edge.serving import Answer
from tests.raw import Raw
from tests.serving import Server
from tests.world import Caller, Json, Org, World, refused

SAID = {
    "en": ("Not found", "There is no such path; see /docs."),
    "de": ("Nicht gefunden", "Diesen Pfad gibt es nicht; siehe /docs."),
    "hi": ("नहीं मिला", "ऐसा कोई पाथ नहीं है; /docs देखें।"),
}


class TestNegotiate:
    @pytest.mark.parametrize(
        ("header", "language"),
        [
            (None, "en"), ("", "en"), ("de", "de"), ("DE", "de"), ("de-AT", "de"), ("hi-IN", "hi"),
            ("en-GB, de", "en"), ("de, en", "de"), ("hi,de,en", "hi"),
            ("en;q=0.5, de", "de"), ("en;q=0.5,de;q=0.501", "de"), ("de;q=0.4, hi;q=0.9", "hi"),
            ("en;Q=0.1 , hi ; q=1.000", "hi"), ("de;q=0.5, hi;q=0.5", "de"),
            ("fr", "en"), ("fr, de;q=0.1", "de"), ("fr;q=0.9, zh-Hant, hi;q=0.01", "hi"),
            ("*", "en"), ("*;q=0.1", "en"), ("de, *;q=0.5", "de"), ("*, de;q=0.5", "en"),
            ("en;q=0, *", "hi"), ("en;q=0, hi;q=0, *;q=0.1", "de"), ("de-CH;q=0, de", "de"),
            ("de;q=0", "en"), ("de;q=0, hi", "hi"), ("en;q=0", "en"), ("*;q=0", "en"),
            ("en;q=0.0,hi;q=0.00,de;q=0.000", "en"),
            # Malformed parts count as not sent.
            ("de;q=2", "en"), ("de;q=-1", "en"), ("de;q=0.1234", "en"), ("de;q=", "en"),
            ("de;level=1", "en"), ("de q=1", "en"), ("d e", "en"), ("de_DE", "en"),
            ("de--AT", "en"), ("-de", "en"), ("d\u00e9", "en"), ("\x00", "en"), (";;;,,,", "en"),
            ("de;q=.5", "en"),
            ("verylonglanguage", "en"), ("de;q=1.5, hi;q=0.1", "hi"), (",de,", "de"),
            ("de;q=1.", "de"), ("\tde\t;\tq=0.3", "de"), ("german", "en"), ("de" * 5000, "en"),
            ("fr," * MAX_RANGES + "de", "en"), ("fr," * (MAX_RANGES - 1) + "de", "de"),
        ],
    )  # fmt: skip
    def test_follows_the_header(self, header: str | None, language: str) -> None:
        assert negotiate(None if header is None else header.encode("latin-1")) == language

    @pytest.mark.parametrize(
        ("header", "setting", "language"),
        [
            (None, "hi", "hi"), ("", "de", "de"), ("fr", "de", "de"), ("*", "de", "de"),
            ("en", "de", "en"), ("hi;q=0.1", "de", "hi"), ("fr, *;q=0.5", "hi", "hi"),
            ("de;q=0, *", "de", "en"), ("en;q=0", "de", "de"), ("x x", "hi", "hi"),
            # One that was taken away since.
            (None, "fr", "en"), ("de", "fr", "de"),
        ],
    )  # fmt: skip
    def test_the_setting_counts_where_the_header_names_none(
        self, header: str | None, setting: str, language: str
    ) -> None:
        assert negotiate(None if header is None else header.encode(), setting) == language


def in_language(http: httpx.Client, language: str, path: str = "/none") -> httpx.Response:
    return http.get(path, headers={"Accept-Language": language})


def varies(response: httpx.Response) -> set[str]:
    return {name.strip() for name in response.headers.get("vary", "").split(",")} - {""}


def told(response: httpx.Response) -> tuple[str, str]:
    body = response.json()
    return body["title"], body["detail"]


class TestProblem:
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_is_in_the_language_asked_for_with_the_same_code(
        self, anonymous: httpx.Client, language: str
    ) -> None:
        response = in_language(anonymous, language)
        assert refused(response, 404, "resource_not_found")["type"].startswith("urn:")
        assert told(response) == SAID[language]
        assert response.headers["content-language"] == language
        assert "Accept-Language" in varies(response)

    def test_of_every_layer_is(self, anonymous: httpx.Client, world: World, org: Org) -> None:
        """The edge, the pages, the router, security, handlers, and what the database refuses."""
        german = {"Accept-Language": "de"}
        member = org.member
        project = org.manager.create_project()
        answers: list[tuple[httpx.Response, str]] = [
            (anonymous.get("/api/%2e", headers=german), "Unter diesem Pfad gibt es nichts."),
            (anonymous.post("/docs", headers=german), "Hier erlaubt: GET, HEAD, OPTIONS."),
            (anonymous.get("/api/auth/login", headers=german), "Hier erlaubt: OPTIONS, POST."),
            (anonymous.get("/api/projects", headers=german),
             "Senden Sie ein Zugriffstoken: Authorization: Bearer …"),
            (member.post("/api/projects", {"name": "x"}, headers=german),
             "Die Rolle member hat die Berechtigung projects.create nicht."),
            (member.get("/api/issues/ZZZZ-1", headers=german),
             "Dieses Ticket gibt es in dieser Organisation nicht."),
            (org.manager.post("/api/projects", {"name": project["name"]}, headers=german),
             "Ein anderes Projekt dieser Organisation hat diesen Namen."),
        ]  # fmt: skip
        for response, detail in answers:
            assert response.json()["detail"] == detail
            assert response.headers["content-language"] == "de"

    def test_says_in_it_what_is_wrong_with_each_field(self, org: Org) -> None:
        body = {"name": "", "key": 5, "colour": "red"}
        german = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
        response = org.manager.post("/api/projects", body, headers=german)
        found = {(each["pointer"], each["code"]): each["detail"] for each in problems(response)}
        assert found["/name", "minLength"] == "muss mindestens 1 Zeichen haben"
        assert found["/key", "type"].startswith("muss vom Typ string")
        assert found["/colour", "additionalProperties"] == "ist hier nicht bekannt"

    def test_explains_a_filter_in_it(self, org: Org) -> None:
        given = {"filter": "status==nonsense;size>5"}
        response = org.member.get("/api/issues", params=given, headers={"Accept-Language": "hi"})
        status, size = problems(response)
        assert "`nonsense`" in status["detail"]
        assert "in_progress" in status["detail"]
        assert status["detail"].endswith("नहीं")
        assert "`size` नाम का कोई फ़ील्ड नहीं है" in size["detail"]

    def test_the_header_may_come_in_several_lines(self, server: Server, org: Org) -> None:
        raw = Raw(server.host, server.port, org.member.http.headers["Authorization"])
        answer: Answer = raw.get("/none", "Accept-Language: fr;q=0.9", "Accept-Language: hi;q=0.1")
        assert answer.json()["title"] == SAID["hi"][0]

    def test_varies_with_origin_as_well_where_that_is_due(self, anonymous: httpx.Client) -> None:
        headers = {"Accept-Language": "de", "Origin": "https://app.example"}
        response = anonymous.get("/none", headers=headers)
        assert varies(response) == {"Accept-Language", "Origin"}


def problems(response: httpx.Response) -> list[Json]:
    errors: list[Json] = response.json()["errors"]
    return errors


class TestSetting:
    def test_counts_where_the_request_names_no_language(self, org: Org) -> None:
        assert org.member.patch("/api/auth/me", {"language": "hi"}).status_code == 200
        assert told(org.member.get("/api/issues/ZZZZ-1"))[0] == SAID["hi"][0]
        assert told(in_language(org.member.http, "fr", "/api/issues/ZZZZ-1"))[0] == SAID["hi"][0]
        assert told(in_language(org.member.http, "de", "/api/issues/ZZZZ-1"))[0] == SAID["de"][0]
        # Nobody is known here yet.
        assert told(org.member.get("/none")) == SAID["en"]

    def test_counts_for_the_api_keys_of_a_person(self, org: Org, world: World) -> None:
        http = world.with_key(org.admin.create_api_key("issues.read"))
        assert org.admin.patch("/api/auth/me", {"language": "de"}).status_code == 200
        assert told(http.get("/api/issues/ZZZZ-1"))[0] == SAID["de"][0]


class TestOtherAnswers:
    def test_what_they_say_to_people_is_translated(self, org: Org, anonymous: httpx.Client) -> None:
        forgot = {"email": "nobody@example.com"}
        answers = {
            language: (
                anonymous.post(
                    "/api/auth/password/forgot", json=forgot, headers={"Accept-Language": language}
                ),
                in_language(org.member.http, language, "/api/roles"),
                actions(org.auditor, language, org),
            )
            for language in LANGUAGES
        }
        for language, responses in answers.items():
            for response in responses:
                assert response.status_code < 300
                assert response.headers["content-language"] == language
                assert "Accept-Language" in varies(response)
        for same in zip(*answers.values(), strict=True):
            assert len({response.text for response in same}) == len(LANGUAGES)

    def test_those_without_such_texts_vary_with_nothing(
        self, org: Org, anonymous: httpx.Client
    ) -> None:
        org.manager.create_project()
        pages = ("/openapi.json", "/docs", "/links/", "/healthz", "/.well-known/jwks.json")
        responses = [in_language(anonymous, "de", page) for page in pages]
        responses.append(in_language(org.member.http, "de", "/api/projects"))
        for response in responses:
            assert response.status_code == 200
            assert varies(response) <= {"Origin"}
            assert "content-language" not in response.headers


def actions(caller: Caller, language: str, org: Org) -> httpx.Response:
    project = org.manager.create_project(name=f"Actions in {language}")
    return in_language(caller.http, language, f"/api/projects/{project['id']}/actions")
