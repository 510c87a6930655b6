"""Files that people really have: in any code page, from any program, with whatever stands around the table."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from call_records.crm.imports.code_pages import CODE_PAGES, guess_encoding, page_of
from call_records.crm.imports.column_headings import field_of, is_known, plain_heading
from call_records.crm.imports.contact_files import guess_mapping, read_file
from call_records.crm.imports.dry_run import Becoming, Decision, Plan, Reader
from call_records.crm.imports.spreadsheets import FileForm, Sheet
from call_records.crm.writes import Home
from telephony.errors import PeerMistake
from tests.growth import check_growth

FILES = Path(__file__).with_name("files")


def decided(data: bytes, region: str = "RU") -> list[Decision]:
    """What becomes of every row, in a book where nobody is."""
    sheet = read_file(data)
    reader, plan = Reader(sheet.headings, guess_mapping(sheet), Home(region), {}), Plan()
    return [plan.decide(reader.row(row)) for row in sheet.rows]


def told(data: bytes, region: str = "RU") -> list[tuple[str, str, list[str | None]]]:
    """What, name and numbers of every row."""
    return [
        (one.what.value, one.row.name, [phone.key for phone in one.row.phones])
        for one in decided(data, region)
    ]


def said(one: Decision) -> str:
    return " ".join(problem.said for problem in one.row.problems)


# -- code pages --


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("cp1250", "Name;Phone\nŁucja Wąż;601 000 001\nJerzy Żółć;601 000 002\n"),
        ("cp1250", "Jméno;Telefon\nŠtěpán Žižka;601 000 001\n"),
        ("cp1251", "Имя;Телефон\nАнна Белова;8 900 000-00-01\n"),
        ("cp1251", "Ім'я;Телефон\nСергій Їжакевич;1\nОлена Ґалаґан;2\n"),
        ("cp1252", "Nome;Telefone\nJoão Conceição;11 90000\nMaría Nuñez;2\n"),
        ("cp1253", "Όνομα;Τηλέφωνο\nΓιώργος Παπαδόπουλος;2101234567\n"),
        ("cp1254", "Ad Soyad;Telefon\nMüjde Ağaoğlu;1\nIşıl Yıldız;2\n"),
        ("cp1255", "שם,טלפון\nדוד כהן,050-1234567\n"),
        ("cp1256", "الاسم,الهاتف\nأحمد علي,0501234567\nفاطمة,0507654321\n"),
        ("cp1257", "Uzvārds;Tālrunis\nBērziņš;1\nKļaviņa;2\n"),
        ("koi8-r", "Имя;Телефон\nАнна Белова;8 900 000-00-01\n"),
        ("cp866", "ФИО;Телефон\nБелова Анна;8 900 000-00-01\n"),
        ("cp852", "Nazwa;Telefon\nŁucja Wąż;601 000 001\n"),
        ("cp850", "Name;Straße\nMüller;Zoë\n"),
        ("mac-cyrillic", "Имя;Телефон\nАнна Белова;1\n"),
        ("gb18030", "姓名,手机\n王小明,13800138000\n李雷,13900139000\n"),
        ("gb18030", "姓名,公司\n张伟,北京科技有限公司\n欧阳娜娜,无\n"),
        ("big5", "姓名,電話\n王小明,02-23456789\n陳大文,台灣積體電路\n"),
        ("cp932", "氏名,電話番号\n山田太郎,03-1234-5678\n佐藤花子,株式会社トヨタ\n"),
        ("cp949", "이름,전화\n김철수,02-123-4567\n박지성,삼성전자\n"),
    ],
)
def test_a_code_page_is_guessed(page: str, table: str) -> None:
    """What a spreadsheet's "CSV" writes on a machine of that country; the table reads as it was written."""
    sheet = read_file(table.encode(page))
    assert sheet.encoding == page
    assert sheet.rows[0].cells[0] == table.splitlines()[1].replace(",", ";").split(";")[0]


def test_there_are_enough_pages_to_choose_from() -> None:
    """Each reads what it wrote when it is told."""
    assert len(CODE_PAGES) >= 15
    for page in CODE_PAGES:
        assert read_file("Name;Phone\nAda;1\n".encode(page.id), FileForm(page.id)).rows


