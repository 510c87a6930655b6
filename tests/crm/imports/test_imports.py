"""Files that people really have: read, understood, tried out, imported, gone on with, and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, update

from call_records.crm.imports.jobs import Import, State
from call_records.crm.tables import clients, import_changes, imports
from call_records.crm.types import Client, ClientFilter, NewClient, NewTask
from call_records.db.tables import extensions, people
from call_records.store import RecordsStore
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from tests.call_facts_builder import change
from tests.crm.conftest import Somebody
from tests.web import office

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]
_area = iter(range(100, 999))


def numbers(count: int = 1) -> list[str]:
    """Numbers that no other test of this module uses, E.164."""
    area = next(_area)
    return [f"+7916{area}{place:04}" for place in range(count)]


async def tried(
    store: RecordsStore, data: str | bytes, *, name: str = "list.csv", by: UUID | None = None,
    kind: ClientKind | None = None, columns: Sequence[str] | None = None,
) -> Import:  # fmt: skip
    """The file, tried out with what was guessed or told."""
    desk = store.imports
    import_id = await desk.take(name, data.encode() if isinstance(data, str) else data, by=by)
    found = await desk.one(import_id)
    assert found is not None
    await desk.choose(import_id, columns=columns or found.mapped.columns, kind=kind or found.mapped.kind)
    await desk.work(import_id)
    return await read(store, import_id)


async def imported(store: RecordsStore, data: str | bytes, **told: object) -> Import:
    """The file, imported; what the try-out said is what happened."""
    found = await tried(store, data, **told)  # type: ignore[arg-type]
    assert found.state is State.CHECKED
    await store.imports.begin(found.id)
    await store.imports.work(found.id)
    done = await read(store, found.id)
    assert done.state is State.DONE
    names = ("new", "completes", "same", "problem", "companies", "told")
    assert {name: done.count(name) for name in names} == {name: found.count(name) for name in names}
    assert not done.has_file
    return done


async def read(store: RecordsStore, import_id: UUID) -> Import:
    found = await store.imports.one(import_id)
    assert found is not None
    return found


async def who(store: RecordsStore, text: str) -> list[Client]:
    """Everybody whom the word or number finds."""
    return list((await store.book.page(ClientFilter(text=text))).clients)


async def undone(store: RecordsStore, import_id: UUID) -> Import:
    await store.imports.begin_undo(import_id)
    await store.imports.work(import_id)
    return await read(store, import_id)


# -- importing --


async def test_new_rows_are_made_with_everything(store: RecordsStore, petrova: Somebody) -> None:
    """A contact with two numbers in one field, e-mail, firm, position, owner, tags, a fact and a note."""
    first, second = numbers(2)
    data = (
        "Имя;Телефоны;E-mail;Компания;Должность;Ответственный;Теги;Комментарий;Город\n"
        f"Анна Волкова;{first}, {second} доб. 7;Anna@Volkova.example;ООО Вымысел;директор;petrova;вип|сад;Любит чай;Тверь\n"
    )
    done = await imported(store, data, by=petrova.account)
    assert (done.count("new"), done.count("companies")) == (1, 1)
    (anna,) = await who(store, first)
    assert (anna.name, anna.company, anna.position, anna.owner) == (
        "Анна Волкова",
        "ООО Вымысел",
        "директор",
        "Petrova",
    )
    assert [(one.key, one.extension) for one in anna.phones] == [(first, None), (second, "7")]
    assert anna.emails == ("anna@volkova.example",)
    assert anna.tags == ("вип", "сад")
    assert anna.fields == {"Город": "Тверь"}
    assert anna.source == "import"
    told = (await store.timelines.of_client(anna.id)).entries
    assert {(one.kind, one.text) for one in told} == {("made", None), ("note", "Любит чай")}
    assert all(one.account_id == petrova.account for one in told)
    assert [one.name for one in await who(store, "вымысел волкова")] == ["Анна Волкова"]


async def test_the_same_file_again_changes_nothing(store: RecordsStore) -> None:
    """Somebody presses twice on another day."""
    one, two = numbers(2)
    data = f"Name,Phone,E-mail,Note\nAda Again,{one},ada@again.example,hello\nNobody Again,,,\nZoe Again,{two},,\n"
    assert (await imported(store, data)).count("new") == 3
    again = await imported(store, data)
    assert (again.count("same"), again.count("new"), again.count("completes")) == (3, 0, 0)


async def test_an_existing_entry_is_completed_never_overwritten(
    store: RecordsStore, petrova: Somebody
) -> None:
    """The book has her position and a fact; the file says otherwise, and knows an e-mail and a firm besides."""
    number, other = numbers(2)
    made = await store.book.add(
        NewClient(ClientKind.CONTACT, "Olga Kept", (number,), position="boss", fields={"City": "Perm"}),
        by=None,
    )
    heads = "Name,Phone,E-mail,Position,Company,City,Size\n"
    data = f"{heads}O. Kept,{number} {other},olga@kept.example,clerk,Kept Ltd,Omsk,L\n"
    done = await imported(store, data, by=petrova.account)
    assert done.count("completes") == 1
    after = await store.book.one(made.id)
    assert after is not None
    assert (after.name, after.position, after.company) == ("Olga Kept", "boss", "Kept Ltd")
    assert after.fields == {"City": "Perm", "Size": "L"}
    assert [one.key for one in after.phones] == [number, other]
    assert after.emails == ("olga@kept.example",)
    assert after.version == made.version + 1
    assert [one.name for one in await who(store, "olga@kept.example")] == ["Olga Kept"]
    # and as it was, with the firm gone too
    end = await undone(store, done.id)
    assert (end.state, end.counts["stays"]) == (State.UNDONE, [])
    back = await store.book.one(made.id)
    assert back is not None
    assert (back.company, back.emails, back.fields) == (None, (), {"City": "Perm"})
    assert [one.key for one in back.phones] == [number]
    assert await who(store, "Kept Ltd") == []
    assert [one.kind for one in (await store.timelines.of_client(made.id)).entries] == ["made"]


async def test_a_lead_that_is_only_a_number_gets_its_name(store: RecordsStore) -> None:
    """A call made a lead; the file knows who it is."""
    (number,) = numbers()
    lead = await store.book.add(NewClient(ClientKind.LEAD, number, (number,)), by=None)
    done = await imported(store, f"Name,Phone\nVera Named,{number}\n")
    assert done.count("completes") == 1
    named = await store.book.one(lead.id)
    assert named is not None
    assert (named.name, named.kind) == ("Vera Named", ClientKind.LEAD)
    await undone(store, done.id)
    again = await store.book.one(lead.id)
    assert again is not None
    assert again.name == number


async def test_colleagues_at_one_number_stay_two_people(store: RecordsStore) -> None:
    """The switchboard's number stands behind everybody of a firm."""
    (number,) = numbers()
    done = await tried(
        store, f"Name,Phone\nIvan Colleague,{number}\nMarfa Other,{number}\nIvan Colleague,{number}\n"
    )
    assert (done.count("new"), done.count("same")) == (2, 1)
    assert done.counts["preview"][1]["beside"] == "Ivan Colleague"


