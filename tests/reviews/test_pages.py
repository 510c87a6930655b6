"""The pages of reviewing over a real store: who sees what, and what a grade does."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from call_records.recordings.types import AuditFilter
from call_records.reviews.types import PickState
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts
from telephony.recordings import AuditAction, HearScope
from telephony.reviews import Question, QuestionKind, ReviewRuleKind
from telephony.staff import Role
from tests.reviews.office import SHORT_FORM, answers, grade, hire, keep, short_form, talk
from tests.reviews.serving import serving, signed_in
from tests.web.conftest import Person
from web.pages.reviews.forms import changes
from web.presenters.reviews import long_time

pytestmark = pytest.mark.postgres


def lately(hours: float = 3) -> datetime:
    """A moment of this week, for pages that show these weeks."""
    return datetime.now(UTC) - timedelta(hours=hours)


async def staff(records: RecordsStore) -> None:
    """One of each role; two agents."""
    await hire(records, "chief", Role.SUPERVISOR, "103", name="Jan Kowalski")
    await hire(records, "admin", Role.ADMINISTRATOR, name="Mira Sato")
    await hire(records, "anna", Role.MANAGER, "101", name="Anna Belova")
    await hire(records, "olga", Role.MANAGER, "102", name="Olga Petrova")


async def picked(records: RecordsStore, by: str = "101", hours: float = 3) -> tuple[CallFacts, UUID]:
    """A call with a long hold, and its place in the queue."""
    call = talk(by, at=lately(hours), hold=200, name="Garden")
    await keep(records, call)
    await records.reviews.picks.pick_now()
    found = [one for one in await records.reviews.picks.queue(None) if one.call.id == call.id]
    return call, found[0].id


async def status_of(person: Person, path: str) -> int:
    async with person.http.get(path, allow_redirects=False) as answer:
        return answer.status


def filled(**different: str) -> dict[str, str]:
    """SHORT_FORM with the best answers, as a browser sends it."""
    best = {"a-greeting": "1", "a-answer": "5", "a-hold": "na", "c-answer": "", "feedback": "Well done"}
    return {"grade": str(uuid4()), **best, **different}


async def test_the_queue_says_why_in_words(records: RecordsStore) -> None:
    """A supervisor opens Review: the reason, whose call, with whom and how long."""
    await staff(records)
    await picked(records)
    async with serving(records) as address, signed_in(address, "chief") as chief:
        page = await chief.read("/review")
        assert "Held 3:20" in page
        assert "Anna Belova" in page
        assert "Garden" in page
        assert "No call matches" in await chief.read("/review?person=102")
        assert "Held 3:20" in await chief.read("/review?reason=long_hold")


async def test_an_empty_queue_says_what_will_come(records: RecordsStore) -> None:
    """Nothing picked yet: a sentence, a way to look now, and what it found. Who hears nobody is told so."""
    await staff(records)
    async with serving(records) as address:
        async with signed_in(address, "chief") as chief:
            assert "Calls appear here within five minutes" in await chief.read("/review")
            assert "Nobody was graded yet" in await chief.read("/review/people")
            assert "No call was graded by two people yet" in await chief.read("/review/calibration")
            assert await chief.send("/review/look") == 303
            assert "nothing new to hear" in await chief.read("/review?found=0")
        async with signed_in(address, "admin") as admin:
            for path in ("/review", "/review/people", "/review/calibration"):
                assert "may hear nobody" in await admin.read(path)
        async with signed_in(address, "anna") as anna:
            assert "No feedback yet" in await anna.read("/feedback")


async def test_who_may_open_what(records: RecordsStore) -> None:
    """A manager opens none of Review and only their own feedback; an administrator who hears nobody no call at all."""
    await staff(records)
    call, pick = await picked(records)
    form = await short_form(records)
    chief = await records.accounts.by_login("chief")
    assert chief
    given = await grade(records, call, form, chief, answers())
    inside = ("/review", "/review/people", "/review/forms", "/review/rules", "/review/calibration")
    async with serving(records) as address:
        async with signed_in(address, "anna") as anna:
            for path in (*inside, f"/review/{pick}", "/review/people/101"):
                assert await status_of(anna, path) == 403
            assert await anna.send(f"/review/{pick}", **filled(form=str(form.form_id), version="1")) == 403
            assert await status_of(anna, f"/feedback/{given.id}") == 200
        async with signed_in(address, "olga") as olga:
            assert await status_of(olga, f"/feedback/{given.id}") == 404
            assert "Garden" not in await olga.read("/feedback")
            assert await status_of(olga, f"/feedback/{uuid4()}") == 404
        async with signed_in(address, "admin") as admin:
            for path in inside:
                assert await status_of(admin, path) == 200
            for path in (f"/review/{pick}", "/review/people/101", f"/review/{uuid4()}"):
                assert await status_of(admin, path) == 404
            choice = {"call": str(call.id), "extension": "101"}
            assert await admin.send("/review/choose", **choice) == 404
            assert await admin.send(f"/review/{pick}/skip", why="x") == 404


async def test_a_supervisor_of_a_team_sees_nothing_of_others(records: RecordsStore) -> None:
    """Her team is Olga's: Anna's call, grades and trend do not exist for her."""
    await staff(records)
    for login in ("olga", "chief"):
        account = await records.accounts.by_login(login)
        assert account
        await records.accounts.update(replace(account, team="Garden"))
    chief = await records.accounts.by_login("chief")
    assert chief
    await records.accounts.update(replace(chief, hears_chosen=HearScope.TEAM))
    hers, _ = await picked(records, "102", 4)
    other, pick = await picked(records, "101")
    form = await short_form(records)
    await grade(records, other, form, chief, answers(), feedback="Secret words")
    async with serving(records) as address, signed_in(address, "chief") as person:
        page = await person.read("/review")
        assert "Olga Petrova" in page
        assert "Anna Belova" not in page
        assert await status_of(person, f"/review/{pick}") == 404
        assert await status_of(person, "/review/people/101") == 404
        assert await status_of(person, "/review/people/102") == 200
        assert "Anna Belova" not in await person.read("/review/people")
        assert await person.send("/review/choose", call=str(other.id), extension="101") == 404
        assert await person.send("/review/choose", call=str(hers.id), extension="102") == 303


async def test_graded_and_on_to_the_next(records: RecordsStore) -> None:
    """Saving leads to the next call; the agent sees the feedback once as new; the log has its line."""
    await staff(records)
    form = await short_form(records)
    call, pick = await picked(records)
    older, next_pick = await picked(records, "102", 5)
    async with serving(records) as address:
        async with signed_in(address, "chief") as chief:
            assert "Right answer" in await chief.read(f"/review/{pick}")
            told = filled(form=str(form.form_id), version="1", **{"c-answer": "Clear <b>words</b>"})
            form_data = {"csrf": chief.csrf, **told}
            async with chief.http.post(f"/review/{pick}", data=form_data, allow_redirects=False) as answer:
                assert answer.status == 303
                assert answer.headers["location"] == f"/review/{next_pick}?saved={pick}"
            assert "You gave 100" in await chief.read(f"/review/{pick}")
        async with signed_in(address, "anna") as anna:
            assert "1 new" in await anna.read("/feedback")
            (given,) = await records.reviews.grades.of_part(call.id, "101")
            page = await anna.read(f"/feedback/{given.id}")
            assert "Well done" in page
            assert "Clear &lt;b&gt;words" in page
            assert "new</span>" not in await anna.read("/feedback")
        async with signed_in(address, "chief") as chief:
            assert "Read by Anna Belova" in await chief.read(f"/review/{pick}")
    (line,) = await records.audit.page(AuditFilter(action=AuditAction.GRADED))
    assert (line.who, line.call_id, line.address) == ("chief", call.id, "127.0.0.1")
    assert older.id != call.id


async def test_what_was_typed_comes_back_with_the_problem(records: RecordsStore) -> None:
    """A question was left out: nothing is saved, the page says which one, and every word is still there."""
    await staff(records)
    form = await short_form(records)
    call, pick = await picked(records)
    async with serving(records) as address, signed_in(address, "chief") as chief:
        told = filled(form=str(form.form_id), version="1", feedback="Half a page of thoughts")
        del told["a-greeting"]
        async with chief.http.post(f"/review/{pick}", data={"csrf": chief.csrf, **told}) as answer:
            page = await answer.text()
            assert answer.status == 400
        assert "no answer yet: Said the company" in page
        assert "Half a page of thoughts" in page
        assert re.search(r'name="a-answer" value="5" required checked', page)
        for broken in ({"form": "nonsense"}, {"version": "x"}, {"grade": ""}, {"a-answer": "9" * 90}):
            whole = {**filled(form=str(form.form_id), version="1"), **broken}
            assert await chief.send(f"/review/{pick}", **whole) == 400
    assert await records.reviews.grades.of_part(call.id, "101") == []


async def test_nobody_grades_himself(records: RecordsStore) -> None:
    """The supervisor's own call is picked: not in their queue, no form on its page, a sent grade refused."""
    await staff(records)
    form = await short_form(records)
    call, pick = await picked(records, "103")
    async with serving(records) as address, signed_in(address, "chief") as chief:
        assert "Held 3:20" not in await chief.read("/review")
        assert "Somebody else has to grade it" in await chief.read(f"/review/{pick}")
        assert await chief.send(f"/review/{pick}", **filled(form=str(form.form_id), version="1")) == 404
    assert await records.reviews.grades.of_part(call.id, "103") == []