@pytest.mark.parametrize(
    ("name", "page"), [("gbk", "gb18030"), ("windows-1250", "cp1250"), ("shift_jis", "cp932"), ("euc-kr", "cp949"),
                       ("iso-8859-2", "iso8859-2"), ("latin1", "cp1252"), ("klingon", None)],
)  # fmt: skip
def test_names_of_pages(name: str, page: str | None) -> None:
    """As programs and people call them."""
    assert page_of(name) == page


@pytest.mark.parametrize("page", ["utf-8", "cp1251", "gb18030"])
def test_one_broken_byte_changes_no_guess(page: str) -> None:
    """A field that was cut in the middle of a letter: that letter is lost and no other."""
    names = "王小明" if page == "gb18030" else "Белова Анна"
    rows = "".join(f"{names} {place};8 900 000-00-0{place}\n" for place in range(9))
    cut = ("обрезано" if page != "gb18030" else "小明").encode(page)[:-1]
    data = f"ФИО;Телефон\n{rows}".encode(page) + b"X;1;" + cut + b"\n"
    sheet = read_file(data)
    assert sheet.encoding == page
    assert sheet.rows[0].cells[0] == f"{names} 0"


# -- what is no table --


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)), "JPEG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<html><table><tr><td>Name</td></tr></table></html>", "HTML"),
        ("\ufeff<!DOCTYPE html><html></html>".encode(), "HTML"),
        ('<?xml version="1.0"?><КоммерческаяИнформация/>'.encode("cp1251"), "CommerceML"),
        (
            b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
            "Excel 2003",
        ),
        (b'[{"name": "Ada"}]', "JSON"),
        (b"PK\x03\x04word/document.xml", "Word"),
        (b"PK\x03\x04something", "ZIP"),
        (b"BEGIN:VCALENDAR\nEND:VCALENDAR\n", "calendar"),
        (bytes(range(256)) * 40, "no text"),
    ],
)
def test_what_is_no_table_is_refused_in_words(data: bytes, what: str) -> None:
    """By its first bytes, whatever its name says; with what to do instead."""
    with pytest.raises(PeerMistake, match=what) as mistake:
        read_file(data)
    assert mistake.value.remedy


def test_a_workbook_whose_first_sheet_is_empty() -> None:
    """The first with rows is meant; one that was asked for is taken as it is."""
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    row = f"<table:table-row>{cell}{cell}</table:table-row>"
    cells = row.format("Name", "Phone") + row.format("Ada", "+79000000001")
    namespaces = "urn:oasis:names:tc:opendocument:xmlns:"
    content = (
        f'<office:document-content xmlns:office="{namespaces}office:1.0" xmlns:table="{namespaces}table:1.0" '
        f'xmlns:text="{namespaces}text:1.0"><office:body><office:spreadsheet>'
        f'<table:table table:name="Cover"/><table:table table:name="People">{cells}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", f'<m:manifest xmlns:m="{namespaces}manifest:1.0"/>')
        archive.writestr("content.xml", content)
    sheet = read_file(packed.getvalue())
    assert (sheet.sheet, sheet.headings, sheet.rows[0].cells) == (
        "People",
        ("Name", "Phone"),
        ("Ada", "+79000000001"),
    )
    with pytest.raises(PeerMistake, match="empty"):
        read_file(packed.getvalue(), FileForm(sheet="Cover"))


def test_a_workbook_is_read() -> None:
    """Its first sheet, numbers without a .0."""
    sheet = read_file((FILES / "two_rows.xlsx").read_bytes())
    assert sheet.kind == "workbook"
    assert guess_mapping(sheet).columns == ("name", "phone")
    assert sheet.rows[0].cells == ("Анна", "+79000000001")


# -- the line of headings --

REPORT = (
    "Список контрагентов;;;\nОтбор: не помечен на удаление;;;\n;;;\n"
    "Наименование;ИНН;Телефон;Юридический адрес\nООО Ромашка;7700000001;(495) 000-00-01 доб. 12;г. Москва\n"
)


def test_headings_below_a_title_are_found() -> None:
    """A list that 1C has saved; row numbers stay those of the file."""
    sheet = read_file(REPORT.encode("cp1251"))
    assert (sheet.heading_row, sheet.rows[0].number) == (4, 5)
    assert sheet.headings[0] == "Наименование"
    assert sheet.above == ("Список контрагентов", "Отбор: не помечен на удаление")


def test_headings_that_nobody_knows_below_a_title_are_found() -> None:
    """The first row as full as the others."""
    sheet = read_file(b"Members\nprinted today\nQwe;Rty;Uio\nAda;+79000000001;x\nBo;+79000000002;y\n")
    assert sheet.heading_row == 3


def test_the_line_of_headings_can_be_chosen() -> None:
    """By its number; 0: there is none."""
    assert read_file(REPORT.encode(), FileForm(heading_row=1)).heading_row == 1
    assert read_file(REPORT.encode(), FileForm(heading_row=0)).headings[0] == "Column 1"


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("Номер сотового телефона", "phone"), ("Mobile Phone Number", "phone"), ("Рабочий прямой телефон", "phone"),
        ("Телефон переносной", "phone"), ("Адрес эл. почты", "email"), ("Рабочий email", "email"),
        ("Личный email", "email"), ("Тип эл. почты", "fact"), ("Phone 1 - Type", ""), ("E-mail Display Name", "fact"),
        ("Person - Phone - Work", "phone"), ("Person - Email - Work", "email"), ("Account Name", "company"),
        ("Numer telefonu", "phone"), ("Imię i nazwisko", "name"), ("Adres e-mail", "email"), ("Stanowisko", "position"),
        ("Telefone", "phone"), ("Celular", "phone"), ("Sobrenome", "last_name"), ("手机号码", "phone"), ("姓名", "name"),
        ("公司名称", "company"), ("رقم الهاتف", "phone"), ("البريد الإلكتروني", "email"), ("الاسم", "name"),
        ("Рабочий факс", None), ("Fax", None), ("Phone country code", "fact"), ("Дата последнего звонка", None),
        ("Téléphone portable", "phone"), ("Cep telefonu", "phone"), ("Rufnummer", "phone"),
    ],
)  # fmt: skip
def test_headings_of_many_programs(heading: str, field: str | None) -> None:
    """Outlook, Thunderbird, HubSpot, amoCRM, Pipedrive, Salesforce, and what people write."""
    assert field_of(plain_heading(heading)) == field


