"""What the REST API takes and gives, as models that check and document it. Leaves out the routes (`api`)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.app.acts.feed import NewItem, Spoken, Taken

MOST = 1000


class Fault(BaseModel):
    """What went wrong: a sentence for people, and a word for programs."""

    error: str
    code: str


class NewItems(Taken):
    items: list[NewItem] = Field(min_length=1, max_length=MOST)


class StoredItems(BaseModel):
    """The numbers of the items that each sent one became (several, where it is to be judged in several ways)."""

    ids: list[list[int]]
    new: int = Field(description="how many were not known before")


class Candidate(BaseModel):
    messages: list[Spoken]
    source: str | None


class ShownItem(BaseModel):
    """An item; `index` 0, 1, ... in judgements names its answers in this order, which says nothing of their worth."""

    id: int
    form: str
    prompt: list[Spoken]
    answers: list[Candidate]
    tags: list[str]
    lang: str | None
    n_labels: int


class Items(BaseModel):
    items: list[ShownItem]
    next: int = Field(description="what to give as `after` for the next page")


class Judged(BaseModel):
    """One act on an item. Candidates are named by index; `current` tells whether it holds as of now."""

    seq: int
    uid: str
    at: str
    item: int
    annotator: str
    axis: str
    kind: str
    payload: dict[str, Any]
    purpose: str
    policy: str
    guideline: int | None
    shown_order: list[int] | None
    ms_shown: int | None
    ms_active: int | None
    reason: dict[str, Any] | None
    supersedes: str | None
    current: bool


class Judgements(BaseModel):
    judgements: list[Judged]
    next: int = Field(description="what to give as `after` for the next page; the same when nothing was new")


class ShownProject(BaseModel):
    id: int
    name: str
    tasks: list[str]
    axes: list[str]
    version: int = Field(description="of the guidelines")
    needed: int = Field(description="labels that are asked for")
    done: int
    today: int = Field(description="labels of one's own today")


class Projects(BaseModel):
    projects: list[ShownProject]


class Lease(Taken):
    """Items for whoever asks, to be held until they are answered or given back, or lapse.

    They lapse after 10 minutes, of task `write` after 30, unless asked for again.
    """

    axis: str = Field("overall", max_length=31)
    task: Literal["pair", "thumb", "rank", "write"] = "pair"
    tab: str = Field("api", min_length=1, max_length=64, description="which of one's programs or windows holds them")
    want: int = Field(10, ge=1, le=20)
    held: list[str] = Field([], max_length=200, description="leases that are still held, to be kept")


class Release(Taken):
    tab: str = Field("api", min_length=1, max_length=64)
    leases: list[str] = Field(max_length=200)


class Open(BaseModel):
    """An answer of the queue; the README says what may stand in it besides."""

    model_config = ConfigDict(extra="allow")


class Leased(Open):
    """Items as the Label page gets them: texts by position, no source and no label of anybody."""

    items: list[dict[str, Any]]
    reason: str | None = Field(description="why there is none")


class Acknowledged(Open):
    ack: str
    seq: int


class Released(Open):
    released: int


class NewExport(Taken):
    snapshot: str | None = Field(None, description="by its hash; else a new one is made", max_length=64)
    license: str | None = Field(None, max_length=80)


class Exported(BaseModel):
    snapshot: str
    rows: dict[str, int]
    files: list[str] = Field(description="addresses to fetch them from")


class Report(BaseModel):
    """Agreement, noise, bias and people of one axis; each estimate with its interval and n, or why there is none."""

    model_config = ConfigDict(extra="allow")
