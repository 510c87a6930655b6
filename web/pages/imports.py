"""Import: contacts in from a file, tried out first and taken back at a click. For supervisors and administrators.

Everything that is shown of a file comes from the file itself; of the book only the names of entries that would be
completed, as this viewer may see them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile

from call_records.crm.exports.exports import BOM
from call_records.crm.imports.code_pages import CODE_PAGES, ENCODINGS
from call_records.crm.imports.column_headings import FACT, LEFT_OUT
from call_records.crm.imports.column_mapping import PRESETS
from call_records.crm.imports.jobs import UNFINISHED, WORKING, Import, State
from call_records.crm.imports.spreadsheets import DELIMITERS, FILE_MOST, FileForm, Sheet
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from telephony.numbers.regions import COUNTRIES
from telephony.spreadsheet_cells import safe_cell
from web.auth.access import SUPERVISORS, Viewer, guard
from web.languages.errors import translate_sentence
from web.languages.messages import N_, Phrases, _
from web.presenters.contacts import say
from web.presenters.labels import display_number
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Supervisor = Annotated[Viewer, Depends(guard(SUPERVISORS))]

UPLOAD = "/people/import/file"
"""The one address that takes a file."""
UPLOAD_MOST = FILE_MOST + 64 * 1024  # bytes; the file and the form around it
SAMPLES = 3  # cells shown under each column's heading
PROBLEMS_SHOWN = 50  # on the page; the file of them has the rest

FIELD_WORDS: Phrases[str] = Phrases(
    {
        LEFT_OUT: N_("Leave out"),
        "name": N_("Name"),
        "last_name": N_("Last name"),
        "first_name": N_("First name"),
        "middle_name": N_("Middle name"),
        "phone": N_("Phone"),
        "email": N_("E-mail"),
        "company": N_("Company"),
        "position": N_("Position"),
        "owner": N_("Owner"),
        "tags": N_("Tags"),
        "note": N_("Note"),
        "kind": N_("Contact, company or lead"),
        FACT: N_("Keep under this heading"),
    }
)
ENCODING_WORDS = Phrases({page.id: page.name for page in CODE_PAGES})
DELIMITER_WORDS = Phrases({";": N_("semicolon ;"), ",": N_("comma ,"), "\t": N_("tab"), "|": N_("bar |")})
KIND_WORDS = Phrases(
    {
        ClientKind.CONTACT: N_("Contacts"),
        ClientKind.COMPANY: N_("Companies"),
        ClientKind.LEAD: N_("Leads"),
    }
)
PRESET_WORDS = Phrases(
    {
        "own": N_("an export of ours"),
        "vcard": N_("contact cards"),
        "general": N_("a table"),
        **{preset.id: preset.name for preset in PRESETS if preset.id not in ("own", "general")},
    }
)
STATE_WORDS: Phrases[State] = Phrases(
    {
        State.CHOOSING: N_("Columns are to be chosen"),
        State.CHECKING: N_("Being tried out"),
        State.CHECKED: N_("Tried out, not imported yet"),
        State.RUNNING: N_("Being imported"),
        State.DONE: N_("Imported"),
        State.UNDOING: N_("Being taken back"),
        State.UNDONE: N_("Taken back"),
        State.EXPIRED: N_("Never begun; the file is forgotten"),
    }
)
WHAT_WORDS = Phrases(
    {
        "new": N_("New"),
        "completes": N_("Completes"),
        "same": N_("Nothing new"),
        "problem": N_("Not imported"),
    }
)
WHY_WORDS = Phrases(
    {
        "call": N_("there were calls"),
        "note": N_("somebody wrote a note"),
        "deal": N_("there is a deal"),
        "task": N_("there is a task"),
        "people": N_("people belong to it"),
        "merged": N_("it was merged or converted"),
        "changed": N_("somebody changed it"),
    }
)
WORDS: Mapping[str, Any] = {
    "field_words": FIELD_WORDS,
    "encoding_words": ENCODING_WORDS,
    "delimiter_words": DELIMITER_WORDS,
    "kind_words": KIND_WORDS,
    "preset_words": PRESET_WORDS,
    "state_words": STATE_WORDS,
    "what_words": WHAT_WORDS,
    "why_words": WHY_WORDS,
    "encodings": ENCODINGS,
    "delimiters": DELIMITERS,
}


@router.get("/people/import")
async def begin(request: Request, viewer: Supervisor) -> Response:
    """Choose a file; and what was imported before."""
    return await _first_page(request, viewer)


async def _first_page(
    request: Request, viewer: Viewer, *, problem: str | None = None, status: int = 200
) -> Response:
    site = site_of(request)
    await site.records.imports.tidy()
    return site.renderer.page(
        request,
        viewer,
        "imports/list.html",
        status=status,
        problem=problem,
        recent=await site.records.imports.recent(),
        undoable=_undoable,
        **WORDS,
    )


@router.post(UPLOAD)
async def upload(request: Request, viewer: Supervisor) -> Response:
    """Take the file in."""
    told = (await request.form(max_files=1)).get("file")
    name, data = (told.filename, await told.read()) if isinstance(told, UploadFile) else (None, b"")
    await request.close()
    if not name:
        return await _first_page(request, viewer, problem=_("Choose a file first."), status=400)
    try:
        import_id = await site_of(request).records.imports.take(name, data, by=viewer.account.id)
    except PeerMistake as mistake:
        return await _first_page(request, viewer, problem=translate_sentence(mistake), status=400)
    return RedirectResponse(f"/people/import/{import_id}", 303)


@router.get("/people/import/{import_id:uuid}")
async def one(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """Where the import stands, and what to do next."""
    return await _page(request, viewer, import_id)


async def _page(
    request: Request, viewer: Viewer, import_id: UUID, *, problem: str | None = None, status: int = 200
) -> Response:
    site = site_of(request)
    found = await _found(site, import_id)
    columns: Sequence[Mapping[str, Any]] = ()
    sheet: Sheet | None = None
    if found.state is State.CHOOSING and found.has_file:
        sheet = await _first_rows(site, found)
        columns = _columns(sheet, found, viewer) if sheet is not None else ()
    stopped = found.has_stopped(datetime.now(UTC))
    return site.renderer.page(
        request,
        viewer,
        "imports/detail.html",
        status=status,
        found=found,
        columns=columns,
        sheet=sheet,
        mine=_may_act(found, viewer),
        deletable=found.state in UNFINISHED and _may_act(found, viewer),
        preview=[_shown(row, viewer, site) for row in found.counts.get("preview", ())],
        stays=[{**one, "name": say(str(one["name"]), viewer.view)} for one in found.counts.get("stays", ())],
        row_problems=[
            {"row": each.row, "column": each.column, "said": say(each.said, viewer.view)}
            for each in found.problems[:PROBLEMS_SHOWN]
        ],
        working=found.state in WORKING and not stopped,
        region=found.mapped.region or site.settings.region,
        countries=COUNTRIES,
        doubt=found.region_doubt,
        stopped=stopped,
        undoable=_undoable(found),
        problem=problem,
        **WORDS,
    )


async def _first_rows(site: Site, found: Import) -> Sheet | None:
    """The file's first rows; None when it was forgotten a moment ago."""
    try:
        return await site.records.imports.sheet(found.id)
    except PeerMistake:
        return None


