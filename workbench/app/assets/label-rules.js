// The guidelines of a project: read on request, and once per new version by everybody who labels.

import { ask } from "./label-ask.js";
import { showGuidelines } from "./label-dialogs.js";

const RETRY = 5000;

export class Rules {
  constructor(page, project) {
    Object.assign(this, { page, project });
  }

  has(axis) {
    return Boolean(this.project.guidelines[axis]?.text);
  }

  async open(axes = [this.page.axis], must = false) {
    if (document.querySelector(".label-dialog") || !this.has(axes[0])) return;
    const { version } = this.project;
    await showGuidelines(this.page.say, this.project, axes, must);
    if (!must) return;
    this.page.watch.again();
    this.acknowledge(version);
  }

  // Whoever has not read this version reads it now, unless something is being written.
  openNew() {
    const { version, read, axes } = this.project;
    if (version > read && !this.page.writing.busy) this.open(axes.filter((axis) => this.has(axis)), true);
  }

  acknowledge(version) {
    this.project.read = version;
    ask("POST", "/api/label/guideline", { project: this.project.id, version }).catch(() => setTimeout(() => this.acknowledge(version), RETRY));
  }

  // The server speaks of a version that this page has not.
  async renew(version) {
    if (version <= this.project.version) return;
    const { project } = await ask("GET", "/api/label/progress").catch(() => ({}));
    if (project?.id !== this.project.id) return;
    Object.assign(this.project, project);
    this.page.drawHead();
    this.openNew();
  }
}
