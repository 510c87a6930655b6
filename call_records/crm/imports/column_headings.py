"""The headings that people and programs give to columns, in one table: what a heading means, whoever wrote it.

Small letters, words only. A heading that stands here is known; one that does not is judged by its words (`field_of`): a
column whose name speaks of a telephone and of nothing else beside it holds telephone numbers, whatever comes before or
behind. Programs whose headings mean something else than everybody's have a row of their own in `mapping.PRESETS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise

FACT = "fact"
LEFT_OUT = ""

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "name": (
        "name", "full name", "display name", "fio", "contact", "contact name", "client", "client name", "customer",
        "customer name", "file as", "lead name", "company name or contact", "contact person", "person name", "person",
        "имя контакта", "фио", "ф и о", "контакт", "клиент", "имя клиента", "наименование", "название", "контрагент",
        "заказчик", "покупатель", "название лида", "наименование контрагента", "полное имя", "полное имя контакта",
        "отображаемое имя", "контактное лицо", "фамилия имя отчество", "фамилия имя", "партнер",
        "піб", "п і б", "повне ім я", "найменування", "назва", "клієнт",
        "imię i nazwisko", "imie i nazwisko", "nazwa", "klient", "nazwa klienta", "kontrahent", "nazwa kontrahenta",
        "pełna nazwa", "wyświetlana nazwa", "osoba kontaktowa", "nazwisko i imię",
        "nome", "nome completo", "cliente", "nome do cliente", "contato", "contacto", "nome do contato", "razão social",
        "nombre", "nombre completo", "nombre y apellidos", "nombre del cliente", "razón social",
        "nom", "nom complet", "nom et prénom", "client nom", "raison sociale",
        "vollständiger name", "kunde", "kundenname", "ansprechpartner", "anzeigename", "kontakt", "bezeichnung",
        "nome e cognome", "nominativo", "ragione sociale",
        "ad soyad", "adı soyadı", "isim", "müşteri", "müşteri adı", "yetkili",
        "姓名", "客户", "客户名称", "客户姓名", "联系人", "联系人姓名", "名称", "全名", "顯示名稱", "显示名称",
        "客戶", "聯絡人",
        "氏名", "名前", "お名前", "顧客名", "担当者名", "이름", "성명", "고객명",
        "الاسم", "الاسم الكامل", "اسم العميل", "العميل", "جهة الاتصال", "שם", "שם מלא", "שם לקוח",
        "όνομα", "ονοματεπώνυμο", "jméno a příjmení", "jméno", "název", "név", "teljes név",
    ),
    "first_name": (
        "first name", "given name", "firstname", "forename", "имя", "ім я", "імя", "imię", "imie", "prénom", "prenom",
        "vorname", "primeiro nome", "nombre de pila", "primer nombre", "ad", "adı", "名", "名字", "الاسم الأول",
        "الاسم الاول", "שם פרטי", "křestní jméno", "keresztnév",
    ),
    "middle_name": (
        "middle name", "second name", "additional name", "patronymic", "отчество", "по батькові", "drugie imię",
        "segundo nome", "nome do meio", "segundo nombre", "zweiter vorname", "deuxième prénom", "ikinci ad", "中间名",
        "اسم الأب", "الاسم الأوسط",
    ),
    "last_name": (
        "last name", "family name", "surname", "lastname", "фамилия", "прізвище", "nazwisko", "nachname", "familienname",
        "sobrenome", "apelido", "apellidos", "apellido", "nom de famille", "cognome", "soyad", "soyadı", "soyisim", "姓",
        "姓氏", "اسم العائلة", "اللقب", "الاسم الأخير", "الشهرة", "שם משפחה", "příjmení", "vezetéknév", "επώνυμο",
    ),
    "phone": (
        "tel", "cell", "gsm", "msisdn", "direct", "direct line", "business phone 2", "home phone 2", "mobile number",
        "номер", "тел", "моб", "мобильный", "сотовый", "мобильный номер", "контактный номер", "номер абонента",
        "komórka", "kom", "nr tel", "celular", "telemóvel", "móvil", "movil", "portable", "handy", "rufnummer",
        "cellulare", "cep", "gsm no", "whatsapp", "viber", "ватсап", "номер whatsapp",
        "手机", "手机号", "手機", "座机", "行動電話", "联系方式", "携帯", "전화", "휴대폰", "핸드폰",
        "الجوال", "المحمول", "الموبايل", "جوال", "נייד", "κινητό", "mobil", "mobile", "mobile 2",
    ),
    "email": ("mail", "почта", "эл почта", "e posta", "eposta", "courriel", "correo", "correo electrónico", "邮箱", "邮件",
              "电子邮件", "電子郵件", "信箱", "メール", "メールアドレス", "이메일",
              "메일", "البريد الإلكتروني", "البريد الالكتروني",
              "البريد", "الايميل", "דוא ל", "דואל", "אימייל", "пошта", "ел пошта"),
    "company": (
        "company", "company name", "organization", "organisation", "organization name", "organization 1 name", "firm",
        "account name", "account", "associated company", "primary associated company", "person organization",
        "employer", "business name",
        "компания", "организация", "фирма", "юридическое лицо", "место работы", "работа", "название компании",
        "название организации", "наименование организации", "компанія", "організація", "підприємство",
        "firma", "nazwa firmy", "organizacja", "przedsiębiorstwo", "empresa", "nome da empresa", "organização", "companhia",
        "nombre de la empresa", "compañía", "organización", "société", "entreprise", "organisme", "unternehmen", "azienda",
        "società", "şirket", "şirket adı", "kurum",
        "公司", "公司名称", "单位", "单位名称", "企业名称", "公司名稱", "会社", "会社名", "회사", "회사명",
        "الشركة", "اسم الشركة", "المؤسسة", "חברה", "שם החברה", "společnost", "cég", "εταιρεία",
    ),
    "position": (
        "position", "job title", "title", "organization title", "organization 1 title", "role", "job position",
        "должность", "посада", "stanowisko", "cargo", "função", "puesto", "fonction", "poste", "stellenbezeichnung",
        "berufsbezeichnung", "funktion", "ruolo", "mansione", "ünvan", "görev", "职位", "职务", "頭銜", "職稱",
        "役職", "직책",
        "المسمى الوظيفي", "الوظيفة", "المنصب", "תפקיד", "pozice", "beosztás",
    ),
    "owner": (
        "owner", "responsible", "responsible person", "manager", "assigned to", "contact owner", "lead owner",
        "account owner", "person owner", "organization owner", "company owner", "hubspot owner",
        "ответственный", "менеджер", "основной менеджер", "ответственный менеджер", "владелец", "відповідальний",
        "opiekun", "właściciel", "odpowiedzialny", "responsável", "proprietário", "responsable", "propietario",
        "propriétaire", "verantwortlich", "zuständig", "besitzer", "responsabile", "sorumlu", "负责人", "所有人", "負責人",
        "担当者", "담당자", "المسؤول", "المالك",
    ),
    "tags": (
        "tags", "tag", "labels", "label", "categories", "group membership", "category", "groups", "person label",
        "метки", "теги", "тег", "группа", "группы", "категории", "мітки", "etykiety", "kategorie", "grupa", "grupy",
        "etiquetas", "grupo", "categorias", "étiquettes", "catégories", "kategorien", "gruppe", "etichette", "etiketler",
        "标签", "分组", "類別", "类别", "العلامات", "التصنيف", "المجموعة",
    ),
    "note": (
        "note", "notes", "comment", "comments", "remark", "remarks",
        "комментарий", "комментарии", "примечание", "примечания", "примечание 1", "заметка", "заметки", "примітка",
        "примітки", "коментар", "uwagi", "notatka", "notatki", "komentarz", "observações", "observação", "notas",
        "comentário", "comentários", "observaciones", "comentarios", "remarques", "commentaire", "commentaires", "notizen",
        "notiz", "bemerkung", "bemerkungen", "kommentar", "anmerkung", "osservazioni", "commenti", "not", "notlar",
        "açıklama", "备注", "说明", "附注", "備註", "備考", "メモ", "메모", "비고", "ملاحظات", "ملاحظة", "תעודה", "הערות",
        "poznámka", "poznámky", "megjegyzés",
    ),
    "kind": ("kind",),
}  # fmt: skip
"""What is imported as a field of ours."""

PHONE_WORDS = frozenset(
    [
        "phone",
        "phones",
        "telephone",
        "telephones",
        "mobilephone",
        "mobiltelefon",
        "telefon",
        "telefonu",
        "telefonnummer",
        "telefonni",
        "telefone",
        "telefono",
        "teléfono",
        "telefoni",
        "téléphone",
        "telefonas",
        "tālrunis",
        "tlf",
        "τηλέφωνο",
        "τηλεφωνο",
        "telefoon",
        "tel",
        "tél",
        "телефон",
        "телефона",
        "телефоны",
        "телефону",
        "радиотелефон",
        "тел",
        "phonenumber",
        "mobilenumber",
    ]
)
"""A heading with one of these words speaks of a telephone."""
EMAIL_WORDS = frozenset(
    [
        "email",
        "emails",
        "mail",
        "mails",
        "mailadresse",
        "epost",
        "eposta",
        "почта",
        "почты",
        "пошта",
        "пошти",
        "email2",
    ]
)
_PHONE_PARTS = (
    "电话",
    "電話",
    "手机号",
    "手机",
    "手機",
    "전화",
    "휴대",
    "هاتف",
    "جوال",
    "טלפון",
)  # written without spaces
_EMAIL_PARTS = ("邮箱", "邮件", "郵件", "メール", "이메일", "البريد", "دوא")
OTHER_WORDS = frozenset(
    [
        "type",
        "types",
        "тип",
        "типа",
        "typ",
        "tipo",
        "类型",
        "label",
        "formatted",
        "код",
        "code",
        "country",
        "страна",
        "kraj",
        "pais",
        "kod",
        "fax",
        "факс",
        "faks",
        "telefax",
        "owner",
        "status",
        "статус",
        "consent",
        "opt",
        "optout",
        "unsubscribed",
        "bounced",
        "bounce",
        "marketing",
        "calls",
        "call",
        "звонка",
        "звонков",
        "звонок",
        "last",
        "последний",
        "последнего",
        "дата",
        "date",
        "время",
        "time",
        "source",
        "источник",
        "display",
        "name",
        "имя",
        "краткое",
        "not",
        "не",
        "do",
        "unsubscribe",
        "подписка",
        "согласие",
        "verified",
        "valid",
        "count",
        "domain",
        "домен",
        "extension",
        "добавочный",
        "телекс",
        "телетайп",
        "provider",
        "operator",
        "оператор",
        "сервер",
        "server",
        "account",
        "client",
        "клиент",
        "password",
        "пароль",
        "sent",
        "opened",
        "clicked",
        "hard",
        "reason",
        "причина",
        "quarantine",
        "quarantined",
        "assistant",
        "bot",
        "бот",
    ]
)
"""With one of these words beside it a heading speaks of something about a telephone or an address, not of it."""
_ALLOWED_BESIDE = {"assistant": "phone", "client": "phone", "клиент": "phone", "call": "phone"}
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:phone|e mail|relation|website|address|im|event|custom field) \d+ (?:type|label|formatted)"), LEFT_OUT),
    (re.compile(r"(?:тел|моб|mobile|tel|cell|手机|电话|手機|電話|gsm) ?\d+"), "phone"),
)  # fmt: skip
"""Tried before the words of a heading."""

_GENERAL = {heading: name for name, headings in HEADINGS.items() for heading in headings}
_APART = re.compile(r"[^\w]+|_+")
HEADING_MOST = 200  # characters of a heading that are looked at


def plain_heading(heading: str) -> str:
    """In small letters, words only."""
    return " ".join(_APART.sub(" ", heading[:HEADING_MOST].lower().replace("ё", "е")).split())


@lru_cache(maxsize=4_096)
def field_of(heading: str) -> str | None:
    """The field that a heading means to everybody; None where it says nothing to us. `heading` is plain."""
    found = _GENERAL.get(heading)
    if found is not None:
        return found
    told = next((name for pattern, name in PATTERNS if pattern.fullmatch(heading)), None)
    return told if told is not None else _by_words(heading)


def _by_words(heading: str) -> str | None:
    words = heading.split()
    joined = [
        *words,
        *(one + two for one, two in pairwise(words)),
    ]  # "e mail" is one word
    is_email = any(word in EMAIL_WORDS for word in joined) or any(part in heading for part in _EMAIL_PARTS)
    is_phone = any(word in PHONE_WORDS for word in words) or any(part in heading for part in _PHONE_PARTS)
    if not (is_email or is_phone) or len(words) > 6:
        return None
    name = "email" if is_email else "phone"
    beside = {word for word in words if word in OTHER_WORDS and _ALLOWED_BESIDE.get(word) != name}
    return FACT if beside else name


def is_known(cell: str) -> bool:
    """Whether this is what somebody calls a column that we know."""
    plain = plain_heading(cell)
    return bool(plain) and not plain.isdigit() and field_of(plain) not in (None, LEFT_OUT, FACT)