async def test_a_company_is_found_by_name_and_never_made_twice(store: RecordsStore) -> None:
    """Three people of one firm, which the book has in other letters, and one of a new one."""
    numbers_ = numbers(4)
    firm = await store.book.add(NewClient(ClientKind.COMPANY, "Unique Garden Ltd"), by=None)
    lines = [
        f"P{place} Gardener,{one},{'New Firm 77' if place > 1 else 'UNIQUE GARDEN LTD'}"
        for place, one in enumerate(numbers_)
    ]
    done = await imported(store, "Name,Phone,Company\n" + "\n".join(lines) + "\n")
    assert done.count("companies") == 1
    people_ = [(await who(store, one))[0] for one in numbers_]
    assert {one.company_id for one in people_[:2]} == {firm.id}
    assert len({one.company_id for one in people_[2:]}) == 1


async def test_problems_name_row_column_and_sentence(store: RecordsStore) -> None:
    """No way to know them; an e-mail that is none; an owner nobody knows; a kind there is not; a cell too many."""
    (number,) = numbers()
    data = (
        "Kind,Name,Phones,E-mails,Owner\n"
        ",,,,\ncontact,,,,Nobody Here\n"
        f"contact,Good Enough,{number},not-an-address,Nobody Here\n"
        "alien,Zork,,,\ncontact,Too,many,,,cells\n"
    )
    done = await imported(store, data)
    said = {(one.row, one.column): one for one in done.problems}
    assert set(said) == {(3, "Owner"), (3, ""), (4, "E-mails"), (4, "Owner"), (5, "Kind"), (6, "")} or set(said) == {
        (3, ""), (4, "E-mails"), (4, "Owner"), (5, "Kind"), (6, ""),
    }  # fmt: skip
    assert (done.count("problem"), done.count("new")) == (3, 1)
    assert said[(4, "E-mails")].left_out
    assert "not-an-address" in said[(4, "E-mails")].said
    assert not said[(5, "Kind")].left_out


