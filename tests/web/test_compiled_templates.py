"""Templates are compiled while the service starts, and once in a process."""

from __future__ import annotations

from pathlib import Path

from jinja2 import DictLoader, Environment

from web.compiled_templates import ProcessBytecode, compile_templates


async def test_every_page_is_compiled_before_it_is_asked_for() -> None:
    """Each template is in the environment's memory afterwards; what is no page is left alone."""
    environment = Environment(
        loader=DictLoader({"a.html": "A", "parts/b.html": "B", "notes.txt": "{%"}), autoescape=True
    )
    await compile_templates(environment)
    assert environment.cache is not None
    assert {key[1] for key in environment.cache.keys()} == {"a.html", "parts/b.html"}  # noqa: SIM118 - no dict


def test_what_another_environment_compiled_is_taken_and_what_changed_is_not(tmp_path: Path) -> None:
    """The same text is compiled once; a template with another text is another one."""
    cache = ProcessBytecode()
    pages = {"a.html": "one {{ 1 + 1 }}"}

    def rendered() -> str:
        return (
            Environment(loader=DictLoader(pages), autoescape=True, bytecode_cache=cache)
            .get_template("a.html")
            .render()
        )

    compiled: list[str] = []
    original = Environment._generate

    def counted(self: Environment, *words: object, **more: object) -> str:
        compiled.append("a.html")
        return original(self, *words, **more)  # type: ignore[arg-type]

    Environment._generate = counted  # type: ignore[method-assign]
    try:
        assert [rendered(), rendered()] == ["one 2", "one 2"]
        assert len(compiled) == 1
        pages["a.html"] = "two"
        assert rendered() == "two"
        assert len(compiled) == 2
    finally:
        Environment._generate = original  # type: ignore[method-assign]
