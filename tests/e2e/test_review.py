"""The Review page in a browser: a lead decides by key, goes back, makes gold, looks at people; in every dress."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import launch
from workbench.schema import Candidate, Judgement, Message, make_item
from workbench.store import items, projects, worth
from workbench.store.db import Store, uid

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=20_000)
MODEL = "canary-model-7b"
PAIRS, APART = 40, 6
MEASURED = {"model": "demo-tiny", "labels": 900, "law": {"a": 0.1, "b": 0.9, "c": 0.5}, "missed": 0.01}
MEASURED |= {"now": {"value": 0.13, "low": 0.1, "high": 0.17, "n": 400}, "predictable": True}
MEASURED["points"] = [
    {"n": n, "errors": [e - 0.02, e, e + 0.02], "error": e} for n, e in ((90, 0.195), (288, 0.153), (900, 0.13))
]
SHOWN = ".review[data-item='{}']"
ANY = ".review[data-item]:not([data-item=''])"
OTHER = ANY + ":not([data-item='{}'])"
NARROWEST = """Math.min(999, ...[...document.querySelectorAll(".estimate .name")]
    .map((name) => name.offsetWidth).filter(Boolean))"""  # pixels that the name of a figure has
LOOKS = [("en-US", "light", 1280), ("zh-CN", "dark", 1280), ("en-US", "dark", 390), ("zh-CN", "light", 390)]


def fill(home: Path) -> list[int]:
    """40 pairs, of which ann and bob see the first 6 apart, one of them flagged, and a ranking that they turn round.

    Somebody has measured what more labels would bring.
    """
    with Store.open(home) as store:
        project = projects.create(store, "ada", "Herbs", axes={"safety": "Do no harm."}).id
        made = [item(project, f"How do I keep herb {n} alive?", 2) for n in range(PAIRS)]
        ids = items.add(store, "ada", [*made, item(project, "Which herb?", 3)])
        votes = [vote(n, ids[n], *said) for n in range(PAIRS) for said in (("ann", 0), ("bob", int(n < APART)))]
        for who, tiers in (("ann", [[0], [1], [2]]), ("bob", [[2], [1], [0]])):
            votes.append(Judgement(uid(), ids[-1], who, "rank", {"tiers": tiers}, shown_order=(2, 0, 1)))
        text = [{"role": "assistant", "content": "Give it light, and water when it is dry."}]
        written = {"candidate": None, "messages": text, "distance": None}
        votes.append(Judgement(uid(), ids[0], "bob", "edit", written, purpose="write", shown_order=(0, 1)))
        store.append(*votes, Judgement(uid(), ids[10], "bob", "flag", {"why": "broken"}))
        worth.note(store, "ada", project, "overall", MEASURED)
    return ids


def vote(n: int, item: int, who: str, choice: int) -> Judgement:
    said = {"chips": ["clear"], "text": "It names a light and a day."} if n == 0 else None
    told = {"shown_order": (n % 2, 1 - n % 2), "ms_active": 5000 + 100 * n, "purpose": "overlap", "reason": said}
    return Judgement(uid(), item, who, "pair", {"choice": choice, "strength": 2}, **told)


def item(project: int, asked: str, n: int) -> Any:
    texts = [f"Answer {k}: " + "water it in the morning, " * (k + 1) for k in range(n)]
    answers = tuple(Candidate((Message("assistant", text),), source=f"{MODEL}-{k}") for k, text in enumerate(texts))
    return make_item(project, (Message("user", asked),), answers)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[int]]]:
    """A server over a project that several people have labelled, and its items."""
    home = tmp_path_factory.mktemp("team") / "home"
    ids = fill(home)
    server = launch(home)
    server.welcome("ada", server.link)
    server.user("lea", "lead")
    yield server, ids
    assert server.stop() == 0


@pytest.fixture
def desk(team: Any, new_context: Any, open_page: Any) -> Any:
    """The page before a lead."""
    server, _ = team
    page = open_page(new_context(server, "lea").new_page(), "/app/review", server.base)
    page.locator(ANY).wait_for()
    return page


def decisions(server: Any, item: int) -> dict[str, Any]:
    """The item as the lead on the page sees it: another one sees the answers in another order."""
    return server.user("lea").post("/api/do/review_item", json={"item": item}).json()


def test_a_lead_decides_and_goes_back(team: Any, desk: Any) -> None:
    server, ids = team
    expect(desk.locator("[data-kind=disagreement] b")).to_have_text(str(APART + 1))
    first = desk.locator(".votes li").first
    expect(first).to_contain_text("It names a light and a day.")
    expect(first).to_contain_text("5.0 s")
    for said in ("wrote an answer", "where all are bad", "water when it is dry"):
        expect(desk.locator(".votes li").last).to_contain_text(said)
    assert MODEL not in desk.content()
    desk.keyboard.press("j")
    desk.locator(SHOWN.format(ids[1])).wait_for()
    desk.locator(".note textarea").fill("Only this one is true.")
    desk.keyboard.press("Escape")
    desk.locator(".gold input").check()
    desk.keyboard.press("6")
    desk.locator(SHOWN.format(ids[2])).wait_for()
    expect(desk.locator("[data-kind=disagreement] b")).to_have_text(str(APART))
    told = decisions(server, ids[1])
    right = told["order"][1]
    assert (told["decision"]["payload"], told["decision"]["annotator"]) == ({"choice": right, "strength": 3.0}, "lea")
    assert told["gold"] == {"answer": told["decision"]["payload"], "explanation": "Only this one is true.", "on": True}
    desk.keyboard.press("k")
    desk.locator(SHOWN.format(ids[1])).wait_for()
    expect(desk.locator(".decision")).to_contain_text("Answer 2 much better")
    desk.locator("summary", has_text="Who answered").click()
    expect(desk.locator("details ul")).to_contain_text(f"{MODEL}-{right}")
    desk.keyboard.press("0")
    desk.locator(SHOWN.format(ids[2])).wait_for()
    assert decisions(server, ids[1])["decision"]["payload"] == {"choice": "tie", "strength": None}


def test_flags_rankings_and_withdrawal(team: Any, desk: Any) -> None:
    server, ids = team
    desk.locator("[data-kind=flag]").click()
    expect(desk.locator(".notice")).to_contain_text("bob flagged this: Text is broken")
    desk.locator(".clear").click()
    desk.locator(".none").wait_for()
    assert decisions(server, ids[10])["flags"] == []
    desk.locator("[data-kind=disagreement]").click()
    desk.locator(OTHER.format("none")).wait_for()
    for _ in range(APART):
        if desk.locator(SHOWN.format(ids[-1])).count():
            break
        before = desk.locator(".review").get_attribute("data-item")
        desk.keyboard.press("j")
        desk.locator(OTHER.format(before)).wait_for()
    expect(desk.locator(".votes li").first).to_contain_text(re.compile(r"\d > \d > \d"))
    desk.locator(".choices input").fill("2 2 3")
    desk.locator(".choices form button").click()
    expect(desk.locator(".told.bad")).to_contain_text("each of the 3 answers once")
    desk.locator(".choices input").fill("3 1=2")
    desk.keyboard.press("Enter")
    desk.locator(OTHER.format(ids[-1])).wait_for()
    told = decisions(server, ids[-1])
    assert [[told["order"].index(i) for i in tier] for tier in told["decision"]["payload"]["tiers"]] == [[2], [0, 1]]
    number = int(desk.locator(".review").get_attribute("data-item"))
    desk.locator(".withdraw").click()
    desk.locator(".review-dialog input").fill("private")
    desk.locator(".review-dialog .danger").click()
    desk.locator(OTHER.format(number)).wait_for()
    assert decisions(server, number)["withdrawn"]


def test_people_and_figures(team: Any, desk: Any) -> None:
    desk.get_by_role("tab", name="Team").click()
    expect(desk.locator("#team tbody tr", has_text="ann").first).to_contain_text(str(PAIRS + 1))
    expect(desk.locator("#person-about .estimate")).to_have_count(6)
    desk.locator("#pause").click()
    expect(desk.locator("#person-about")).to_contain_text("Paused: gets no items")
    desk.locator("#let-on").click()
    expect(desk.locator("#pause")).to_be_visible()
    desk.get_by_role("tab", name="Quality").click()
    expect(desk.locator("#quality .estimate", has_text="raw agreement").first).to_contain_text("85%")
    desk.locator("#review-export").click()
    link = desk.locator("#review-files a", has_text="people.csv")
    address = link.get_attribute("href")
    sid = next(cookie["value"] for cookie in desk.context.cookies() if cookie["name"] == "sid")
    text = httpx.get(team[0].base + address, cookies={"sid": sid}).text
    assert text.splitlines()[0].lstrip("\ufeff").startswith("annotator,labels,median_s")


def test_a_lead_writes_to_somebody(team: Any, desk: Any) -> None:
    server, _ = team
    ann, _ = server.user("ann"), server.user("bob")
    desk.get_by_role("tab", name="Team").click()
    field, sent = desk.get_by_label("Message to ann"), desk.locator("#messages li")
    field.fill("Ties are {{rare}} here: <b>look</b>.")
    desk.locator("#message-send").click()
    expect(sent).to_contain_text("Ties are {{rare}} here: <b>look</b>.")
    expect(sent).to_contain_text("not read yet")
    expect(sent.locator("time")).to_have_attribute("title", re.compile("T"))
    expect(field).to_have_value("")
    field.fill("Only for ann.")
    desk.locator("#person input").click()
    desk.locator("#person").get_by_role("option", name="bob", exact=True).click()
    expect(desk.get_by_label("Message to bob")).to_have_value("")
    [told] = ann.get("/api/label/progress").json()["project"]["messages"]
    assert ann.post("/api/label/message", json={"project": 1, "message": told["id"]}).status_code == 200
    desk.reload()
    desk.get_by_role("tab", name="Team").click()
    expect(sent).to_contain_text(re.compile(r"· read .*\d\d:\d\d"))


def test_what_more_labels_would_bring(desk: Any, shot: Any) -> None:
    desk.get_by_role("tab", name="Quality").click()
    state = desk.locator("#worth-state")
    expect(state).to_contain_text("would take the error from 13% to about 12%")
    expect(state.locator("circle.mean")).to_have_count(3 + 1)
    expect(state.locator("tbody tr")).to_have_count(4)
    state.scroll_into_view_if_needed()
    shot(desk, "review-worth")
    expect(desk.locator("#worth-stop")).to_be_hidden()
    desk.locator("#worth-start").click()
    expect(desk.locator(".toast-body")).to_contain_text("too few labelled pairs to measure")


@pytest.mark.parametrize(("lang", "colours", "width"), LOOKS)
def test_it_fits_and_is_accessible(
    team: Any, new_context: Any, open_page: Any, shot: Any, lang: str, colours: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    server, _ = team
    size = {"width": width, "height": 844 if width < 800 else 800}
    context = new_context(server, "lea", locale=lang, color_scheme=colours, viewport=size)
    page = open_page(context.new_page(), "/app/review", server.base)
    for place, tab in ((".votes", 0), ("#team table", 1), ("#worth-state .curve", 2)):
        page.get_by_role("tab").nth(tab).click()
        page.locator(place).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), tab
        assert not re.search(r"\breview\.[a-z_.]+", page.locator("main").inner_text())
        assert page.evaluate(NARROWEST) >= 90, tab
        shot(page, f"review-{tab}-{colours}-{lang[:2]}-{width}")
        if width < 800:
            continue  # the same elements in the same colours
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in serious]