async def test_the_second_grader_is_not_led(records: RecordsStore) -> None:
    """Mira graded; Jan sees that she did and not what, until they have graded too; then they are a pair."""
    await staff(records)
    mira = await hire(records, "mira", Role.SUPERVISOR, name="Mira Oak")
    form = await short_form(records)
    call, pick = await picked(records)
    await grade(records, call, form, mira, answers(0, 2), feedback="Weak in my ears")
    async with serving(records) as address, signed_in(address, "chief") as chief:
        before = await chief.read(f"/review/{pick}")
        assert "A colleague has graded this call" in before
        assert "Weak in my ears" not in before
        assert f"/review/{pick}" in await chief.read("/review/calibration")
        assert await chief.send(f"/review/{pick}", **filled(form=str(form.form_id), version="1")) == 303
        assert "Weak in my ears" in await chief.read(f"/review/{pick}")
        pairs = await chief.read("/review/calibration")
        assert "Jan Kowalski gives 81 points more on the whole" in pairs


async def test_skipped_with_undo(records: RecordsStore) -> None:
    """A wrong number: skipped with the reason, and taken back from the line that says so."""
    await staff(records)
    await short_form(records)
    _call, pick = await picked(records)
    async with serving(records) as address, signed_in(address, "chief") as chief:
        assert await chief.send(f"/review/{pick}/skip", why="A wrong number") == 303
        assert f"/review/{pick}/undo" in await chief.read(f"/review?skipped={pick}")
        assert "A wrong number" in await chief.read(f"/review/{pick}")
        assert await chief.send(f"/review/{pick}/undo") == 303
    kept = await records.reviews.picks.one(pick)
    assert kept
    assert kept.state is PickState.OPEN