def _may_act(found: Import, viewer: Viewer) -> bool:
    """Who took the file in goes on with it and takes it back; an administrator may do so for everybody."""
    return viewer.is_administrator or (found.by_id is not None and found.by_id == viewer.account.id)


def _undoable(found: Import) -> bool:
    return found.state is State.DONE or (found.state is State.RUNNING and found.done > 0)


def _columns(sheet: Sheet, found: Import, viewer: Viewer) -> list[dict[str, Any]]:
    """Each column with what is in its first rows; numbers of somebody else's file as this viewer may read them."""
    own = found.by_id == viewer.account.id
    return [
        {
            "place": place,
            "heading": heading,
            "chosen": found.mapped.columns[place] if place < len(found.mapped.columns) else LEFT_OUT,
            "samples": [
                cell[:80] if own else say(cell[:80], viewer.view)
                for row in sheet.rows
                if (cell := row.cells[place].strip())
            ][:SAMPLES],
        }
        for place, heading in enumerate(sheet.headings)
    ]


def _with_extension(number: str, extension: str | None) -> str:
    return _("{number} ext. {n}").format(number=number, n=extension) if extension else number


def _shown(row: Mapping[str, Any], viewer: Viewer, site: Site) -> dict[str, Any]:
    """A row of the try-out as it would be in the book."""
    region = site.settings.region
    phones = [
        _with_extension(
            display_number(key, region) if key and str(key).startswith("+") else str(raw), extension
        )
        for key, raw, extension in row["phones"]
    ]
    return {
        **row,
        "phones": [say(phone, viewer.view) for phone in phones],
        "entry": say(row["entry"], viewer.view) if row["entry"] else None,
        "beside": say(row["beside"], viewer.view) if row["beside"] else None,
    }


async def _acting(site: Site, import_id: UUID, viewer: Viewer) -> None:
    """Raises HTTPException for an import of somebody else's."""
    if not _may_act(await _found(site, import_id), viewer):
        raise HTTPException(
            403, _("Only who took the file in, or an administrator, can go on with this import.")
        )


async def _found(site: Site, import_id: UUID) -> Import:
    found = await site.records.imports.one(import_id)
    if found is None:
        raise HTTPException(404, _("There is no such import."))
    return found


