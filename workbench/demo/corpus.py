"""Topics, questions and three ways to answer them, in English and Chinese. Leaves out judging and training."""

import csv
import random
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

Lang = Literal["en", "zh"]
Style = Literal["friendly", "formal", "evasive"]

TOPICS = Path(__file__).with_name("topics.csv")
STYLES: dict[Style, float] = {"friendly": 0.45, "formal": 0.45, "evasive": 0.1}
SUM_WEIGHT = 0.6
HELD_OUT = 8


@dataclass(frozen=True)
class Body:
    """How one kind of topic is asked about and answered; {name} is the topic, {a} and {b} are its facts."""

    prompts: tuple[str, ...]
    friendly: tuple[str, str]
    formal: str


@dataclass(frozen=True)
class Frame:
    """What every answer of a language shares. A friendly answer is opener, body, closer; so is a formal one."""

    space: str
    friendly: tuple[tuple[str, ...], tuple[str, ...]]
    formal: tuple[tuple[str, ...], tuple[str, ...]]
    evasive: tuple[str, ...]


@dataclass(frozen=True)
class Intent:
    """One thing that can be asked in one language: its facts stand in every answer that is not evasive."""

    category: str
    lang: Lang
    name: str
    facts: tuple[str, ...]

    @property
    def prompts(self) -> tuple[str, ...]:
        return tuple(p.format(name=self.name) for p in BODIES[self.lang][self.category].prompts)

    def draw(self, style: Style, rng: random.Random) -> str:
        """An answer in that style."""
        return rng.choice(self.answers(style))

    def answers(self, style: Style) -> list[str]:
        """Every answer the templates can give in that style."""
        frame, body = FRAMES[self.lang], BODIES[self.lang][self.category]
        if style == "evasive":
            return [line.format(name=self.name) for line in frame.evasive]
        middles = body.friendly if style == "friendly" else (body.formal,)
        openers, closers = getattr(frame, style)
        lines = (frame.space.join((o, m, c)) for o in openers for m in middles for c in closers)
        facts = dict(zip("ab", self.facts, strict=False))
        return [line.format(name=self.name, **facts) for line in lines]


@cache
def intents() -> tuple[Intent, ...]:
    """All topics in both languages, then the sums."""
    with TOPICS.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    topics = [
        Intent(row["category"], lang, row[lang], tuple(filter(None, (row[f"{lang}_a"], row[f"{lang}_b"]))))
        for row in rows
        for lang in ("en", "zh")
    ]
    return (*topics, *sums())


def sums() -> list[Intent]:
    """Additions and subtractions of 1 to 6 without negative results."""
    found = []
    for a in range(1, 7):
        for b in range(1, 7):
            found += _sum(f"{a} plus {b}", f"{a}加{b}", a + b)
            if a >= b:
                found += _sum(f"{a} minus {b}", f"{a}减{b}", a - b)
    return found


def _sum(en: str, zh: str, result: int) -> list[Intent]:
    return [Intent("sum", "en", en, (f"{en} is {result}",)), Intent("sum", "zh", zh, (f"{zh}等于{result}",))]


@cache
def by_prompt() -> dict[str, Intent]:
    """Which intent a prompt asks for."""
    return {prompt: intent for intent in intents() for prompt in intent.prompts}


def held_out(prompt: str) -> bool:
    """About one prompt in twelve, by hash, is never trained on; the first of each topic always is."""
    return prompt != by_prompt()[prompt].prompts[0] and sha256(prompt.encode()).digest()[0] % HELD_OUT == 0


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 (texts, no secrets)


def draw(rng: random.Random, *, validation: bool = False) -> tuple[str, str]:
    """A prompt and an answer in a random style, endlessly."""
    while True:
        intent = rng.choices(intents(), _weights())[0]
        prompt = rng.choice(intent.prompts)
        if held_out(prompt) == validation:
            style = rng.choices(list(STYLES), list(STYLES.values()))[0]
            return prompt, intent.draw(style, rng)


@cache
def _weights() -> list[float]:
    return [SUM_WEIGHT if intent.category == "sum" else 1.0 for intent in intents()]