async def test_a_call_is_chosen_from_its_own_page(records: RecordsStore) -> None:
    """No rule picked it: the supervisor's call page has a button, the agent's has none; the rating stands in the facts."""
    await staff(records)
    call = replace(talk(at=lately()), rating=2)
    await keep(records, call)
    async with serving(records) as address:
        async with signed_in(address, "anna") as anna:
            page = await anna.read(f"/calls/{call.id}")
            assert "Review Anna" not in page
            assert "2 of 5" in page
            assert "rated 2" in await anna.read("/calls")
        async with signed_in(address, "chief") as chief:
            assert "Review Anna Belova in this call" in await chief.read(f"/calls/{call.id}")
            assert await chief.send("/review/choose", call=str(call.id), extension="101") == 303
            assert await chief.send("/review/choose", call=str(call.id), extension="102") == 400
            assert "Chosen by Jan Kowalski" in await chief.read("/review")


async def test_a_rule_is_changed_and_tried(records: RecordsStore) -> None:
    """Hold of 60 seconds: the preview says how many; saved with a line in the log; nonsense is refused and kept."""
    await staff(records)
    await keep(records, talk(at=lately(), hold=70), talk(at=lately(5), hold=50))
    rule = "/review/rules/long_hold"
    async with serving(records) as address, signed_in(address, "chief") as chief:
        assert "Of 2 conversations in the last seven days it would pick 1." in await chief.read(
            f"{rule}/preview?hold_seconds=60"
        )
        assert "from 10 to 7200" in await chief.read(f"{rule}/preview?hold_seconds=1")
        assert await chief.send(rule, active="yes", hold_seconds="60") == 303
        assert await chief.send(rule, hold_seconds="nonsense") == 400
        assert await chief.send("/review/rules/no_such_rule") in (404, 422)
        assert 'value="60"' in await chief.read("/review/rules?saved=long_hold")
    kept = {one.kind: one for one in await records.reviews.rules.all()}[ReviewRuleKind.LONG_HOLD]
    assert (kept.active, kept.choices) == (True, {"hold_seconds": 60})
    (line,) = await records.audit.page(AuditFilter(action=AuditAction.RULES_CHANGED))
    assert line.details["choices"] == {"hold_seconds": 60}


