"""Every act besides labelling, by name: pages, the command line and scripts all call these."""

from workbench.app.acts import compare, data, demo, models, people, projects, training, upkeep

ACTS = (
    projects.projects,
    projects.project_create,
    projects.project_change,
    data.import_file,
    data.import_confirm,
    data.import_discard,
    data.data,
    data.snapshot,
    data.snapshots,
    data.export_dataset,
    models.models,
    models.model_add,
    models.export_model,
    training.plan,
    training.train,
    training.runs,
    training.run,
    training.run_stop,
    training.run_resume,
    compare.generate,
    compare.compare_ask,
    compare.compare_vote,
    compare.compare_set,
    compare.compare_results,
    people.users,
    people.user_add,
    people.user_reset,
    people.user_change,
    demo.demo_create,
    upkeep.fsck,
)
ACTIONS = {function.__name__: function for function in ACTS}