def test_a_name_is_a_last_name_beside_a_first_one() -> None:
    """In French, in Portuguese, and alone."""
    assert guess_mapping(read_file("Nom;Prénom;Téléphone\na;b;1\n".encode())).columns == (
        "last_name",
        "first_name",
        "phone",
    )
    assert guess_mapping(read_file(b"Nome;Sobrenome;Telefone\na;b;1\n")).columns[:2] == (
        "first_name",
        "last_name",
    )
    assert guess_mapping(read_file(b"Nome;Telefone\na;1\n")).columns == ("name", "phone")
    assert is_known("Téléphone")
    assert not is_known("89161234567")


# -- numbers in files --


def test_numbers_that_a_spreadsheet_shortened_make_nobody_vanish() -> None:
    """Three people, each without a number, and each told so."""
    rows = decided(
        "Имя;Телефон\nАнна Белова;7,91612E+10\nАнна Чернова;7,91612E+10\nБорис Белов;7,91612E+10\n".encode()
    )
    assert [one.what for one in rows] == [Becoming.NEW] * 3
    assert all(one.row.phones == () and "shortened by Excel" in said(one) for one in rows)


def test_numbers_that_went_through_a_figure() -> None:
    """`.0` is no digit of a number."""
    assert told("Имя;Телефон\nВера;79161230001.0\nГлеб;9161230002.0\n".encode()) == [
        ("new", "Вера", ["+79161230001"]),
        ("new", "Глеб", ["+79161230002"]),
    ]


def test_a_text_without_a_number_is_not_kept_as_one() -> None:
    """It is said, and kept beside the entry; withheld is nothing to say."""
    abc, two, none = decided(b"Name;Phone\nAda;abc\nBo;12\nCy;-\n")
    assert (abc.row.phones, two.row.phones, none.row.phones) == ((), (), ())
    assert "No number recognised in “abc”" in said(abc)
    assert abc.row.facts == {"Phone": "abc"}
    assert "“12”" in said(two)
    assert said(none) == ""


def test_a_name_that_is_cut_is_said() -> None:
    """5,000 letters; the neighbour of 300 is whole."""
    cut, whole = decided(f"Name;Phone\n{'x' * 5000};+79000000001\n{'y' * 300};+79000000002\n".encode())
    assert "5000 letters" in said(cut)
    assert said(whole) == ""


# -- who is who --