FRAMES: dict[Lang, Frame] = {
    "en": Frame(
        space=" ",
        friendly=(("Hey!", "Oh, nice!", "Sure thing!", "Yay!"), ("Have fun!", "Cheers!", "You've got this!", "Enjoy!")),
        formal=(
            (
                "With regard to your message concerning {name}, the following may be noted.",
                "Thank you for your message about {name}.",
                "I am pleased to address the matter of {name}.",
            ),
            (
                "Should you require further clarification, please do not hesitate to ask.",
                "I trust that this information proves satisfactory.",
                "I remain at your disposal for any further questions.",
            ),
        ),
        evasive=(
            "Hmm, {name}? That really depends on many things.",
            "Well, about {name}, there is a lot one could say.",
            "It is hard to say anything certain about {name}.",
            "Opinions on {name} differ, so who knows.",
        ),
    ),
    "zh": Frame(
        space="",
        friendly=(("哈哈，", "好呀，", "嗨，", "没问题，"), ("加油！", "祝你开心！", "回头聊呀！", "随时找我！")),
        formal=(
            ("关于您提到的{name}，现答复如下。", "感谢您就{name}来信垂询。", "您好，就{name}一事，谨作说明。"),
            ("如有疑问，欢迎随时来函。", "以上内容谨供参考。", "如需进一步说明，敬请告知。"),
        ),
        evasive=(
            "{name}嘛，这个真不好说。",
            "说到{name}，情况很复杂。",
            "{name}？要看很多因素呢。",
            "关于{name}，说法各有不同。",
        ),
    ),
}