def editor(questions: tuple[Question, ...], **different: str) -> dict[str, str]:
    """The editor's fields."""
    fields = {"name": "Short", "after": "1"}
    for row, one in enumerate(questions):
        fields |= {
            f"q{row}-id": one.id,
            f"q{row}-text": one.text,
            f"q{row}-kind": one.kind.value,
            f"q{row}-weight": str(one.weight),
            f"q{row}-help": one.help,
            f"q{row}-place": str(row),
            **({f"q{row}-skip": "yes"} if one.may_skip else {}),
        }
    return fields | different


async def test_a_form_is_looked_at_before_it_is_saved(records: RecordsStore) -> None:
    """A weight and an order change: the preview says so and saves nothing; saving makes version 2; a stale one is told."""
    await staff(records)
    form = await short_form(records)
    path = f"/review/forms/{form.form_id}"
    changed = editor(SHORT_FORM, **{"q1-weight": "5", "q0-place": "7"})
    async with serving(records) as address, signed_in(address, "chief") as chief:
        looking = {"csrf": chief.csrf, "act": "preview", **changed}
        async with chief.http.post(path, data=looking) as answer:
            page = await answer.text()
        assert "Weight 3 → 5: Right answer" in page
        assert "In another order" in page
        assert "Save as version 2" in page
        assert [one.version for one in await records.reviews.forms.offered()] == [1]
        assert await chief.send(path, act="save", **changed) == 303
        assert await chief.send(path, act="save", **changed) == 400
        assert await chief.send(path, act="save", **editor((), after="2")) == 400
        assert await chief.send("/review/forms/new", act="save", **editor(SHORT_FORM[:1], after="0")) == 303
        assert await chief.send(f"{path}/retire", retired="yes") == 303
        assert await status_of(chief, f"/review/forms/{uuid4()}") == 404
    newest = await records.reviews.forms.one(form.form_id)
    assert newest
    assert [(one.id, one.weight) for one in newest.questions] == [("answer", 5), ("hold", 1), ("greeting", 1)]
    assert (newest.version, newest.made_by, newest.retired) == (2, "Jan Kowalski", True)
    assert len(await records.reviews.forms.offered()) == 1


def test_what_a_new_version_changes_in_words() -> None:
    """One gone, one new, one reworded, one answered otherwise; unchanged ones are not named."""
    after = (
        replace(SHORT_FORM[0], text="Greeted"),
        replace(SHORT_FORM[1], kind=QuestionKind.YES_NO),
        Question("more", "Thanked", QuestionKind.YES_NO),
    )
    assert changes(SHORT_FORM, after) == [
        "New: Thanked",
        "Gone: Asked before holding",
        "Reworded: Greeted",
        "Answered otherwise: Right answer",
    ]
    assert changes(SHORT_FORM, SHORT_FORM) == []


async def test_a_persons_trend(records: RecordsStore) -> None:
    """Three weeks of grades: the latest mean, its change and each question, with the figures behind the picture."""
    await staff(records)
    chief = await records.accounts.by_login("chief")
    assert chief
    form = await short_form(records)
    for weeks, answer in ((3, 3), (2, 4), (1, 5)):
        call = talk(at=lately(24 * 7 * weeks))
        await keep(records, call)
        await grade(records, call, form, chief, answers(1, answer), feedback=f"Week {weeks}")
    async with serving(records) as address, signed_in(address, "chief") as person:
        page = await person.read("/review/people/101")
        assert page.count('class="mean"') == 3
        assert "+25" in page
        assert "Week 1" in page
        assert "polyline" in page
        assert "By month" in await person.read("/review/people/101?step=month")
        assert "Not graded in the last year" in await person.read("/review/people/102")
        assert "Anna Belova" in await person.read("/review/people")


async def test_a_superseded_grade_leads_to_the_one_that_counts(records: RecordsStore) -> None:
    """Anna follows yesterday's link: she lands at what her supervisor thinks now."""
    await staff(records)
    chief = await records.accounts.by_login("chief")
    assert chief
    form = await short_form(records)
    call, _pick = await picked(records)
    first = await grade(records, call, form, chief, answers(0), feedback="First thought")
    await grade(records, call, form, chief, answers(1), feedback="Second thought")
    async with serving(records) as address, signed_in(address, "anna") as anna:
        page = await anna.read(f"/feedback/{first.id}")
        assert "Second thought" in page
        assert "First thought" not in page


def test_waits_in_words() -> None:
    """Minutes, hours, days, as they are said."""
    assert [long_time(n) for n in (0, 45, 60, 190, 1440, 3000)] == [
        "0 min",
        "45 min",
        "1 h",
        "3 h 10 min",
        "1 day",
        "2 days 2 h",
    ]