def test_a_shared_number_makes_nobody_one_with_a_colleague() -> None:
    """A switchboard's number on twelve rows: twelve people."""
    names = [
        f"{first} {last}"
        for first in ("Anna", "Boris", "Clara")
        for last in ("Gray", "Hill", "Iris", "Jones")
    ]
    rows = "".join(f"{name};+74950000001;{place}@firm.example\n" for place, name in enumerate(names))
    found = decided(f"Name;Phone;E-mail\n{rows}".encode())
    assert [one.what for one in found] == [Becoming.NEW] * 12
    assert all(one.beside for one in found[1:])


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ("Anna Gray;+74950000001;", "same"),
        ("Gray Anna;+74950000001;other@firm.example", "completes"),
        ("Anna Maria Gray;+74950000001;a@firm.example", "same"),
        ("Anna Hill;+74950000001;", "new"),
        ("Anna;+74950000001;", "new"),
        ("Anna Hill;+74950000001;a@firm.example", "same"),
        ("Anna Hill;;a@firm.example", "new"),
        ("A. Gray;+74950000001;", "same"),
        (";+74950000001;", "same"),
    ],
)
def test_number_and_name_or_e_mail_together_are_one_person(second: str, what: str) -> None:
    """The number alone is nobody's name."""
    first, other = decided(f"Name;Phone;E-mail\nAnna Gray;+74950000001;a@firm.example\n{second}\n".encode())
    assert first.what is Becoming.NEW
    assert other.what.value == what
    lost = other.row.name in ("Anna Maria Gray",) or second.startswith("Anna Hill;+74950000001;a@")
    assert ("is not kept" in said(other)) is lost


# -- cards --


def cards(text: str, page: str = "utf-8") -> Sheet:
    return read_file(text.replace("\n", "\r\n").encode(page))


def test_a_label_of_ones_own() -> None:
    """Samsung: a number, an address; and with a colon in its brackets."""
    sheet = cards(
        "BEGIN:VCARD\nVERSION:2.1\nFN:Anna\nTEL;CELL:+79000000034\n"
        "TEL;X-CUSTOM(CHARSET=UTF-8,ENCODING=QUOTED-PRINTABLE,=D0=94=D0=B0=D1=87=D0=B0):+79000000035\nEND:VCARD\n"
        "BEGIN:VCARD\nVERSION:2.1\nFN:Boris\nTEL;X-CUSTOM(a:b):+79000000036\nEMAIL;PREF;X-CUSTOM(x):b@example.com\nEND:VCARD\n"
    )
    assert [row.problem for row in sheet.rows] == [None, None]
    assert sheet.rows[0].cells[1] == "+79000000034\n+79000000035"
    assert sheet.rows[1].cells[1:3] == ("+79000000036", "b@example.com")


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_picture_without_leading_spaces(end: str) -> None:
    """2.1 ends it by an empty line; some do not even do so."""
    sheet = cards(
        "BEGIN:VCARD\nVERSION:2.1\nN:Test;Photo\nFN:Photo Test\nPHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRgABAQ\nN2wBDAAEBA\n"
        f"AAAAB//Z\n{end}TEL;CELL:+79000000037\nEND:VCARD\n"
    )
    assert sheet.rows[0].cells[:2] == ("Photo Test", "+79000000037")


def test_a_letter_folded_in_two_is_whole() -> None:
    """Lines are joined as bytes before they are letters."""
    name = "Анна Белова".encode()
    data = (
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:"
        + name[:5]
        + b"\r\n "
        + name[5:]
        + b"\r\nTEL:+79000000000\r\nEND:VCARD\r\n"
    )
    sheet = read_file(data)
    assert (sheet.encoding, sheet.rows[0].cells[0]) == ("utf-8", "Анна Белова")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=90=D0=BD=D0=BD=\n=D0=B0", "Анна"),
        ("FN;CHARSET=WINDOWS-1251;ENCODING=QUOTED-PRINTABLE:=C0=ED=ED=E0", "Анна"),
        (
            "N;ENCODING=QUOTED-PRINTABLE:=D0=91=D0=B5=D0=BB=D0=BE=D0=B2=D0=B0;=D0=90=D0=BD=D0=BD=D0=B0",
            "Анна Белова",
        ),
        ("FN:A\\, B\\; C\\nD", "A, B; C\nD"),
        ("N:Gray;Anna;;Dr.;", "Dr. Anna Gray"),
        ("ORG:Firm\\; Ltd;Sales", "Firm; Ltd"),
        ("item1.FN:Anna", "Anna"),
    ],
)
def test_names_of_cards(line: str, name: str) -> None:
    """Old phones, iPhones, firms."""
    (row,) = cards(
        f"BEGIN:VCARD\nVERSION:2.1\n{line}\nitem1.TEL;type=pref:+79000000001\nitem1.X-ABLabel:Dacha\nEND:VCARD\n"
    ).rows
    assert row.cells[:2] == (name, "+79000000001")