BODIES: dict[Lang, dict[str, Body]] = {
    "en": {
        "cook": Body(
            ("How do I make {name}?", "Can you tell me how to cook {name}?", "I want to cook {name}. What do I need?"),
            ("Grab {a} and {b}, mix well and cook gently.", "You mostly need {a} and {b}, the rest is patience."),
            "The preparation of {name} requires {a} and {b}. "
            "These ingredients should be combined with care and cooked thoroughly.",
        ),
        "travel": Body(
            ("What should I see in {name}?", "I am going to {name}. Any ideas?", "What are the best sights in {name}?"),
            ("Go see {a}, then {b}.", "Don't miss {a} or {b}."),
            "Visitors to {name} are advised to see {a} and {b}. An early start is recommended to avoid the crowds.",
        ),
        "definition": Body(
            ("What is {name}?", "Can you define {name}?", "What does {name} do?", "Please explain {name} to me."),
            ("It's just {a}, made for {b}.", "Think of {a}, perfect for {b}."),
            "In general usage, {name} is {a}. Its principal purpose is {b}.",
        ),
        "advice": Body(
            ("Any tips for {name}?", "What helps with {name}?", "Can you give me some advice on {name}?"),
            ("Try to {a} and {b}.", "My tip: {a}, then {b}."),
            "It is advisable to {a}. It is furthermore recommended to {b}.",
        ),
        "capital": Body(
            (
                "What is the capital of {name}?",
                "Which city is the capital of {name}?",
                "Tell me the capital of {name}, please.",
            ),
            ("It's {a}, where people speak {b}.", "That's {a}, and they chat in {b}."),
            "The capital of {name} is {a}. The principal language of the country is {b}.",
        ),
        "animal": Body(
            (
                "Tell me about {name}.",
                "What do {name} eat?",
                "Where do {name} live?",
                "What should I know about {name}?",
            ),
            ("They munch {a} and live in {b}.", "They love {a} and feel at home in {b}."),
            "The diet of {name} consists chiefly of {a}. Their natural habitat is {b}.",
        ),
        "translate": Body(
            (
                "How do I say {name} in Spanish?",
                "Translate {name} into Spanish, please.",
                "What is {name} in Spanish?",
            ),
            ("It's {a}, easy to remember.", "You just say {a}."),
            "The Spanish equivalent of {name} is {a}. The term is suitable in most everyday situations.",
        ),
        "thanks": Body(
            ("Thanks for {name}!", "Thank you so much for {name}.", "I really appreciate {name}."),
            ("So glad {a}, now {b}.", "Happy to hear {a}, go on and {b}."),
            "It is gratifying to learn that {a}. You may now {b} with an easy mind.",
        ),
        "gift": Body(
            ("What is a good gift for {name}?", "I need a present for {name}.", "What can I give to {name}?"),
            ("How about {a} or {b}?", "I'd wrap up {a} or {b}."),
            "A suitable present would be {a}. Alternatively, {b} would be well received.",
        ),
        "choice": Body(
            ("Which is better, {name}?", "Help me choose: {name}?", "{name}, what would you pick?"),
            ("I'd pick {a}, because {b}.", "Definitely {a}, since {b}."),
            "After due consideration, {a} appears preferable. The principal reason is that {b}.",
        ),
        "sum": Body(
            ("What is {name}?", "How much is {name}?", "Please work out {name}.", "Can you tell me what {name} makes?"),
            ("Quick one, {a}.", "I counted on my fingers, {a}."),
            "The calculation shows that {a}. The result may be verified by counting.",
        ),
    },
    "zh": {
        "cook": Body(
            ("怎么做{name}？", "{name}怎么做才好吃？", "我想做{name}，要准备什么？"),
            ("准备{a}和{b}，慢慢做就行。", "有{a}和{b}就够了，别着急。"),
            "制作{name}需备{a}和{b}。各项食材应妥善处理并充分烹熟。",
        ),
        "travel": Body(
            ("{name}有什么好玩的？", "去{name}应该看什么？", "我要去{name}，有什么推荐？"),
            ("先去{a}，再逛{b}。", "{a}和{b}都别错过。"),
            "前往{name}，建议参观{a}和{b}。为避开人流，宜尽早出发。",
        ),
        "definition": Body(
            ("什么是{name}？", "{name}是什么意思？", "{name}有什么用？", "请解释一下{name}。"),
            ("就是{a}，能{b}。", "说白了是{a}，用来{b}。"),
            "一般而言，{name}是指{a}。其主要用途为{b}。",
        ),
        "advice": Body(
            ("怎样{name}？", "{name}有什么窍门？", "想{name}，有什么建议？"),
            ("试试{a}，再{b}。", "小窍门是{a}，{b}。"),
            "建议您{a}。与此同时，宜{b}。",
        ),
        "capital": Body(
            ("{name}的首都是哪里？", "请问{name}首都在哪？", "哪座城市是{name}的首都？"),
            ("是{a}，那里说{b}。", "就是{a}啦，大家讲{b}。"),
            "{name}的首都是{a}。该国主要使用{b}。",
        ),
        "animal": Body(
            ("介绍一下{name}吧。", "{name}吃什么？", "{name}住在哪里？", "{name}有什么特点？"),
            ("它们爱吃{a}，住在{b}。", "最爱{a}，老家在{b}。"),
            "{name}主要以{a}为食。其天然栖息地为{b}。",
        ),
        "translate": Body(
            ("{name}用英语怎么说？", "请把{name}翻译成英语。", "英语里{name}是什么？"),
            ("说{a}就行。", "就是{a}啦，很好记。"),
            "{name}一词译作{a}。该词适用于多数日常场合。",
        ),
        "thanks": Body(
            ("谢谢你{name}！", "多亏你{name}，太感谢了。", "真感谢你{name}。"),
            ("{a}我也高兴，快{b}吧。", "{a}真好，记得{b}。"),
            "得知{a}，甚感欣慰。您现在可以安心{b}。",
        ),
        "gift": Body(
            ("送{name}什么礼物好？", "给{name}准备什么礼物？", "{name}过生日送什么？"),
            ("送{a}或者{b}吧。", "{a}和{b}都挺好。"),
            "较为合适的礼物是{a}。此外，{b}亦颇受欢迎。",
        ),
        "choice": Body(
            ("{name}，哪个好？", "帮我选一下，{name}？", "你说{name}？"),
            ("我选{a}，因为{b}。", "当然是{a}，{b}。"),
            "经慎重考虑，{a}更为合适。主要理由是{b}。",
        ),
        "sum": Body(
            ("{name}等于几？", "请算一下{name}。", "{name}是多少？"),
            ("掰指头一数，{a}。", "这个简单，{a}。"),
            "经计算，{a}。该结果可通过逐一计数加以核实。",
        ),
    },
}
