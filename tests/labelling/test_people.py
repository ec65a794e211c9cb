"""How people stand: messages to one person, read once, by nobody else, and still known after a restart."""

import pytest

from workbench.errors import NotFound
from workbench.labelling.people import People
from workbench.store.db import Store


def test_a_message_is_unread_until_the_one_it_is_for_has_read_it(store: Store, project: int) -> None:
    people = People(store, project)
    first = people.message("lea", "ann", "Ties are rare here.")
    second = people.message("lea", "ann", "Look at the dates.")
    assert [m["id"] for m in people.messages("ann", unread=True)] == [first, second]
    assert people.messages("bob") == []
    for stranger, number in (("bob", first), ("ann", second + 1)):
        with pytest.raises(NotFound):
            people.message_read(stranger, number)
    people.message_read("ann", first)
    assert [m["id"] for m in people.messages("ann", unread=True)] == [second]
    again = People(store, project)
    assert again.messages("ann") == people.messages("ann")
    told = again.messages("ann")[0]
    assert (told["by"], told["text"], told["read"] >= told["at"]) == ("lea", "Ties are rare here.", True)


def test_reading_twice_is_reading_once(store: Store, project: int) -> None:
    people = People(store, project)
    number = people.message("lea", "ann", "Ties are rare here.")
    people.message_read("ann", number)
    before = people.messages("ann")
    people.message_read("ann", number)
    assert (people.messages("ann"), People(store, project).messages("ann")) == (before, before)


def test_messages_are_of_their_project(store: Store, project: int) -> None:
    People(store, project).message("lea", "ann", "Ties are rare here.")
    assert People(store, project + 1).messages("ann") == []
