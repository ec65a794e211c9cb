"""The Review page: a lead decides items, looks after people, and sees how far labels can be trusted.

Deciding is a place that `assets/review.js` fills; the other tabs are `review_team` and `review_quality`.
"""

import gradio as gr

from workbench.app.dress import VERSION
from workbench.app.house import House
from workbench.app.pages import review_quality, review_team

MOUNT = "".join(f'<link rel="stylesheet" href="/assets/{VERSION}/{name}.css">' for name in ("label", "review"))
START = f"import('/assets/{VERSION}/review.js').then((review) => review.mount(element))"


def build(house: House, t: gr.I18n) -> None:
    with gr.Tabs(elem_id="review-tabs"):
        with gr.Tab(t("review.tab.decide"), id="decide"):
            gr.HTML(html_template=MOUNT, js_on_load=START, elem_id="review", apply_default_css=False, padding=False)
        with gr.Tab(t("review.tab.team"), id="team") as team:
            review_team.build(house, t, team)
        with gr.Tab(t("review.tab.quality"), id="quality") as quality:
            review_quality.build(house, t, quality)