@router.post("/people/import/{import_id:uuid}/read")
async def read_again(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """The file is written otherwise than was guessed."""
    told, site = await fields(request), site_of(request)
    await _acting(site, import_id, viewer)
    row = told.get("heading_row", "").strip()
    try:
        if row and not (row.isascii() and row.isdigit() and len(row) < 6):
            raise PeerMistake(
                _("The row of headings is a number."), remedy=_("Write 0 where no row names the columns.")
            )
        how = FileForm(
            encoding=told.get("encoding") or None,
            delimiter=told.get("delimiter") or None,
            heading_row=int(row) if row else None,
            sheet=told.get("sheet") or None,
        )
        await site.records.imports.read_again(import_id, how)
    except PeerMistake as mistake:
        return await _page(request, viewer, import_id, problem=translate_sentence(mistake), status=400)
    return _there(import_id)


@router.post("/people/import/{import_id:uuid}/columns")
async def choose(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """These columns are these fields: try the whole file out."""
    site = site_of(request)
    form = await request.form(max_files=0, max_fields=300)
    columns = [str(one) for one in form.getlist("column")]
    kind = str(form.get("kind", ""))
    await _acting(site, import_id, viewer)
    try:
        if kind not in list(ClientKind):
            raise PeerMistake(_("There is no such kind."), remedy=_("Choose from the list."))
        await site.records.imports.choose(
            import_id, columns=columns, kind=ClientKind(kind), region=str(form.get("region", "")) or None
        )
    except PeerMistake as mistake:
        return await _page(request, viewer, import_id, problem=translate_sentence(mistake), status=400)
    site.records.imports.go(import_id)
    return _there(import_id)


@router.post("/people/import/{import_id:uuid}/country")
async def read_in_country(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """The numbers were written in that country: try the whole file out again."""
    told, site = await fields(request), site_of(request)
    await _acting(site, import_id, viewer)
    try:
        await site.records.imports.read_in_country(import_id, told.get("region", ""))
    except PeerMistake as mistake:
        return await _page(request, viewer, import_id, problem=translate_sentence(mistake), status=400)
    site.records.imports.go(import_id)
    return _there(import_id)


@router.post("/people/import/{import_id:uuid}/back")
async def go_back(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """Back to the columns."""
    return await _step(request, import_id, viewer, site_of(request).records.imports.back)


@router.post("/people/import/{import_id:uuid}/begin")
async def begin_writing(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """Write what was tried out."""
    return await _step(request, import_id, viewer, site_of(request).records.imports.begin)


@router.post("/people/import/{import_id:uuid}/go")
async def go_on(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """Go on where it stopped."""
    return await _step(request, import_id, viewer, None)


@router.post("/people/import/{import_id:uuid}/undo")
async def undo(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """Take back what it wrote."""
    return await _step(request, import_id, viewer, site_of(request).records.imports.begin_undo)


@router.post("/people/import/{import_id:uuid}/delete")
async def delete(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """Forget what was never begun."""
    forget = site_of(request).records.imports.forget
    return await _step(request, import_id, viewer, forget, follow=False)


async def _step(
    request: Request,
    import_id: UUID,
    viewer: Viewer,
    step: Callable[[UUID], Awaitable[object]] | None,
    *,
    follow: bool = True,
) -> Response:
    """One step of an import, then the import goes on by itself; without `follow` there is none any more."""
    site = site_of(request)
    await _acting(site, import_id, viewer)
    try:
        if step is not None:
            await step(import_id)
    except PeerMistake as mistake:
        return await _page(request, viewer, import_id, problem=translate_sentence(mistake), status=409)
    if not follow:
        return RedirectResponse("/people/import", 303)
    site.records.imports.go(import_id)
    return _there(import_id)


def _there(import_id: UUID) -> Response:
    return RedirectResponse(f"/people/import/{import_id}", 303)


@router.get("/people/import/{import_id:uuid}/problems.csv")
async def problems(request: Request, import_id: UUID, viewer: Supervisor) -> Response:
    """What was wrong with which row, to be put right in the file."""
    found = await _found(site_of(request), import_id)
    headers = {"Content-Disposition": 'attachment; filename="problems.csv"'}
    return StreamingResponse(
        _problem_lines(found, viewer), media_type="text/csv; charset=utf-8", headers=headers
    )


async def _problem_lines(found: Import, viewer: Viewer) -> AsyncIterator[bytes]:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([_("Row"), _("Column"), _("What is wrong"), _("Imported")])
    for each in found.problems:
        imported = _("without this cell") if each.left_out else _("no")
        writer.writerow([each.row, safe_cell(each.column), safe_cell(say(each.said, viewer.view)), imported])
    yield BOM + out.getvalue().encode()
