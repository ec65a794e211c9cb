"""Where a text says which model wrote it, in English and Chinese, so that it can be covered. Leaves out who sees what.

A name counts only where a phrase of self-identification leads to it ("I am", "my creators", "我是由") over nothing but
the words that such phrases are made of: "I am ChatGPT, made by OpenAI" counts; "I am using ChatGPT" and "GPT-4 was made
by OpenAI" do not. Phrases are looked up by plain search and followed for a bounded number of words: linear time.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

Span = tuple[int, int]

COVER = "▇▇▇▇"
STEPS = 40  # words and marks that a phrase is followed for
BACK, AHEAD = 80, 60  # characters looked at: before "created me", and after "as a model made by X" for an "I"

MODELS = """chatgpt, gpt, claude, gemini, bard, gemma, llama, mistral, mistral ai, mixtral, qwen, deepseek, chatglm,
    glm, kimi, ernie bot, ernie, doubao, hunyuan, baichuan, internlm, minimax, grok, copilot, bing chat, command r,
    vicuna, alpaca, falcon, stablelm, nemotron, open assistant, openassistant, 通义千问, 千问, 文心一言, 豆包, 混元,
    百川, 智谱清言, 讯飞星火, 书生浦语"""
VENDORS = """openai, open ai, anthropic, google deepmind, google, deepmind, meta ai, meta, mistral ai,
    alibaba cloud, alibaba, baidu, tencent, bytedance, zhipu ai, zhipu, moonshot ai, moonshot, microsoft, nvidia,
    cohere, xai, stability ai, 阿里云, 阿里巴巴, 阿里, 百度, 腾讯, 字节跳动, 智谱ai, 智谱, 月之暗面, 深度求索,
    科大讯飞, 谷歌, 微软, 上海人工智能实验室"""
VERSION = (
    r"(?:[- ]?[vr]?\d[a-z0-9]{0,8}(?:\.\d[a-z0-9]{0,8})?){0,2}"
    r"(?:[- ](?:instruct|chat|sonnet|opus|haiku|pro|ultra|flash|turbo|mini|plus)(?![a-z])){0,3}"
)
MACHINES = """ai, artificial, language model, model, models, chatbot, bot, llm, created, developed, trained, built,
    designed, programmed, made, generated, written, powered, fine-tuned, finetuned, by"""
MACHINES_ZH = (
    "人工智能, 智能, 语言模型, 大模型, 模型, 机器人, ai, 开发, 研发, 训练, 创造, 打造, 推出, 设计, 构建, 生成, 撰写, 由"
)
FILL = """s, a, an, the, assistant, assistants, intelligence, language, large, multimodal, conversational, virtual,
    digital, helpful, friendly, advanced, small, free, open, source, open-source, your, called, named, known, as,
    name, is, just, simply, actually, really, also, not, and, or, from, of, at, latest, new, version, running,
    based, on, research, lab, company, team, people, engineers, that, which, who, here, was, were, been, have, has,
    be, it, series, family, system"""
FILL_ZH = """就是, 不是, 是, 被, 一个, 一款, 一名, 一位, 一种, 个, 的, 名为, 名叫, 叫做, 叫, 称为, 公司, 团队,
    实验室, 科技, 基于, 来自, 旗下, 自主, 独立, 您, 你, 并, 和, 与, 大型, 大, 语言, 助手, 助理, 聊天, 深度学习,
    超大规模, 预训练, 虚拟, 对话, 专门, 所, 而, 了"""
ARTICLES = {"a", "an", "the", "一个", "一款", "一名", "一位"}
PLACES = {"at", "from", "of"}

SAY = ("i am", "i'm", "i was", "i have been", "i've been", "i,", "my name is", "call me")
SAY += ("this answer", "this response", "this assistant")
SAY_ZH = re.compile(r"我(?:是|叫|就是|不是|的名字|由|被|基于|，)|叫我|本助手|本回答|本文由|以上(?:回答|内容)|这是由")
MAKERS, MAKERS_ZH = ("my creator", "my developer", "my maker"), re.compile("我的(?:开发者|创造者)")
AS = re.compile(r"as (?<![a-z0-9]as )(?<!such as )(?<!known as )(?<!same as )")
AS_ZH = re.compile("作为")
MADE_ME = re.compile(
    r" me(?![a-z])(?:(?<=ated me)|(?<=oped me)|(?<=ained me)|(?<=igned me)|(?<=built me)|(?<=made me)(?=[.,]))"
)
MADE_ME_ZH = re.compile("了我(?:(?<=开发了我)|(?<=研发了我)|(?<=训练了我)|(?<=创造了我)|(?<=打造了我)|(?<=设计了我))")


def words(text: str) -> list[str]:
    """Longer ones first: of two that fit, the whole one is taken."""
    return sorted((" ".join(word.split()) for word in text.split(",")), key=len, reverse=True)


def one_of(text: str) -> str:
    return "|".join(map(re.escape, words(text)))


NAME = re.compile(rf"(?<![a-z0-9])(?:(?:{one_of(MODELS)}){VERSION}|(?P<vendor>{one_of(VENDORS)}))(?![a-z0-9])")
MACHINE = re.compile(rf"(?:{one_of(MACHINES)})(?![a-z])|{one_of(MACHINES_ZH)}")
FILLER = re.compile(rf"(?:{one_of(FILL)})(?![a-z])|{one_of(FILL_ZH)}|[\s,，、:：;*_`\"'“”‘’「」（）()《》-]{{1,8}}")
ABOUT = re.compile(
    rf"(?:'s|的)?[\s-]{{0,3}}(?:(?:{one_of(MACHINES)}|assistant|language|large|based)(?![a-z])|{one_of(MACHINES_ZH)}|大|助)"
)
END = re.compile(r"[\s*_`\"']{0,3}(?:[.,!?;:。，！？；：]|$)")
OTHERS = re.compile(
    r"的?(?:用户|员工|粉丝|工程师|开发者|研究员|客户)|[ -](?:user|fan|subscriber|employee|engineer|developer)"
)
PERSON = re.compile(r"(?<![a-z])(?:i|my|me)(?![a-z])|我")
MARK = re.compile('[">]')


def hits(text: str) -> list[Span]:
    """Where names stand by which the text says who wrote it, in order."""
    low, found, walked = lower(text), set(), 0
    for at, machine in sorted(after_phrases(low)):
        if at >= walked:  # else an earlier phrase has led here
            spans, _, walked = led_to(low, at, machine)
            found.update(spans)
    walked = 0
    for phrase in searched(low, AS, AS_ZH):
        if phrase.end() >= walked:
            spans, walked = spoken_as(low, phrase.end())
            found.update(spans)
    for phrase in searched(low, MADE_ME, MADE_ME_ZH):
        found.update(before(low, phrase.start()))
    ordered = sorted(found)
    ends = accumulate((end for _, end in ordered), max, initial=0)
    return [span for span, end in zip(ordered, ends, strict=False) if span[0] >= end]


def masked(text: str) -> str:
    """The text with those names covered, all by the same block."""
    return covered(text, [(begin, end, COVER) for begin, end in hits(text)])


def masked_html(html: str) -> str:
    """`masked` for clean HTML: only what stands between the tags is read, as one text, and changed."""
    parts = list(between_tags(html))
    starts = list(accumulate((end - begin for begin, end in parts), initial=0))
    spans = []
    for begin, end in hits("".join(html[a:b] for a, b in parts)):
        cover = COVER
        for i in range(bisect_right(starts, begin) - 1, bisect_right(starts, end - 1)):  # it may be half in bold
            a, b = (max(begin, starts[i]), min(end, starts[i + 1]))
            spans.append((parts[i][0] + a - starts[i], parts[i][0] + b - starts[i], cover))
            cover = ""
    return covered(html, spans)


def covered(text: str, spans: list[tuple[int, int, str]]) -> str:
    made, at = [], 0
    for begin, end, cover in spans:
        made += [text[at:begin], cover]
        at = end
    return "".join([*made, text[at:]])


def between_tags(html: str) -> Iterator[Span]:
    """Texts of HTML whose attributes stand in double quotes; a tag that never ends hides the rest."""
    at = 0
    while at < len(html):
        opened = html.find("<", at)
        opened = len(html) if opened < 0 else opened
        if opened > at:
            yield at, opened
        at = after_tag(html, opened)


def after_tag(html: str, at: int) -> int:
    while mark := MARK.search(html, at):
        if mark[0] == ">":
            return mark.end()
        at = html.find('"', mark.end()) + 1 or len(html)
    return len(html)


def lower(text: str) -> str:
    """Lower case, every character in its place."""
    low = text.lower()
    if len(low) != len(text):
        low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return low.replace("’", "'")


def after_phrases(low: str) -> Iterator[tuple[int, bool]]:
    """Where phrases end that a name may follow; True where the phrase speaks of makers."""
    for phrase in (*SAY, *MAKERS):
        at = low.find(phrase)
        while at >= 0:
            if not low[max(at - 1, 0) : at].isalnum():
                yield at + len(phrase), phrase in MAKERS
            at = low.find(phrase, at + 1)
    if not low.isascii():
        yield from ((phrase.end(), of is MAKERS_ZH) for of in (SAY_ZH, MAKERS_ZH) for phrase in of.finditer(low))


def searched(low: str, english: re.Pattern[str], chinese: re.Pattern[str]) -> Iterator[re.Match[str]]:
    yield from english.finditer(low)
    if not low.isascii():
        yield from chinese.finditer(low)


def led_to(low: str, at: int, machine: bool = False) -> tuple[list[Span], bool, int]:
    """The names that the words from `at` on lead to, whether a maker or a machine is among the words, and their end."""
    found, last = [], ""
    for _ in range(STEPS):
        if step := NAME.match(low, at):
            found += [step.span()] if own(low, step, machine, last) else []
        elif step := MACHINE.match(low, at):
            machine = True
        elif not (step := FILLER.match(low, at)):
            break
        last, at = step[0].strip() or last, step.end()
    return found, machine, at


def own(low: str, name: re.Match[str], machine: bool, last: str) -> bool:
    """Is it the speaker who has this name or maker, not a user of the one or an employee of the other?"""
    after = name.end()
    about = bool(ABOUT.match(low, after))
    if OTHERS.match(low, after):
        return False
    if last in ARTICLES or low.startswith(("'s", "的"), after):
        return about
    return not name["vendor"] or machine or (last not in PLACES and (about or bool(END.match(low, after))))


def spoken_as(low: str, at: int) -> tuple[list[Span], int]:
    """Of "as a model made by X, I ...", which counts when a first person follows; and the end of it."""
    found, machine, end = led_to(low, at)
    person = PERSON.search(low, end, end + AHEAD) if machine else PERSON.match(low, end)
    return found if person else [], end


def before(low: str, at: int) -> list[Span]:
    """Names before "created me" at `at` with nothing but the usual words between."""
    return [name.span() for name in NAME.finditer(low, max(at - BACK, 0), at) if led_to(low, name.end())[2] >= at]