def test_a_card_whose_end_is_missing_costs_only_itself() -> None:
    """And is named."""
    sheet = cards(
        "BEGIN:VCARD\nFN:Half\nBEGIN:VCARD\nFN:Whole\nTEL:+79000000001\nEND:VCARD\nBEGIN:VCARD\nFN:Cut\n"
    )
    assert [(row.cells[0], bool(row.problem)) for row in sheet.rows] == [
        ("Half", True),
        ("Whole", False),
        ("Cut", True),
    ]
    assert "Half" in str(sheet.rows[0].problem)


def test_a_number_as_an_address_with_its_extension() -> None:
    """4.0 writes `tel:`."""
    (row,) = cards(
        "BEGIN:VCARD\nVERSION:4.0\nFN:A\nTEL;VALUE=uri:tel:+7-495-000-00-10;ext=5\nEND:VCARD\n"
    ).rows
    assert row.cells[1] == "+7-495-000-00-10 ext. 5"


# -- hostile files --

SHAPES = (
    b"BEGIN:VCARD\nN:a\n", b"BEGIN:VCARD\n", b"BEGIN:VCARD\nNOTE;ENCODING=QUOTED-PRINTABLE:=\n=\n=\n", b'Name;"\n', b'"a;',
    b";", b"\n", b"a;b;c\n", b'BEGIN:VCARD\nTEL;X-CUSTOM((((("', b"BEGIN:VCARD\nN:\\;\\;;;;\n", b"BEGIN:VCARD\nAGENT:\n",
    "я;".encode(), "я".encode("cp1251"), b"Phone 1 ", b"BEGIN:VCARD\nTEL:" + b"1;" * 50, b"@;", b"__",
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.slow
def test_reading_a_file_grows_with_its_length(shape: bytes) -> None:
    """A search over the whole text from each beginning would cost sixteen times for four times the file."""

    def read(size: int) -> None:
        try:
            sheet = read_file((shape * size)[:size])
        except PeerMistake:
            return
        reader = Reader(sheet.headings, guess_mapping(sheet), Home(), {})
        for row in sheet.rows[:200]:
            reader.row(row)

    check_growth(read, 50_000)


def test_guessing_letters_looks_at_a_bounded_piece() -> None:
    """20 MB are not read through 25 pages: a longer file costs no more."""
    line = "Белова Анна;8 900\n".encode("cp1251")
    check_growth(lambda size: guess_encoding(line * size), 50_000)
    assert guess_encoding(line * 200_000) == "cp1251"


TOTALS = [
    "Итого: 5", "Всего записей: 1 204", "ИТОГО", "Total: 5", "Grand total 1,204 contacts", "Totals", "Razem 5 osób",
    "Summe: 5", "Total de contatos: 5", "合计：5", "总计 5", "المجموع: 5",
]  # fmt: skip


@pytest.mark.parametrize("total", TOTALS)
def test_the_line_that_counts_a_list_is_nobody(total: str) -> None:
    """What programs print below their lists; it is refused with a word, not left out in silence."""
    rows = decided(f'Name;Phone\nAnna;+7 916 000-00-01\n"{total}";\n'.encode())
    assert [one.what for one in rows] == [Becoming.NEW, Becoming.PROBLEM]
    assert "counts the list" in said(rows[-1])


@pytest.mark.parametrize(
    "line", ["Total Sports;+7 916 000-00-02", "Suma Nowak;", "Итого Сервис;", "Totaro Anna;"]
)
def test_a_name_that_begins_like_a_total_is_a_name(line: str) -> None:
    """With a number, or without a count."""
    rows = decided(f"Name;Phone\nAnna;+7 916 000-00-01\n{line}\n".encode())
    assert [one.what for one in rows] == [Becoming.NEW, Becoming.NEW]
