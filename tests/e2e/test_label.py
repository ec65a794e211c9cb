"""The Label page in a real browser: keys, undo, reload, no network, a restart, a finger, and how fast it paints."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import LONG, MODEL, READY, RICH, SHOWN, Desk, fill, forgive, no_barriers, row

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


def test_ten_pairs_by_ten_keys(sit: Callable[..., Desk]) -> None:
    desk, seen = sit(), []
    for key in ("1", "2", "3", "4", "5", "6", "0", "9", "1", "6"):
        seen.append(desk.item)
        desk.press(key)
    desk.saved()
    assert len(set(seen)) == 10
    assert desk.done()["mine"] == 10
    expect(desk.page.locator(".figures")).to_contain_text("10 by you today")
    expect(desk.page.locator(".last")).to_have_text("Answer 2 much better")
    assert MODEL not in desk.page.content()


def test_ten_thumbs_by_ten_keys(sit: Callable[..., Desk]) -> None:
    desk = sit()
    desk.page.get_by_role("button", name="Thumbs").click()
    expect(desk.stage.locator(".answer")).to_have_count(1)
    desk.press("1", "2", "a", "d", "A", "D", "1", "2", "1", "a")
    desk.saved()
    assert (desk.done("thumb")["mine"], desk.done("pair")["mine"]) == (10, 0)


def test_every_choice_has_a_button_with_its_key(sit: Callable[..., Desk]) -> None:
    desk = sit()
    for name in ("much better", "tie", "both bad"):
        before = desk.item
        desk.page.wait_for_timeout(READY)
        button = desk.page.get_by_role("button", name=name).first
        assert button.get_attribute("aria-keyshortcuts") in ("1", "0", "9")
        assert button.locator("kbd").inner_text() == button.get_attribute("aria-keyshortcuts")
        button.click()
        expect(desk.label).not_to_have_attribute("data-item", before)
    desk.page.wait_for_timeout(READY)
    desk.page.get_by_role("button", name="Skip").focus()
    desk.page.keyboard.press("Enter")
    desk.saved()
    assert (desk.done()["mine"], desk.done()["skipped"]) == (3, 1)


def test_undo_goes_back_and_the_new_answer_replaces_the_old(sit: Callable[..., Desk]) -> None:
    desk, prompts = sit(), []
    for key in ("1", "x", "2"):
        prompts.append(desk.prompt)
        desk.press(key)
    ahead = desk.prompt
    desk.press("z")
    assert desk.prompt == prompts[2]
    desk.press("z")
    assert desk.prompt == prompts[1]
    desk.saved()
    assert (desk.done()["mine"], desk.done()["skipped"]) == (1, 0)
    desk.press("6")
    assert desk.prompt == prompts[2]
    desk.press("0")
    assert desk.prompt == ahead
    desk.saved()
    assert desk.done()["mine"] == 3


def test_undo_is_still_there_after_a_reload(sit: Callable[..., Desk]) -> None:
    desk = sit()
    prompt = desk.prompt
    desk.press("1")
    desk.saved()
    desk.go()
    desk.press("z")
    assert desk.prompt == prompt
    desk.saved()
    assert desk.done()["mine"] == 0
    desk.press("6")
    desk.saved()
    assert desk.done()["mine"] == 1


def test_skip_and_flag_leave_the_item_without_a_label(sit: Callable[..., Desk]) -> None:
    desk = sit()
    desk.press("x")
    before = desk.item
    desk.page.wait_for_timeout(READY)
    desk.page.keyboard.press("f")
    expect(desk.page.get_by_role("dialog", name="Flag for the lead")).to_be_visible()
    desk.page.keyboard.press("Escape")
    assert desk.item == before
    desk.page.keyboard.press("f")
    desk.press("2")
    assert desk.item != before
    desk.saved()
    done = desk.done()
    assert (done["mine"], done["skipped"], done["flagged"]) == (0, 1, 1)


@pytest.mark.rule("R17")
def test_a_reload_shows_the_same_item_again(sit: Callable[..., Desk]) -> None:
    desk = sit()
    desk.press("1", "2")
    item, answers = desk.item, desk.stage.locator(".answers").inner_text()
    desk.saved()
    desk.page.reload()
    desk.page.locator(SHOWN).wait_for()
    assert (desk.item, desk.stage.locator(".answers").inner_text()) == (item, answers)


@pytest.mark.rule("R17")
def test_two_tabs_of_one_person_show_different_items(sit: Callable[..., Desk]) -> None:
    desk = sit()
    first, desk.page = desk.page, desk.page.context.new_page()
    desk.label = desk.page.locator(".label")
    desk.go()
    assert desk.item != first.locator(".label").get_attribute("data-item")
    desk.press("1")
    first.keyboard.press("2")
    desk.saved()
    expect(first.locator(".figures")).to_contain_text("by you today")
    assert desk.done()["mine"] == 2


@pytest.mark.rule("R18")
def test_without_the_server_labels_wait_and_then_are_saved(sit: Callable[..., Desk]) -> None:
    desk = sit()
    desk.page.route("**/api/label/submit", lambda route: route.abort())
    desk.press("1", "2", "3")
    expect(desk.page.locator(".saved")).to_have_text(re.compile("3 waiting"))
    assert desk.done()["mine"] == 0
    desk.page.on("dialog", lambda dialog: dialog.accept())
    desk.page.reload()
    desk.page.locator(SHOWN).wait_for()
    expect(desk.page.locator(".saved")).to_have_text(re.compile("3 waiting"))
    desk.page.unroute("**/api/label/submit")
    desk.page.evaluate("window.dispatchEvent(new Event('online'))")
    desk.saved()
    assert desk.done()["mine"] == 3
    forgive(desk, "Failed to load resource")


@pytest.mark.rule("R18")
def test_an_answer_lost_on_the_way_back_is_one_label(sit: Callable[..., Desk]) -> None:
    desk, lost = sit(), []

    def lose(route: Any) -> None:
        lost.append(route.fetch())
        route.abort()

    desk.page.route("**/api/label/submit", lose, times=2)
    desk.press("1")
    desk.saved()
    assert [answer.status for answer in lost] == [200, 200]
    assert desk.done()["mine"] == 1
    forgive(desk, "Failed to load resource")


def test_a_refused_answer_is_said_and_not_kept(sit: Callable[..., Desk]) -> None:
    desk = sit()
    body = json.dumps({"error": "taken", "code": "taken"})
    desk.page.route("**/api/label/submit", lambda route: route.fulfill(status=409, body=body), times=1)
    desk.press("1")
    expect(desk.page.locator(".notice")).to_have_text("Not stored: somebody else answered that item")
    desk.saved()
    expect(desk.page.locator(".figures")).to_contain_text("0 by you today")
    forgive(desk, "Failed to load resource")


@pytest.mark.rule("R18")
def test_a_double_press_labels_once(sit: Callable[..., Desk]) -> None:
    desk = sit()
    desk.page.wait_for_timeout(READY)
    desk.page.keyboard.press("1")
    desk.page.keyboard.press("1")
    desk.page.wait_for_timeout(READY)
    desk.saved()
    assert desk.done()["mine"] == 1


WATCH = """() => {
  const label = document.querySelector('.label');
  window.painted = {};
  const see = () => { if (label.dataset.item) window.painted[label.dataset.item] ??= performance.now(); };
  new MutationObserver(see).observe(label, { attributes: true, attributeFilter: ['data-item'] });
  see();
  window.sent = [];
  const post = window.fetch;
  window.fetch = (address, options) => {
    if (String(address).endsWith('/submit')) window.sent.push(JSON.parse(options.body));
    return post(address, options);
  };
  window.pressed = [];
  addEventListener('keydown', (event) => window.pressed.push(event.timeStamp), true);
}"""


def test_forty_presses_at_thirty_milliseconds_label_nothing_unseen(sit: Callable[..., Desk]) -> None:
    desk = sit()
    desk.page.evaluate(WATCH)
    desk.page.wait_for_timeout(READY)
    for _ in range(40):
        desk.page.keyboard.press("2")
        desk.page.wait_for_timeout(30)
    desk.page.wait_for_timeout(READY)
    desk.saved()
    painted, sent, pressed = (desk.page.evaluate(f"window.{name}") for name in ("painted", "sent", "pressed"))
    assert len(pressed) == 40
    assert 1 <= len({body["uid"] for body in sent}) == desk.done()["mine"] < 40
    moments = sorted(painted.values())
    assert all(body["lease"] in painted for body in sent)
    assert min(b - a for a, b in pairwise(moments)) >= 145


MEASURE = """() => {
  window.times = [];
  addEventListener('keydown', (event) => {
    const before = document.querySelector('.label').dataset.item;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        const now = document.querySelector('.label').dataset.item;
        if (now !== before) window.times.push(performance.now() - event.timeStamp);
      };
      channel.port2.postMessage(null);
    });
  }, true);
}"""


def test_the_next_item_is_painted_within_a_frame_or_two(sit: Callable[..., Desk], capsys: Any) -> None:
    desk = sit()
    desk.page.evaluate(MEASURE)
    for _ in range(30):
        desk.page.wait_for_timeout(READY)
        desk.page.keyboard.press("1")
    desk.saved()
    times = sorted(desk.page.evaluate("window.times"))
    p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
    with capsys.disabled():
        print(f"\nkey to next item painted: p50 {p50:.1f} ms, p95 {p95:.1f} ms, {len(times)} labels")
    assert len(times) >= 25
    assert p50 < 100


PRESS = (
    "init => document.dispatchEvent(new KeyboardEvent('keydown', { key: '1', code: 'Digit1', bubbles: true, ...init }))"
)


OTHERS = (
    {"isComposing": True},
    {"keyCode": 229},
    {"repeat": True},
    {"ctrlKey": True},
    {"altKey": True},
    {"metaKey": True},
    {"key": "End", "code": "Numpad1"},
    {"key": " ", "code": "Space"},
)
OURS = ({}, {"key": "1", "code": "Numpad1"}, {"key": "&"}, {"key": "я", "code": "KeyX"}, {"key": "x", "code": "KeyB"})


def test_keys_meant_for_others_are_left_alone_on_any_keyboard(sit: Callable[..., Desk]) -> None:
    desk = sit()
    before = desk.item
    desk.page.wait_for_timeout(READY)
    for init in OTHERS:
        desk.page.evaluate(PRESS, init)
    desk.page.wait_for_timeout(100)
    assert desk.item == before
    for init in OURS:
        desk.page.evaluate(PRESS, init)
        expect(desk.label).not_to_have_attribute("data-item", re.compile(f"^$|{before}"))
        before = desk.item
        desk.page.wait_for_timeout(READY)


def test_help_guidelines_and_keys_that_can_be_switched_off(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few([row("q", "a", "b")], guideline="Prefer the <b>shorter</b> one.\n\n1. Correct first."))
    desk.page.get_by_role("button", name="I have read it").click()
    desk.page.keyboard.press("g")
    expect(desk.page.get_by_role("dialog", name="Guidelines")).to_contain_text("Prefer the <b>shorter</b> one.")
    desk.page.keyboard.press("1")
    desk.page.keyboard.press("g")
    expect(desk.page.get_by_role("dialog")).to_have_count(0)
    desk.page.keyboard.press("?")
    desk.page.get_by_role("checkbox").uncheck()
    desk.page.keyboard.press("Escape")
    before = desk.item
    desk.page.keyboard.press("1")
    desk.page.wait_for_timeout(100)
    assert desk.item == before


def test_a_key_can_be_moved_and_none_means_two_things(sit: Callable[..., Desk], shot: Any) -> None:
    desk = sit()
    desk.page.keyboard.press("?")
    dialog = desk.page.get_by_role("dialog", name="Keys")
    said, better, undo = (dialog.locator(at) for at in (".said", '[data-action="pair.1"]', "[data-action=undo]"))
    better.focus()
    for pressed, told in (("Enter", "Press the new key"), ("x", "“X” is taken: Skip"), ("?", "cannot be used")):
        desk.page.keyboard.press(pressed)
        expect(said).to_contain_text(told)
    desk.page.keyboard.press("Escape")
    expect(better).to_have_text("1")
    better.click()
    desk.page.keyboard.press("j")
    expect(better).to_have_text("J")
    expect(better).to_be_focused()
    undo.click()
    for pressed, told in (("7", "cannot be used"), ("a", "“A” is taken: Good"), (",", "“,” is now: Undo")):
        desk.page.keyboard.press(pressed)
        expect(said).to_contain_text(told)
    no_barriers(desk.page)
    shot(desk.page, "label-keys")
    desk.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    for reload in (False, True):
        if reload:
            desk.go()
        much = desk.page.get_by_role("button", name="much better").first
        assert (much.locator("kbd").inner_text(), much.get_attribute("aria-keyshortcuts")) == ("J", "j")
        before = desk.item
        desk.page.wait_for_timeout(READY)
        desk.page.keyboard.press("1")
        desk.page.keyboard.press("z")
        desk.page.wait_for_timeout(100)
        assert desk.item == before
        desk.press("j")
        expect(desk.page.locator(".last")).to_have_text("Answer 1 much better")
        desk.press(",")
        assert desk.item == before
    desk.page.keyboard.press("?")
    dialog.get_by_role("button", name="Reset keys").click()
    expect(better).to_have_text("1")
    desk.page.keyboard.press("Escape")
    desk.press("1")
    desk.saved()


def test_history_source_text_and_scrolling_apart(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello to you"},
        {"role": "user", "content": "How?"},
    ]
    desk = sit(few([{**row("", RICH, LONG), "prompt": said}]))
    assert desk.prompt == "How?"
    expect(desk.page.get_by_text("Hello to you")).to_be_hidden()
    desk.page.get_by_text("Earlier messages (3)").click()
    expect(desk.page.get_by_text("Hello to you")).to_be_visible()
    answers = desk.stage.locator(".answers")
    expect(answers.locator("strong")).to_have_text("bright sill")
    expect(answers.locator("math")).to_have_count(1)
    desk.page.keyboard.press("v")
    expect(answers.locator("strong")).to_have_count(0)
    expect(answers).to_contain_text("**bright sill**")
    stage, long = (
        desk.stage,
        desk.stage.locator(".answer", has_text="Ocimum"),
    )
    assert stage.evaluate("e => e.scrollHeight > e.clientHeight")
    desk.page.keyboard.press("s")
    assert stage.evaluate("e => e.scrollHeight <= e.clientHeight")
    assert long.evaluate("e => e.scrollHeight > e.clientHeight")


@pytest.mark.rule("S17")
def test_texts_are_texts(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    evil = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'
    desk = sit(
        few([row(f"prompt {evil}", f"**one** {evil} [x](javascript:window.hurt=1)", f"two {evil} ${{window.hurt=1}}")])
    )
    expect(desk.stage.locator(".prompt")).to_contain_text("<img src=x")
    expect(desk.stage.locator(".answer").first).to_contain_text("<script>")
    assert desk.page.locator(".label :is(img, script, form, iframe)").count() == 0
    assert desk.page.evaluate("window.hurt") is None


def test_at_the_end_it_says_what_was_done_and_what_is_next(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few([row("first", "a", "b"), row("second", "c", "d")]))
    end, behind = desk.page.locator(".instead"), desk.page.locator(".ahead .item")
    expect(behind).to_have_count(1)
    desk.press("1")
    expect(behind).to_have_count(0)
    desk.press("x")
    expect(behind).to_have_count(0)
    expect(end).to_contain_text("Your part is done")
    expect(end).to_contain_text("You labelled 1")
    expect(end).to_contain_text("skipped 1")
    desk.press("z")
    desk.press("2")
    expect(end).to_contain_text("All done")
    expect(end).to_contain_text("You labelled 2")
    end.get_by_role("link", name="Go on with thumbs").click()
    desk.page.locator(SHOWN).wait_for()
    desk.press("1", "2", "1", "2")
    expect(end).to_contain_text("You labelled 4")
    desk.saved()


@pytest.mark.rule("R17")
def test_labels_given_while_the_server_is_away_arrive_after_its_restart(
    start_server: Callable[..., Any], new_context: Callable[..., Any], home: Path, tmp_path: Path
) -> None:
    server = start_server(home)
    server.welcome("ada", server.link)
    context = new_context(server, "ada")
    empty = context.new_page()
    empty.goto(f"{server.base}/app/label")
    expect(empty.locator(".instead")).to_contain_text("No project yet")
    empty.close()
    project = fill(server, tmp_path, "Restart", [row(f"question {i}", f"a{i}", f"b{i}") for i in range(20)])
    desk = Desk(server, context, "ada", project)
    desk.press("1", "2")
    desk.saved()
    assert server.stop() == 0
    desk.press("3", "4")
    assert desk.page.locator(SHOWN).count() == 1
    item = desk.item
    again = start_server(home, "--port", server.base.rpartition(":")[2])
    again.clients = server.clients
    desk.server = again
    desk.saved()
    desk.page.locator(SHOWN).wait_for()
    assert desk.item == item
    assert desk.done()["mine"] == 4
    forgive(desk, "Failed to load resource", "Failed to fetch", "503", "ERR_", "NetworkError")


def test_a_finger_switches_answers_and_never_answers(sit: Callable[..., Desk]) -> None:
    desk = sit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    first, second = (
        desk.stage.locator(".answer").nth(0),
        desk.stage.locator(".answer").nth(1),
    )
    before = desk.item
    expect(second).to_be_hidden()
    desk.stage.get_by_role("button", name="Answer 2", exact=True).tap()
    expect(first).to_be_hidden()
    swipe = """([from, to]) => {
      const stage = document.querySelector('.stage:not(.ahead)');
      const touch = (x) => new Touch({ identifier: 1, target: stage, clientX: x, clientY: 400 });
      stage.dispatchEvent(new TouchEvent('touchstart', { touches: [touch(from)], bubbles: true }));
      stage.dispatchEvent(new TouchEvent('touchend', { changedTouches: [touch(to)], bubbles: true }));
    }"""
    desk.page.evaluate(swipe, [100, 300])
    expect(second).to_be_hidden()
    desk.page.evaluate(swipe, [300, 100])
    expect(first).to_be_hidden()
    assert desk.item == before
    desk.page.wait_for_timeout(READY)
    desk.page.get_by_role("button", name="much better").first.tap()
    expect(desk.label).not_to_have_attribute("data-item", before)
    expect(first).to_be_visible()
    desk.saved()
    assert desk.done()["mine"] == 1


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["wide", "phone"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_looks_right(sit: Callable[..., Desk], few: Callable[..., int], shot: Any, size: tuple, lang: str) -> None:
    width, height = size
    locale = {"en": "en-US", "zh": "zh-CN"}[lang]
    history = row("怎样让罗勒过冬？" if lang == "zh" else "How do I keep basil alive in winter?", RICH, LONG, lang=lang)
    project = few([history])
    desk = sit(project, viewport={"width": width, "height": height}, locale=locale, has_touch=width < 800)
    for task in ("pair", "thumb"):
        desk.page.locator(f"[data-task={task}]").first.click()
        desk.page.locator(f"{SHOWN}[data-task={task}]").wait_for()
        for theme in ("light", "dark"):
            desk.page.emulate_media(color_scheme=theme)
            name = f"{task} {theme} {lang} {width}"
            overflow = "e => e.scrollWidth > e.clientWidth + 1"
            assert not desk.page.locator("html").evaluate(overflow), name
            assert not desk.page.locator("html").evaluate("e => e.scrollHeight > e.clientHeight"), name
            for part in (".stage:not(.ahead) .prompt", ".choices", ".tools", ".head"):
                assert not desk.label.locator(part).evaluate(overflow), f"{name} {part}"
            for button in desk.page.locator(".choice").all():
                assert not button.evaluate(overflow), f"{name} {button.inner_text()}"
                box = button.bounding_box()
                assert box["height"] >= 44, name
                assert box["y"] + box["height"] <= height, name
            assert not re.search(r"label\.[a-z_.]+", desk.page.locator(".label").inner_text()), name
            shot(desk.page, f"label-{task}-{theme}-{lang}-{width}")


def test_it_is_accessible(sit: Callable[..., Desk], few: Callable[..., int]) -> None:
    desk = sit(few([row("How?", RICH, LONG)]))
    for task, theme in (("pair", "light"), ("pair", "dark"), ("thumb", "light"), ("thumb", "dark")):
        desk.page.emulate_media(color_scheme=theme)
        desk.page.locator(f"[data-task={task}]").first.click()
        desk.page.locator(f"{SHOWN}[data-task={task}]").wait_for()
        expect(desk.page.locator("html")).to_have_attribute("data-theme", theme)
        no_barriers(desk.page)
