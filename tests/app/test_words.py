"""The same keys and values in both languages, and who gets which."""

import json
import re
from types import SimpleNamespace

import pytest

from workbench.app import words
from workbench.app.routes import tokens

EN, ZH = (words.load(lang) for lang in words.LANGS)
VALUE = re.compile(r"\{(\w*)[^}]*\}")


TOKEN, ROUTE = ("id", "title", *tokens.DAYS), ("method", "path", "summary", "description", "role")
SENTENCES = "sentences"  # Chinese for the English sentences of the registries, by the sentence itself


def texts(lang: str, name: str) -> dict[str, str]:
    return json.loads((words.HERE / "i18n" / lang / f"{name}.json").read_text(encoding="utf-8"))


def names(lang: str) -> set[str]:
    return {path.stem for path in (words.HERE / "i18n" / lang).glob("*.json")}


def test_both_languages_have_the_same_files() -> None:
    assert names("zh") - {SENTENCES} == names("en")


@pytest.mark.parametrize("name", sorted(names("en")))
def test_both_languages_have_the_same_keys(name: str) -> None:
    en, zh = texts("en", name), texts("zh", name)
    assert set(en) == set(zh)
    assert all(text.strip() for text in (*en.values(), *zh.values()))


def test_both_languages_fill_in_the_same_values() -> None:
    asked = {key: (set(VALUE.findall(text)), set(VALUE.findall(ZH[key]))) for key, text in EN.items()}
    assert {key: values for key, values in asked.items() if values[0] != values[1]} == {}


def test_every_text_is_said_somewhere() -> None:
    """By its whole key, or by the first words of it with the rest filled in."""
    code = "\n".join(p.read_text() for p in words.HERE.rglob("*") if p.suffix in (".py", ".js", ".html"))
    begun = {found[1] for found in re.finditer(r"""["`]([a-z_.]+\.)(?:\{|\$\{|")""", code)}
    said = [key for key in EN if not re.search(rf"""["{{]{re.escape(key)}["}}]""", code)]
    assert [key for key in said if not any(key.startswith(first) for first in begun)] == []


def test_chinese_is_chinese() -> None:
    same = [key for key, text in ZH.items() if text == EN.get(key) and re.search("[a-z]{3,} [a-z]{3,}", text)]
    assert same == []


@pytest.mark.parametrize(
    ("cookie", "accepted", "lang"),
    [
        ("zh", "en", "zh"),
        ("xx", "zh-TW,zh;q=0.9,en;q=0.8", "zh"),
        (None, "de, en;q=0.7, zh;q=0.3", "en"),
        (None, None, "en"),
        ("", "*", "en"),
    ],
)
def test_whoever_chose_gets_that_else_what_the_browser_likes(cookie: str, accepted: str, lang: str) -> None:
    request = SimpleNamespace(cookies={"lang": cookie}, headers={"accept-language": accepted})
    assert words.lang_of(request) == lang


def test_a_text_takes_its_values() -> None:
    assert words.say("en", "shell.job.left", time="3 min") == "3 min left"
    assert words.say("zh", "no.such.key") == "no.such.key"


def test_a_page_escapes_what_it_is_given() -> None:
    shown = words.page("login", "en", name='"><script>', error="<b>")
    assert "<script>" not in shown
    assert "&lt;b&gt;" in shown
    assert '<html lang="en" data-theme="auto">' in shown


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("kind", sorted(p.stem for p in (words.HERE / "assets" / "plain").glob("*.html")))
def test_every_plain_page_is_whole(kind: str, lang: str) -> None:
    values = dict.fromkeys(("name", "error", "text", "secret", *TOKEN, *ROUTE), "")
    assert "${" not in words.part(kind, lang, **values | {"other": lang, "theme": "auto"})
