"""Derived ids."""

from datetime import UTC, datetime

from bugtracker.importing.identity import imported_id, origin, origin_of

MOMENT = datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class TestImportedId:
    def test_is_a_version_7_uuid_of_its_millisecond(self) -> None:
        made = imported_id(MOMENT, 5, origin("a"))
        assert (made.version, made.variant) == (7, "specified in RFC 4122")
        assert made.int >> 80 == int(MOMENT.timestamp() * 1000)

    def test_place_orders_within_a_millisecond(self) -> None:
        ids = [imported_id(MOMENT, place, origin(place)) for place in range(50)]
        assert ids == sorted(ids)

    def test_too_many_in_a_millisecond_do_not_spill_into_the_date(self) -> None:
        assert imported_id(MOMENT, 9999, 0).int >> 80 == imported_id(MOMENT, 0, 0).int >> 80

    def test_origin_is_found_again_whatever_place_and_date(self) -> None:
        assert origin_of(imported_id(MOMENT, 7, origin("a", 1))) == origin("a", 1)
        assert origin("a", 1) != origin("a1")
