"""The Label page: a place that `assets/label.js` fills. No label is a Gradio event, so nothing here can drop one."""

import gradio as gr

from workbench.app.dress import VERSION
from workbench.app.house import House

MOUNT = "".join(f'<link rel="stylesheet" href="/assets/{VERSION}/{name}.css">' for name in ("label", "label-tools"))
START = f"import('/assets/{VERSION}/label.js').then((label) => label.mount(element))"


def build(house: House, t: gr.I18n) -> None:
    gr.HTML(html_template=MOUNT, js_on_load=START, elem_id="label", padding=False)