async def test_numbers_that_are_none_are_kept_as_they_stand(store: RecordsStore) -> None:
    """A word, a short number, a foreign one."""
    data = "Name,Phone\nMalformed One,нет телефона\nMalformed Two,101\nMalformed Three,+49 89 12345678\n"
    await imported(store, data)
    raws = {
        one.name: [(phone.raw, phone.key) for phone in one.phones] for one in await who(store, "malformed")
    }
    assert raws["Malformed One"] == []
    assert raws["Malformed Two"] == [("101", "101")]
    assert raws["Malformed Three"][0][1] == "+498912345678"


async def test_earlier_calls_and_debts_find_their_new_owner(store: RecordsStore) -> None:
    """They called yesterday, when nobody knew them; undoing takes the entry away although the call lies with it."""
    (number,) = numbers()
    call = office.over(office.picked_up(office.ringing("101", number=number), "101", 5), 30)
    await store.journal.record([change(call)])
    done = await imported(store, f"Name,Phone\nEarly Caller,{number}\n")
    (early,) = await who(store, number)
    assert [
        one.call_id for one in (await store.timelines.of_client(early.id)).entries if one.kind == "call"
    ] == [call.id]
    assert early.spoken_at is not None
    assert (await undone(store, done.id)).counts["stays"] == []
    assert await who(store, number) == []


async def test_undo_leaves_what_people_have_worked_with(store: RecordsStore, petrova: Somebody) -> None:
    """A note, a task and an edit: three stay and say why; the others and their firms go."""
    numbers_ = numbers(5)
    lines = [f"Stayer{place},{one},Firm of stayer {place}" for place, one in enumerate(numbers_)]
    done = await imported(store, "Name,Phone,Company\n" + "\n".join(lines))
    made = [(await who(store, one))[0] for one in numbers_]
    await store.timelines.add_note(client_id=made[0].id, deal_id=None, text="called", by=petrova.account)
    await store.tasks.add(NewTask("call back", client_id=made[1].id), by=petrova.account)
    async with store.engine.begin() as connection:
        await connection.execute(update(clients).where(clients.c.id == made[2].id).values(version=2))
    end = await undone(store, done.id)
    why = {one["name"]: one["why"] for one in end.counts["stays"]}
    assert why == {
        "Stayer0": "note", "Stayer1": "task", "Stayer2": "changed",
        "Firm of stayer 0": "people", "Firm of stayer 1": "people", "Firm of stayer 2": "people",
    }  # fmt: skip
    assert await who(store, numbers_[3]) == []
    assert await who(store, "Firm of stayer 4") == []


async def die_after(
    pieces: int, store: RecordsStore, import_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work at it, and be killed when so many pieces are done."""
    real, left = store.imports._piece, pieces

    async def dying(*told: object) -> int | None:
        nonlocal left
        left -= 1
        if left < 0:
            raise asyncio.CancelledError
        return await real(*told)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(store.imports, "_piece", dying)
        with pytest.raises(asyncio.CancelledError):
            await store.imports.work(import_id)


async def test_a_killed_import_goes_on_where_it_was(
    store: RecordsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces of two rows; the process dies after the second piece. Another one finishes; nobody is there twice."""
    monkeypatch.setattr("call_records.crm.imports.read_ahead.ROWS_AT_ONCE", 2)
    numbers_ = numbers(7)
    found = await tried(
        store, "Name,Phone\n" + "".join(f"Killed{p},{one}\n" for p, one in enumerate(numbers_))
    )
    await store.imports.begin(found.id)
    await die_after(2, store, found.id, monkeypatch)
    half = await read(store, found.id)
    assert (half.state, half.done, half.count("new")) == (State.RUNNING, 4, 4)
    await asyncio.gather(store.imports.work(found.id), store.imports.work(found.id))
    done = await read(store, found.id)
    assert (done.state, done.done, done.count("new")) == (State.DONE, 7, 7)
    assert len(await who(store, "killed")) == 7


async def test_a_killed_import_can_be_undone(store: RecordsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never came further than the first piece."""
    monkeypatch.setattr("call_records.crm.imports.read_ahead.ROWS_AT_ONCE", 1)
    number, other = numbers(2)
    found = await tried(store, f"Name,Phone\nHalf Done,{number}\nNever Done,{other}\n")
    await store.imports.begin(found.id)
    await die_after(1, store, found.id, monkeypatch)
    assert len(await who(store, number)) == 1
    assert (await undone(store, found.id)).state is State.UNDONE
    assert await who(store, number) == []


async def test_two_imports_of_one_stranger_make_him_once(store: RecordsStore) -> None:
    """Two people upload the same list at the same moment."""
    number, other = numbers(2)
    data = f"Name,Phone\nOnly Once,{number}\nOnly Twice,{other}\n"
    first, second = await tried(store, data), await tried(store, data)
    for one in (first, second):
        await store.imports.begin(one.id)
    await asyncio.gather(store.imports.work(first.id), store.imports.work(second.id))
    assert len(await who(store, number)) == 1
    ends = [await read(store, one.id) for one in (first, second)]
    assert sorted(one.count("new") for one in ends) == [0, 2]


async def test_the_file_is_forgotten_after_a_day(store: RecordsStore) -> None:
    """Somebody tried a file out and went home for good."""
    found = await tried(store, "Name\nForgotten\n")
    async with store.engine.begin() as connection:
        await connection.execute(
            update(imports)
            .where(imports.c.id == found.id)
            .values(at=func.now() - func.make_interval(0, 0, 0, 2))
        )
    await store.imports.tidy()
    after = await read(store, found.id)
    assert (after.state, after.has_file) == (State.EXPIRED, False)
    with pytest.raises(PeerMistake):
        await store.imports.begin(found.id)


async def test_owner_by_name_mail_and_extension(store: RecordsStore) -> None:
    """Each way to name one of ours; two of one name are nobody."""
    ids = [uuid4() for _ in range(3)]
    async with store.engine.begin() as connection:
        await connection.execute(
            insert(people),
            [
                {"id": ids[0], "name": "Boris Owner", "email": "Boris@Office.example"},
                {"id": ids[1], "name": "Twin Owner", "email": None},
                {"id": ids[2], "name": "Twin Owner", "email": None},
            ],
        )
        await connection.execute(insert(extensions).values(extension="7341", person_id=ids[0]))
    cells = ["boris owner", "boris@office.example", "7341", "Twin Owner"]
    numbers_ = numbers(4)
    rows = "".join(f"Owned{p},{numbers_[p]},{cell}\n" for p, cell in enumerate(cells))
    done = await imported(store, "Name,Phone,Owner\n" + rows)
    assert [(await who(store, one))[0].owner_id for one in numbers_] == [ids[0]] * 3 + [None]
    assert "Several" in done.problems[0].said


async def test_formulas_are_text(store: RecordsStore) -> None:
    """A cell that Excel would run is a name; one that our export guarded loses its guard."""
    done = await imported(store, "Name,Note\n=HYPERLINK(1),x\n'=guarded(2),y\n")
    assert done.count("new") == 2
    assert {one.name for one in await who(store, "hyperlink")} == {"=HYPERLINK(1)"}
    assert {one.name for one in await who(store, "guarded")} == {"=guarded(2)"}


# -- cards --

CARDS = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Соколова;Ирина;;;\r\nFN:Ирина Соколова\r\nTEL;TYPE=CELL:{a}\r\n"
    "TEL;TYPE=WORK:8 495 000-00-10 доб. 4\r\nEMAIL;TYPE=INTERNET:irina@cards.example\r\nEMAIL:second@cards.example\r\n"
    "ORG:Выдуманный сад;Отдел роз\r\nTITLE:директор\r\nCATEGORIES:vip,сад\r\nNOTE:Длинная заметка\\, которая сло\r\n"
    " жена пополам\\nи ещё строка\r\nPHOTO;ENCODING=b;TYPE=JPEG:AAAA\r\n BBBB\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\nVERSION:4.0\nFN:Four Point Oh\nTEL;VALUE=uri;TYPE=\"voice,home\":tel:{b};ext=12\n"
    "ORG:\nKIND:individual\nEND:VCARD\n"
    "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=98=D0=B2=D0=B0=D0=BD=D0=BE=D0=B2;=D0=98=\r\n"
    "=D0=B2=D0=B0=D0=BD;;;\r\nTEL;CELL:{c}\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nVERSION:3.0\r\nthis is no property\r\nEND:VCARD\r\n"
)  # fmt: skip


async def test_cards_of_three_generations(store: RecordsStore) -> None:
    """A telephone's export: 3.0 with folded lines, 4.0 with a tel: address, 2.1 in quoted-printable, one broken."""
    a, b, c = numbers(3)
    done = await imported(store, CARDS.format(a=a, b=b, c=c), name="contacts.vcf")
    assert (done.count("new"), done.count("problem")) == (3, 1)
    (irina,) = await who(store, a)
    assert (irina.name, irina.company, irina.position) == ("Ирина Соколова", "Выдуманный сад", "директор")
    assert [one.key for one in irina.phones] == [a, "+74950000010"]
    assert irina.phones[1].extension == "4"
    assert irina.emails == ("irina@cards.example", "second@cards.example")
    assert irina.tags == ("vip", "сад")
    notes = [one.text for one in (await store.timelines.of_client(irina.id)).entries if one.kind == "note"]
    assert notes == ["Длинная заметка, которая сложена пополам\nи ещё строка"]
    (four,) = await who(store, b)
    assert four.phones[0].extension == "12"
    (ivan,) = await who(store, c)
    assert ivan.name == "Иван Иванов"
    assert done.problems[0].row == 4


async def test_nothing_is_left_of_what_was_taken_back(store: RecordsStore) -> None:
    """No row of the table of changes outlives its undo."""
    async with store.engine.connect() as connection:
        undone_ids = select(imports.c.id).where(imports.c.state == State.UNDONE.value)
        left = await connection.scalar(
            select(func.count()).select_from(import_changes).where(import_changes.c.import_id.in_(undone_ids))
        )
    assert left == 0
